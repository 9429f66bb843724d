"""Usage as Gemini reports it, normalised to the disjoint buckets that are priced.

Cached and audio tokens stand inside the prompt; what tools have read stands beside it. Thoughts
stand beside the candidates, audio and images inside them. Images are counted by the piece, so
their tokens are left out. Called by `gemini_answer.py`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from billing.pricing import Counts
from relay.protocols.usage_reading import read_usage

_Tokens = Annotated[int, Meta(ge=0, le=2**40)]


class _Detail(msgspec.Struct, gc=False, rename="camel"):
    modality: str = ""
    token_count: _Tokens | None = None


_Details = list[_Detail] | None


class _Usage(msgspec.Struct, gc=False, rename="camel"):
    prompt_token_count: _Tokens | None = None
    cached_content_token_count: _Tokens | None = None
    candidates_token_count: _Tokens | None = None
    thoughts_token_count: _Tokens | None = None
    tool_use_prompt_token_count: _Tokens | None = None
    total_token_count: _Tokens | None = None
    prompt_tokens_details: _Details = None
    cache_tokens_details: _Details = None
    candidates_tokens_details: _Details = None


_USAGE = msgspec.json.Decoder(_Usage)


def usage_counts(raw: bytes | msgspec.Raw, *, is_speech: bool = False) -> Counts | None:
    """Return the counts of a `usageMetadata`; None for null, for nonsense and for no numbers.

    `is_speech`: output of which no kind is told is audio.
    """
    usage = read_usage(_USAGE, raw)
    if usage is None:
        return None
    tools, written = usage.tool_use_prompt_token_count or 0, usage.candidates_token_count or 0
    thoughts, total = usage.thoughts_token_count or 0, usage.total_token_count
    prompt = usage.prompt_token_count
    if prompt is None:
        if total is None:
            return None
        prompt = max(0, total - tools - written - thoughts)
    written, thoughts = _checked(
        written, thoughts, None if total is None else total - prompt - tools
    )
    cached = min(usage.cached_content_token_count or 0, prompt)
    heard = _of(usage.prompt_tokens_details, "AUDIO") - _of(usage.cache_tokens_details, "AUDIO")
    audio_in = min(max(0, heard), prompt - cached)
    details = usage.candidates_tokens_details
    audio_out = min(_of(details, "AUDIO"), written) if details or not is_speech else written
    drawn = min(_of(details, "IMAGE"), written - audio_out)
    return Counts(
        input=prompt - cached - audio_in + tools,
        cached_input=cached,
        output=written - audio_out - drawn,
        reasoning=thoughts,
        audio_in=audio_in,
        audio_out=audio_out,
    )


def _checked(written: int, thoughts: int, total: int | None) -> tuple[int, int]:
    """Return candidates and thoughts so that they add up to the total of both, if it is known.

    What is in no other number are thoughts that an older model does not tell apart; thoughts that
    are too much stand inside the candidates, as imitators have it.
    """
    if total is None or total == written + thoughts:
        return written, thoughts
    if total > written + thoughts:
        return written, total - written
    if total == written:
        return max(0, written - thoughts), min(thoughts, written)
    return written, thoughts


def _of(details: _Details, modality: str) -> int:
    if not details:
        return 0
    return sum(entry.token_count or 0 for entry in details if entry.modality == modality)
