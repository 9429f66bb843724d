"""What the admin may know and do about generic routes and jobs: how they are written, giving up.

The rest of the relay is closed to the portal.
"""

import re

from relay.jobs import give_up
from relay.object_rows import DELETED, TASK, VIDEO
from relay.paths import is_relay_path
from relay.protocols import task_rules
from relay.providers.generic import ROUTES_ONLY

__all__ = ["give_up"]

PROVIDER = ROUTES_ONLY

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
JOB_KINDS = (VIDEO, TASK, DELETED)

_RESERVED = frozenset({"v1", "v1beta", "openai", "dashboard"})
_STEP = r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)"
_is_prefix = re.compile(f"{_STEP}+").fullmatch
_is_poll_path = re.compile(r"(?:/(?!\.{1,2}(?:/|$))(?:[A-Za-z0-9._~-]+|\{task\}))+").fullmatch
_is_field = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,7}").fullmatch


def is_prefix(path: str) -> bool:
    """Say whether a text is a plain path, such as /suno/v1."""
    return bool(_is_prefix(path))


def is_poll_path(path: str) -> bool:
    """Say whether a text is a plain path with the place of one job in it."""
    return bool(_is_poll_path(path)) and path.count(task_rules.TASK) == 1


def is_field(text: str) -> bool:
    """Say whether a text names a field of a document, such as data.task_id."""
    return bool(_is_field(text))


def is_answered(prefix: str) -> bool:
    """Say whether the relay itself answers at or below a prefix."""
    first = prefix.strip("/").partition("/")[0].casefold()
    return first in _RESERVED or is_relay_path(prefix)
