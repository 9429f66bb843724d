"""What models take, told by their names: how they are asked to think, and which settings they have.

Vendors refuse what a model does not know, and a translation must choose before it is told. A name
that is not here is treated like the vendor's usual model. Called by the translations of requests.
"""

import re
from typing import Literal

Thinking = Literal["effort", "budget"]

_CLAUDE = re.compile(
    r"claude[-.](?:[a-z]+[-.])?(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)"
)
_GEMINI = re.compile(r"gemini[-.](?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)")
_GPT = re.compile(r"(?:^|/)gpt-(?P<major>\d{1,2})(?:\.(?P<minor>\d{1,2}))?(?!\d)")
_REASONS = re.compile(r"(?:^|/)(?:o\d|gpt-oss|gemini-(?:2[.-]5|[3-9]))")

_SETTINGS_GONE_SINCE = (4, 7)
_THINKS_AS_IT_LIKES_SINCE = (4, 6)
_STRUCTURED_SINCE = (4, 5)
_NO_EFFORT_WITH_TOOLS_SINCE = (5, 2)

Version = tuple[int, int]
_NEWEST: Version = (99, 0)


def claude_version(model: str) -> Version | None:
    """Return the version of a Claude, a high one if its name has none; None for other models."""
    if "claude" not in model:
        return None
    return _version(_CLAUDE.search(model)) or _NEWEST


def takes_sampling(model: str) -> bool:
    """Say whether a model of the messages interface takes `temperature` and `top_p`."""
    version = claude_version(model)
    return version is None or version < _SETTINGS_GONE_SINCE


def claude_thinking(model: str) -> Thinking:
    """Say how a model of the messages interface is asked to think: by effort or by a budget."""
    version = claude_version(model)
    return "budget" if version is None or version < _THINKS_AS_IT_LIKES_SINCE else "effort"


def keeps_to_schemas(model: str) -> bool:
    """Say whether a model of the messages interface has the vendor's structured outputs."""
    version = claude_version(model)
    return version is not None and version >= _STRUCTURED_SINCE


def gemini_thinking(model: str) -> Thinking:
    """Say how a Gemini is asked to think: by a level, as all since 3, or by a budget."""
    version = _version(_GEMINI.search(model))
    return "budget" if version is not None and version < (3, 0) else "effort"


def needs_signatures(model: str) -> bool:
    """Say whether a Gemini refuses calls of past turns without its signature."""
    return gemini_thinking(model) == "effort"


def takes_effort(model: str) -> bool:
    """Say whether a model of the chat interface is known to take `reasoning_effort`."""
    version = _gpt_version(model)
    return bool(_REASONS.search(model)) or (version is not None and version >= (5, 0))


def calls_without_effort(model: str) -> bool:
    """Say whether a model of the chat interface has tools only with an effort of `none`."""
    version = _gpt_version(model)
    return version is not None and version >= _NO_EFFORT_WITH_TOOLS_SINCE


def _gpt_version(model: str) -> Version | None:
    return None if "-chat" in model else _version(_GPT.search(model))


def _version(found: re.Match[str] | None) -> Version | None:
    return (int(found["major"]), int(found["minor"] or 0)) if found else None
