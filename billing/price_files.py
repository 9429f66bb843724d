"""Price files: JSON text in, checked prices out. Pure; called by the catalogue alone.

A file says for each model what one unit of a bucket costs, and optionally what is known of the
model: `{"gpt-4": {"input": 20, "output": 40, "context_limit": 8192, "tiers": [...]}}`.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from billing.errors import AmountInexact, PriceInvalid, UnknownBucket
from billing.pricing import BUCKETS, Price, Tier

MAX_MODELS = 5_000
MAX_TIERS = 8
MAX_UBT_PER_UNIT = 10**15
_MAX_LIMIT = 2**31 - 1
_LONGEST_NAME = 64

PART_OF = {
    "cached_input": "input",
    "cache_write_5m": "input",
    "cache_write_1h": "input",
    "audio_in": "input",
    "reasoning": "output",
    "audio_out": "output",
}
"""A bucket of text that is not priced costs what the bucket costs that it is a part of."""

LIMITS = (
    "context_limit",
    "output_limit",
    "usual_output",
    "image_input_tokens",
    "audio_second_tokens",
    "file_input_tokens",
)
USUAL_OUTPUT, USUAL_REASONING_OUTPUT = 4_096, 16_384

Convert = Callable[[str | int | Decimal], int]


def parse(text: str) -> dict[str, Any]:
    """Return what a price file says, numbers exact, nothing given twice. Raises PriceInvalid."""
    try:
        data = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_number, object_pairs_hook=_unique
        )
    except InvalidOperation:
        raise PriceInvalid("The price file has a number that is out of all bounds.") from None
    except (ValueError, RecursionError) as error:
        raise PriceInvalid(f"The price file is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise PriceInvalid("The price file must be an object with a member for each model.")
    return data


def prices(
    data: Mapping[str, Any], *, convert: Convert, current: Mapping[str, Price]
) -> list[Price]:
    """Return the prices that a file publishes, with id 0; what it does not say of a model is kept.

    `convert` makes ubt of a number. Raises PriceInvalid or UnknownBucket, naming the model.
    """
    if len(data) > MAX_MODELS:
        raise PriceInvalid(f"The price file has more than {MAX_MODELS} models.")
    return [_price(model, entry, convert, current.get(model)) for model, entry in data.items()]


def _price(model: str, entry: Any, convert: Convert, current: Price | None) -> Price:
    if not 1 <= len(model) <= _LONGEST_NAME or not model.isprintable() or model != model.strip():
        raise PriceInvalid(f"{model[:_LONGEST_NAME]!r} is not the name of a model.")
    if not isinstance(entry, dict):
        raise PriceInvalid(f"{model}: the prices must be an object.")
    _refuse_unknown(model, entry, {*BUCKETS, *LIMITS, "is_reasoning", "tiers"})
    given = _amounts(model, entry, convert)
    if not given:
        raise PriceInvalid(f"{model}: no bucket has a price; a free model says so by 0.")
    ubt = _filled(given, dict.fromkeys(BUCKETS, 0))
    return Price(
        id=0,
        model=model,
        ubt=tuple(ubt.values()),
        tiers=_tiers(model, entry.get("tiers", []), convert, ubt),
        **_bounds(model, entry, current),
    )


def _amounts(where: str, entry: dict[str, Any], convert: Convert) -> dict[str, int]:
    return {
        bucket: _amount(f"{where}: {bucket}", entry[bucket], convert)
        for bucket in BUCKETS
        if bucket in entry
    }


def _amount(where: str, value: Any, convert: Convert) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise PriceInvalid(f"{where} must be a number.")
    try:
        ubt = convert(value)
    except AmountInexact as error:
        raise PriceInvalid(f"{where}: {error}.") from None
    if not 0 <= ubt <= MAX_UBT_PER_UNIT:
        raise PriceInvalid(f"{where} must not be negative, nor above a billion base tokens.")
    return ubt


def _filled(given: dict[str, int], otherwise: dict[str, int]) -> dict[str, int]:
    """Return all buckets in order: as given, else as the one they are part of, else `otherwise`."""
    return {
        bucket: given.get(bucket, given.get(PART_OF.get(bucket, ""), otherwise[bucket]))
        for bucket in BUCKETS
    }


def _tiers(model: str, entries: Any, convert: Convert, ubt: dict[str, int]) -> tuple[Tier, ...]:
    if not isinstance(entries, list) or len(entries) > MAX_TIERS:
        raise PriceInvalid(f"{model}: tiers must be a list of at most {MAX_TIERS}.")
    tiers = sorted((_tier(model, entry, convert, ubt) for entry in entries), key=_min_input)
    if len({tier.min_input for tier in tiers}) != len(tiers):
        raise PriceInvalid(f"{model}: two tiers begin at the same min_input.")
    return tuple(tiers)


def _tier(model: str, entry: Any, convert: Convert, ubt: dict[str, int]) -> Tier:
    where = f"{model}: tier"
    if not isinstance(entry, dict):
        raise PriceInvalid(f"{where}s must be objects.")
    _refuse_unknown(where, entry, {*BUCKETS, "min_input"})
    given = _amounts(where, entry, convert)
    if not given:
        raise PriceInvalid(f"{where}: no bucket has a price.")
    min_input = _limit(f"{where}: min_input", entry.get("min_input"), at_least=1)
    return Tier(min_input=min_input, ubt=tuple(_filled(given, ubt).values()))


def _min_input(tier: Tier) -> int:
    return tier.min_input


def _bounds(model: str, entry: dict[str, Any], current: Price | None) -> dict[str, Any]:
    is_reasoning = entry.get("is_reasoning", current.is_reasoning if current else False)
    if not isinstance(is_reasoning, bool):
        raise PriceInvalid(f"{model}: is_reasoning must be true or false.")
    bounds: dict[str, Any] = {name: getattr(current, name, 0) for name in LIMITS}
    if current is None:
        bounds["usual_output"] = USUAL_REASONING_OUTPUT if is_reasoning else USUAL_OUTPUT
    for name in bounds:
        if name in entry:
            least = 1 if name == "usual_output" else 0
            bounds[name] = _limit(f"{model}: {name}", entry[name], at_least=least)
    return bounds | {"is_reasoning": is_reasoning}


def _limit(where: str, value: Any, *, at_least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise PriceInvalid(f"{where} must be a whole number.")
    if not at_least <= value <= _MAX_LIMIT:
        raise PriceInvalid(f"{where} must be from {at_least} to {_MAX_LIMIT}.")
    return value


def _refuse_unknown(where: str, entry: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise UnknownBucket(
            f"{where}: there is no bucket {_named(unknown[0])}; buckets are {', '.join(BUCKETS)}."
        )


def _named(name: str) -> str:
    """Return a name out of a file as a message can show it: in one short line."""
    return name if name.isprintable() and len(name) <= _LONGEST_NAME else repr(name[:_LONGEST_NAME])


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{_named(name)} is given twice")
    return members
