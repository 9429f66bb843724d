"""LiteLLM's price file in, rows of our catalogue out. Pure; called by `make_price_catalogue` alone.

Only vendors' own models are taken, at their ordinary tier of service. A price that our buckets
can't carry leaves its model out, with the reason: a model that is sold below its cost is worse
than one that is missing.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from billing.price_files import MAX_TIERS, PART_OF, USUAL_REASONING_OUTPUT
from billing.vendor_prices import PER_MILLION

Entry = Mapping[str, Any]


class Vendor(NamedTuple):
    """A vendor: our name of it, and how the names of its own models begin."""

    name: str
    prefixes: tuple[str, ...]


VENDORS = {
    "openai": Vendor("openai", ("gpt-", "o1", "o3", "o4", "text-", "tts-", "whisper-", "sora-")),
    "text-completion-openai": Vendor("openai", ("gpt-", "babbage-", "davinci-")),
    "anthropic": Vendor("anthropic", ("claude-",)),
    "gemini": Vendor("google", ("gemini-", "gemma-", "imagen-", "veo-")),
    "deepseek": Vendor("deepseek", ("deepseek-",)),
    "mistral": Vendor(
        "mistral",
        ("mistral-", "ministral-", "codestral-", "devstral-", "magistral-", "pixtral-", "voxtral-"),
    ),
    "xai": Vendor("xai", ("grok-",)),
    "moonshot": Vendor("moonshot", ("kimi-", "moonshot-")),
    "zai": Vendor("zhipu", ("glm-",)),
    "dashscope": Vendor("qwen", ("qwen", "qwq", "qvq", "wan")),
}
"""By LiteLLM's name of the provider. Hosts that resell others' models are none."""

KINDS = {
    "chat": "chat",
    "responses": "chat",
    "completion": "completion",
    "embedding": "embedding",
    "image_generation": "image",
    "audio_speech": "speech",
    "audio_transcription": "transcription",
    "video_generation": "video",
}

_TOKENS = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "cache_creation_input_token_cost_above_12hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_in",
    "output_cost_per_audio_token": "audio_out",
}

_UNITS = {
    "image": {"input_cost_per_image": "image", "output_cost_per_image": "image"},
    "speech": {"input_cost_per_character": "character"},
    "transcription": {"input_cost_per_second": "second"},
    "video": {"output_cost_per_second": "second", "output_cost_per_video_per_second": "second"},
}
"""What else a kind of model is priced by. Where both are there, the last one counts."""

_WHOLE = {"image", "second", "character", "request", "search"}

_COUNTED_AS = {
    "input_cost_per_image_token": "input",
    "input_cost_per_video_token": "input",
    "output_cost_per_image_token": "output",
    "output_cost_per_video_token": "output",
}
"""Tokens that we count as tokens of text: a model may not charge more for them."""

_NOT_OFFERED = re.compile(
    # Other tiers of service, and hours of the day: we sell the ordinary one at any hour.
    r".*_(batches|flex|priority|ultrafast|decisions)|off_peak_pricing|search_free_requests"
    # Tools and sessions that are billed apart.
    r"|google_maps_grounding_cost_per_query|code_interpreter_cost_per_session"
    # The same price in another unit, or of a service that shares the entry.
    r"|input_cost_per_token_cache_hit|(in|out)put_cost_per_pixel|.*_cost_per_character(_above_.*)?"
    r"|.*_per_second(_above_.*)?|input_cost_per_image(_above_.*)?"
    # Cached sound and pictures count as cached text.
    r"|cache_(read|creation)_input_(audio|image)_token_cost|explicit_cache_read_.*"
).fullmatch
_tier = re.compile(r"(.+)_above_([0-9]+)k_tokens").fullmatch
_resolution = re.compile(r"output_cost_per_second_([0-9]+p|4k)").fullmatch

_WINDOWS = {400_000, 1_050_000}
"""Contexts of models of which the file says what the longest answer leaves of them for input."""

_FINEST = Decimal("1e-9")
_LONGEST_NAME, _LONGEST_SOURCE = 64, 200


class _LeftOut(Exception):
    """The model can't be listed; the text says why."""


