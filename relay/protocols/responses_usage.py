"""Usage as the Responses API reports it, normalised to the disjoint buckets that are priced.

Cached, cache-written and audio tokens stand inside the input, reasoning and audio inside the
output. Called by the readers of answers.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from billing.pricing import Counts
from relay.protocols.openai_content import ABSENT
from relay.protocols.openai_usage import usage_counts
from relay.protocols.usage_reading import read_usage

_Tokens = Annotated[int, Meta(ge=0, le=2**40)]
_SEARCH_ITEMS = frozenset({"web_search_call", "file_search_call"})


class _Writes(msgspec.Struct, gc=False):
    ttl_12h_tokens: _Tokens | None = None


class _InputDetails(msgspec.Struct, gc=False):
    cached_tokens: _Tokens | None = None
    cache_write_tokens: _Tokens | None = None
    cache_write_tokens_details: _Writes | None = None
    audio_tokens: _Tokens | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: _Tokens | None = None
    audio_tokens: _Tokens | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: _Tokens | None = None
    output_tokens: _Tokens | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Action(msgspec.Struct, gc=False):
    type: str = "search"


class Output(msgspec.Struct, gc=False):
    """An item that a response has put out, as far as it costs something of its own."""

    type: str = ""
    action: Raw = ABSENT


_USAGE = msgspec.json.Decoder(_Usage)
_ACTION = msgspec.json.Decoder(_Action)
_NO_INPUT_DETAILS = _InputDetails()
_NO_OUTPUT_DETAILS = _OutputDetails()


def units_of(output: Iterable[Output]) -> Counts | None:
    """Return what the items of a response cost beside tokens, None for nothing."""
    searches = images = 0
    for item in output:
        searches += item.type in _SEARCH_ITEMS and _is_search(item)
        images += item.type == "image_generation_call"
    return Counts(search=searches, image=images) if searches or images else None


def response_counts(usage: Raw, output: Iterable[Output]) -> Counts | None:
    """Return the counts of a response: its `usage`, and what its items cost beside tokens.

    None without usage.
    """
    tokens, units = token_counts(usage), units_of(output)
    if tokens is None or units is None:
        return tokens
    return msgspec.structs.replace(tokens, search=units.search, image=units.image)


def _is_search(item: Output) -> bool:
    """Say whether a call has searched; to open a page that was found costs nothing."""
    try:
        return not item.action or _ACTION.decode(item.action).type == "search"
    except msgspec.DecodeError:
        return True


def token_counts(raw: Raw) -> Counts | None:
    """Return the counts of a `usage` value, None for what is none."""
    usage = read_usage(_USAGE, raw)
    if usage is None or usage.input_tokens is None:
        return usage_counts(raw)
    given = usage.input_tokens
    inside = usage.input_tokens_details or _NO_INPUT_DETAILS
    cached = min(inside.cached_tokens or 0, given)
    written = min(inside.cache_write_tokens or 0, given - cached)
    kept_long = inside.cache_write_tokens_details
    long = min(kept_long.ttl_12h_tokens or 0, written) if kept_long else 0
    audio_in = min(inside.audio_tokens or 0, given - cached - written)
    of_answer = usage.output_tokens_details or _NO_OUTPUT_DETAILS
    output = usage.output_tokens or 0
    reasoning = min(of_answer.reasoning_tokens or 0, output)
    audio_out = min(of_answer.audio_tokens or 0, output - reasoning)
    return Counts(
        input=given - cached - written - audio_in,
        cached_input=cached,
        cache_write_5m=written - long,
        cache_write_1h=long,
        output=output - reasoning - audio_out,
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
    )
