"""Usage as OpenAI and its imitators report it, normalised to the disjoint buckets that are priced.

Cached and audio tokens stand inside the prompt, reasoning and audio inside the completion; a few
vendors put reasoning beside it, which their total gives away. Called by the answer readers.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from billing.pricing import Counts

_Tokens = Annotated[int, Meta(ge=0, le=2**40)]


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: _Tokens | None = None
    audio_tokens: _Tokens | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: _Tokens | None = None
    audio_tokens: _Tokens | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: _Tokens | None = None
    completion_tokens: _Tokens | None = None
    total_tokens: _Tokens | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    cached_tokens: _Tokens | None = None
    prompt_cache_hit_tokens: _Tokens | None = None


_USAGE = msgspec.json.Decoder(_Usage)
_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()


def usage_counts(raw: bytes | msgspec.Raw) -> Counts | None:
    """Return the counts of a `usage` value; None for null, for nonsense and for no numbers.

    An explicit zero is a number.
    """
    try:
        usage = _USAGE.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    prompt = usage.prompt_tokens
    if prompt is None:
        if usage.total_tokens is None:
            return None
        prompt = max(0, usage.total_tokens - (usage.completion_tokens or 0))
    if usage.prompt_tokens_details is None and usage.completion_tokens_details is None:
        cached = min(usage.cached_tokens or usage.prompt_cache_hit_tokens or 0, prompt)
        return Counts(
            input=prompt - cached, cached_input=cached, output=usage.completion_tokens or 0
        )
    return _detailed_counts(usage, prompt)


def _detailed_counts(usage: _Usage, prompt: int) -> Counts:
    inside = usage.prompt_tokens_details or _NO_PROMPT_DETAILS
    cached = inside.cached_tokens
    if cached is None:
        cached = usage.cached_tokens or usage.prompt_cache_hit_tokens or 0
    cached = min(cached, prompt)
    audio_in = min(inside.audio_tokens or 0, prompt - cached)
    of_answer = usage.completion_tokens_details or _NO_COMPLETION_DETAILS
    reasoning = of_answer.reasoning_tokens or 0
    completion = usage.completion_tokens or 0
    if reasoning and usage.total_tokens == prompt + completion + reasoning:
        completion += reasoning
    reasoning = min(reasoning, completion)
    audio_out = min(of_answer.audio_tokens or 0, completion - reasoning)
    return Counts(
        input=prompt - cached - audio_in,
        cached_input=cached,
        output=completion - reasoning - audio_out,
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
    )