def convert(
    data: Mapping[str, Any], *, source: str, date: str
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the rows of vendors' own models by name, and why each of the others is left out.

    `data` is LiteLLM's file with its numbers exact; `source` and `date` say where it is from.
    """
    rows: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    for vendor_key, vendor in VENDORS.items():
        for name, entry in _models_of(data, vendor_key, vendor):
            try:
                row = _row(vendor, entry)
            except _LeftOut as reason:
                left_out.setdefault(name, str(reason))
                continue
            rows.setdefault(name, row | {"source": _source(entry, source), "date": date})
    return rows, {name: reason for name, reason in left_out.items() if name not in rows}


def _models_of(
    data: Mapping[str, Any], vendor_key: str, vendor: Vendor
) -> Iterator[tuple[str, Entry]]:
    for full_name, entry in data.items():
        name = full_name.removeprefix(f"{vendor_key}/")
        is_its_own = name.startswith(vendor.prefixes) and len(name) <= _LONGEST_NAME
        if isinstance(entry, dict) and entry.get("litellm_provider") == vendor_key and is_its_own:
            yield name, entry


def _row(vendor: Vendor, entry: Entry) -> dict[str, Any]:
    kind = KINDS.get(str(entry.get("mode")))
    if kind is None:
        raise _LeftOut(f"{entry.get('mode')} is not sold")
    usd = _prices(kind, entry)
    tiers = _tiers(entry)
    if "tiered_pricing" in entry:
        first, tiers = _ranges(entry["tiered_pricing"])
        usd = first | {name: price for name, price in usd.items() if name not in _TOKENS.values()}
    _refuse_what_is_left(kind, entry, usd)
    if not any(usd.values()):
        raise _LeftOut("free, or not known")
    row: dict[str, Any] = {"vendor": vendor.name, "kind": kind, **_texts(_plain(usd))}
    row |= _bounds(vendor, entry)
    if tiers:
        row["tiers"] = [
            {"min_input": start, **_texts(_plain(usd | tiers[start], beside=usd))}
            for start in sorted(tiers)
        ]
    return row


def _prices(kind: str, entry: Entry) -> dict[str, Decimal]:
    usd = {
        bucket: _number(entry, key) * PER_MILLION for key, bucket in _TOKENS.items() if key in entry
    }
    by_tokens = "input" in usd
    for key, bucket in _UNITS.get(kind, {}).items():
        # Beside a price of tokens one of seconds is the vendor's estimate of the same.
        if key in entry and (bucket == "image" or not by_tokens):
            usd[bucket] = _number(entry, key) * (PER_MILLION if bucket == "character" else 1)
    search = entry.get("search_context_cost_per_query")
    if isinstance(search, dict):
        usd["search"] = max(_number(search, key) for key in search)
    return usd


def _tiers(entry: Entry) -> dict[int, dict[str, Decimal]]:
    """Return the prices of long prompts by the length from which on they hold."""
    tiers: dict[int, dict[str, Decimal]] = {}
    for key in entry:
        found = _tier(key)
        bucket = found and _TOKENS.get(found[1])
        if found and bucket:
            start = int(found[2]) * 1_000 + 1
            tiers.setdefault(start, {})[bucket] = _number(entry, key) * PER_MILLION
    return tiers


def _ranges(ranges: Any) -> tuple[dict[str, Decimal], dict[int, dict[str, Decimal]]]:
    """Return the prices of the first range of prompt lengths, and of the ones above it."""
    if not isinstance(ranges, list) or not 1 <= len(ranges) <= MAX_TIERS + 1:
        raise _LeftOut("its ranges are no list")
    by_start: dict[int, dict[str, Decimal]] = {}
    for step in ranges:
        unknown = step.keys() - {"range", *_TOKENS}
        if unknown:
            raise _LeftOut(f"{min(unknown)} has no bucket")
        above = _whole(step["range"][0])
        start = above + 1 if above else 0
        by_start[start] = {
            _TOKENS[key]: _number(step, key) * PER_MILLION for key in step if key in _TOKENS
        }
    if 0 not in by_start:
        raise _LeftOut("its ranges do not begin at nothing")
    return by_start.pop(0), by_start


def _refuse_what_is_left(kind: str, entry: Entry, usd: Mapping[str, Decimal]) -> None:
    """Raise _LeftOut for a price that is neither taken nor known to be of something else."""
    for key in entry:
        if not re.search("cost|pricing", key) or _NOT_OFFERED(key):
            continue
        if key in _COUNTED_AS:
            covered = "image" in usd and key.startswith("output")
            if not covered and _number(entry, key) * PER_MILLION > usd.get(_COUNTED_AS[key], 0):
                raise _LeftOut(f"{key} has no bucket")
        elif _resolution(key):
            if _number(entry, key) > usd.get("second", 0):
                raise _LeftOut("its seconds cost more at a higher resolution")
        elif not _is_taken(kind, key):
            raise _LeftOut(f"{key} has no bucket")


def _is_taken(kind: str, key: str) -> bool:
    found = _tier(key)
    name = found[1] if found else key
    whole = name in {"search_context_cost_per_query", "tiered_pricing"}
    return whole or name in _TOKENS or name in _UNITS.get(kind, {})


def _plain(
    usd: Mapping[str, Decimal], *, beside: Mapping[str, Decimal] | None = None
) -> dict[str, Decimal]:
    """Return the prices that say something: not those of a part that costs what the whole does.

    Nor a part that costs nothing, but for a cache that is read: free would be too good to be true.
    `beside` are the prices that a tier need not repeat.
    """
    return {
        bucket: price
        for bucket, price in usd.items()
        if price != usd.get(PART_OF.get(bucket, ""))
        and (price or bucket == "cached_input")
        and not (beside and bucket in _WHOLE and beside.get(bucket) == price)
    }


def _bounds(vendor: Vendor, entry: Entry) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    reads, writes = entry.get("max_input_tokens"), entry.get("max_output_tokens")
    if writes:
        bounds["output_limit"] = _whole(writes)
    if reads:
        window = _whole(reads) + bounds.get("output_limit", 0)
        bounds["context_limit"] = window if window in _WINDOWS else _whole(reads)
    if entry.get("supports_reasoning") is True:
        # Anthropic's models think when they are asked to, the others by themselves.
        thinks = vendor.name != "anthropic"
        bounds |= {"is_reasoning": True} if thinks else {"usual_output": USUAL_REASONING_OUTPUT}
    return bounds


def _source(entry: Entry, source: str) -> str:
    own = entry.get("source")
    return own[:_LONGEST_SOURCE] if isinstance(own, str) else source


def _number(entry: Entry, key: str) -> Decimal:
    value = entry[key]
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        raise _LeftOut(f"{key} is no price")
    return Decimal(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int | Decimal) or value != int(value):
        raise _LeftOut(f"{value} is no whole number")
    return int(value)


def _texts(usd: Mapping[str, Decimal]) -> dict[str, str]:
    return {bucket: _text(price) for bucket, price in usd.items()}


def _text(usd: Decimal) -> str:
    """Return dollars with two decimals at least: what is beyond nine is a float's noise."""
    whole, _, fraction = format(usd.quantize(_FINEST).normalize(), "f").partition(".")
    return f"{whole}.{fraction:0<2}"
