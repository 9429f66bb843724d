"""Usage as Anthropic reports it, normalised to the disjoint buckets that are priced.

What is read from and written into the prompt cache stands beside `input_tokens`; thinking stands
inside `output_tokens`. A stream reports what it knows at its start and again, cumulated, at its
end. Called by the answer readers.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from billing.pricing import Counts
from relay.protocols import usage_reading

_Tokens = Annotated[int, Meta(ge=0, le=2**40)]

_COMPACTION = "compaction"


class _CacheCreation(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: _Tokens | None = None
    ephemeral_1h_input_tokens: _Tokens | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: _Tokens | None = None


class _ServerTools(msgspec.Struct, gc=False):
    web_search_requests: _Tokens | None = None


class _Iteration(msgspec.Struct, gc=False):
    type: str = ""
    input_tokens: _Tokens | None = None
    cache_creation_input_tokens: _Tokens | None = None
    cache_read_input_tokens: _Tokens | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens: _Tokens | None = None


class Usage(msgspec.Struct, gc=False):
    """What the vendor has said of one message; None where it has said nothing."""

    input_tokens: _Tokens | None = None
    cache_creation_input_tokens: _Tokens | None = None
    cache_read_input_tokens: _Tokens | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens: _Tokens | None = None
    output_tokens_details: _OutputDetails | None = None
    server_tool_use: _ServerTools | None = None
    iterations: list[_Iteration] | None = None


_USAGE = msgspec.json.Decoder(Usage)
_INPUTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def read_usage(raw: bytes | msgspec.Raw) -> Usage | None:
    """Return a `usage` value; None for null and for nonsense."""
    return usage_reading.read_usage(_USAGE, raw)


def merged(earlier: Usage | None, later: Usage) -> Usage:
    """Return what is known after both: a later word wins, silence leaves the earlier one.

    Zeros for the whole input are silence, too: a prompt does not become nothing on the way.
    """
    if earlier is None:
        return later
    silent = () if any(getattr(later, name) for name in _INPUTS) else _INPUTS
    values = {}
    for name in Usage.__struct_fields__:
        value = getattr(later, name)
        if value is None or name in silent:
            value = getattr(earlier, name)
            value = getattr(later, name) if value is None else value
        values[name] = value
    return Usage(**values)


def with_search(usage: Usage) -> Usage:
    """Return the usage with one more search, as far as nobody has told how many there were."""
    told = usage.server_tool_use or _ServerTools()
    made = _ServerTools(web_search_requests=(told.web_search_requests or 0) + 1)
    return msgspec.structs.replace(usage, server_tool_use=made)


def counts_of(usage: Usage) -> Counts | None:
    """Return the counts of a usage; None without numbers for input and output.

    An explicit zero is a number.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    parts: list[Usage | _Iteration] = [
        usage,
        *(one for one in usage.iterations or () if one.type == _COMPACTION),
    ]
    writes_5m, writes_1h = 0, 0
    for part in parts:
        of_5m, of_1h = _cache_writes(part)
        writes_5m, writes_1h = writes_5m + of_5m, writes_1h + of_1h
    output = sum(part.output_tokens or 0 for part in parts)
    details, tools = usage.output_tokens_details, usage.server_tool_use
    thinking = min(details.thinking_tokens or 0, output) if details else 0
    return Counts(
        input=sum(part.input_tokens or 0 for part in parts),
        cached_input=sum(part.cache_read_input_tokens or 0 for part in parts),
        cache_write_5m=writes_5m,
        cache_write_1h=writes_1h,
        output=output - thinking,
        reasoning=thinking,
        search=(tools.web_search_requests or 0) if tools else 0,
    )


def _cache_writes(usage: Usage | _Iteration) -> tuple[int, int]:
    """Return the tokens written for five minutes and for an hour; the total is what counts."""
    split = usage.cache_creation or _CacheCreation()
    for_5m, for_1h = split.ephemeral_5m_input_tokens or 0, split.ephemeral_1h_input_tokens or 0
    total = usage.cache_creation_input_tokens
    if total is None:
        return for_5m, for_1h
    for_1h = min(for_1h, total)
    return total - for_1h, for_1h
