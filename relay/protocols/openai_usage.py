"""Usage as OpenAI and its imitators report it, normalised to the disjoint buckets that are priced.

Cached, cache-written and audio tokens stand inside the prompt, reasoning and audio inside the
completion. A few vendors put some of it beside, which their total gives away. Called by the answer
readers.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from billing.pricing import Counts
from relay.protocols.usage_reading import read_usage

_Tokens = Annotated[int, Meta(ge=0, le=2**40)]


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: _Tokens | None = None
    cache_write_tokens: _Tokens | None = None
    audio_tokens: _Tokens | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: _Tokens | None = None
    audio_tokens: _Tokens | None = None


class _ServerTools(msgspec.Struct, gc=False):
    web_search_requests: _Tokens | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: _Tokens | None = None
    completion_tokens: _Tokens | None = None
    total_tokens: _Tokens | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    cached_tokens: _Tokens | None = None
    prompt_cache_hit_tokens: _Tokens | None = None
    cache_creation_input_tokens: _Tokens | None = None
    num_search_queries: _Tokens | None = None
    num_sources_used: _Tokens | None = None
    server_tool_use: _ServerTools | None = None

    @property
    def cached(self) -> int:
        """What was read from the prompt cache, by whichever name."""
        inside = self.prompt_tokens_details
        if inside is not None and inside.cached_tokens is not None:
            return inside.cached_tokens
        return self.cached_tokens or self.prompt_cache_hit_tokens or 0

    @property
    def cache_written(self) -> int:
        """What was written into the prompt cache at a price of its own."""
        inside = self.prompt_tokens_details
        if inside is not None and inside.cache_write_tokens is not None:
            return inside.cache_write_tokens
        return self.cache_creation_input_tokens or 0

    @property
    def searches(self) -> int:
        """How often the vendor has searched, by whichever name."""
        of_tools = self.server_tool_use.web_search_requests if self.server_tool_use else None
        return of_tools or self.num_search_queries or self.num_sources_used or 0


_USAGE = msgspec.json.Decoder(_Usage)
_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()


def usage_counts(raw: bytes | msgspec.Raw) -> Counts | None:
    """Return the counts of a `usage` value; None for null, for nonsense and for no numbers.

    An explicit zero is a number.
    """
    usage = read_usage(_USAGE, raw)
    if usage is None:
        return None
    prompt = usage.prompt_tokens
    if prompt is None:
        if usage.total_tokens is None:
            return None
        prompt = max(0, usage.total_tokens - (usage.completion_tokens or 0))
    completion = usage.completion_tokens
    inside = usage.prompt_tokens_details or _NO_PROMPT_DETAILS
    of_answer = usage.completion_tokens_details or _NO_COMPLETION_DETAILS
    reasoning = of_answer.reasoning_tokens or 0
    if completion is not None and usage.total_tokens is not None:
        beside = usage.total_tokens - prompt - completion
        if beside > 0 and beside == usage.cached + usage.cache_written:
            prompt += beside
        elif beside > 0 and reasoning in (0, beside):
            # Google's imitation of this API tells of thoughts in the total only.
            completion, reasoning = completion + beside, beside
    return _disjoint(usage, prompt, completion or 0, reasoning, inside, of_answer)


def _disjoint(
    usage: _Usage,
    prompt: int,
    completion: int,
    reasoning: int,
    inside: _PromptDetails,
    of_answer: _CompletionDetails,
) -> Counts:
    """Return the buckets that make up a prompt and a completion; no detail is more than these."""
    cached = min(usage.cached, prompt)
    written = min(usage.cache_written, prompt - cached)
    audio_in = min(inside.audio_tokens or 0, prompt - cached - written)
    reasoning = min(reasoning, completion)
    audio_out = min(of_answer.audio_tokens or 0, completion - reasoning)
    return Counts(
        input=prompt - cached - written - audio_in,
        cached_input=cached,
        cache_write_5m=written,
        output=completion - reasoning - audio_out,
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        search=usage.searches,
    )
