"""Usage times price is charge: integers only, no rounding, no Django. For relay and ledger."""

import re
from operator import mul

import msgspec
from msgspec.structs import astuple

BUCKETS = (
    "input",
    "cached_input",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_in",
    "audio_out",
    "image",
    "second",
    "character",
    "request",
    "search",
)

_VARIANT = re.compile(r"(?:[a-z]+/)?(?:\d{2,5}x\d{2,5}|\d[\d.]{0,3}K)/.", re.IGNORECASE)

INPUT_BUCKETS = ("input", "cached_input", "cache_write_5m", "cache_write_1h", "audio_in")


class Counts(msgspec.Struct, frozen=True, gc=False):
    """How many units of each bucket a request used. Buckets are disjoint."""

    input: int = 0
    cached_input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    image: int = 0
    second: int = 0
    character: int = 0
    request: int = 0
    search: int = 0


class Tier(msgspec.Struct, frozen=True, gc=False):
    """Other prices once the whole input reaches `min_input` tokens."""

    min_input: int
    ubt: tuple[int, ...]


class Price(msgspec.Struct, frozen=True, gc=False):
    """A pinned price version: `ubt` per unit in the order of BUCKETS, and the bounds of a model.

    `tiers` rise by `min_input`. A limit of 0 is not known.
    """

    id: int
    model: str
    ubt: tuple[int, ...]
    tiers: tuple[Tier, ...] = ()
    context_limit: int = 0
    output_limit: int = 0
    usual_output: int = 4096
    image_input_tokens: int = 0
    audio_second_tokens: int = 0
    file_input_tokens: int = 0
    is_reasoning: bool = False


def input_total(counts: Counts) -> int:
    """Return the whole input of a request, by which a long-context tier is chosen."""
    return (
        counts.input
        + counts.cached_input
        + counts.cache_write_5m
        + counts.cache_write_1h
        + counts.audio_in
    )


def rates(price: Price, input_total: int) -> tuple[int, ...]:
    """Return the ubt per unit of each bucket that apply to a whole input of this size."""
    chosen = price.ubt
    for tier in price.tiers:
        if input_total < tier.min_input:
            break
        chosen = tier.ubt
    return chosen


def charge(price: Price, counts: Counts) -> int:
    """Return what the counts cost at this price, in ubt. An exact integer sum."""
    ubt = rates(price, input_total(counts)) if price.tiers else price.ubt
    return sum(map(mul, astuple(counts), ubt))


def is_variant(name: str) -> bool:
    """Return whether a price row is for one size of a model, not a model that can be asked for.

    Its name is that of the model behind the size, and behind the quality if that matters too:
    `1792x1024/dall-e-3`, `hd/1024x1792/dall-e-3`, `4K/gemini-3-pro-image`.
    """
    return _VARIANT.match(name) is not None


def split_variant(name: str) -> tuple[str, str]:
    """Return the model of a price row, and what of it the row is for: "" for all of it.

    `hd/1024x1792/dall-e-3` is for `hd/1024x1792` of `dall-e-3`.
    """
    found = _VARIANT.match(name)
    if not found:
        return name, ""
    model_at = found.end() - 1
    return name[model_at:], name[: model_at - 1]
