"""What vendors list, compared with what is sold; a person decides what of it is published.

Called by `sync_prices` and the admin. The list is a file that comes with each version: prices in
dollars, each with its source and date. Nothing of it counts until it is applied to a price book.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from billing import catalogue, price_files
from billing.catalogue import Change
from billing.pricing import BUCKETS, Price, rates
from billing.units import exact_base_tokens

LIST_FILE = Path(__file__).with_name("data").joinpath("prices.json")
HAND_FILE = LIST_FILE.with_name("hand_prices.json")

PER_MILLION = 1_000_000
PER_UNIT = ("image", "second", "request", "search")
"""Buckets whose price in the file is for one unit; that of every other one is for a million."""

ABOUT = ("vendor", "kind", "source", "date", "note")
"""What a row says beside its prices."""

_SHOWN_LIMITS = (*price_files.LIMITS, "is_reasoning")
_NEW = {"usual_output": price_files.USUAL_OUTPUT, "is_reasoning": False}
"""What is assumed of a model that nobody has said anything of."""


@dataclass(frozen=True)
class Listed:
    """What is known of a model on the vendors' list beside its price."""

    model: str
    vendor: str
    kind: str
    source: str
    date: str


@dataclass(frozen=True)
class Difference:
    """One figure of a model, as text in base tokens or tokens; `before` is None if it is new."""

    name: str
    before: str | None
    after: str
    min_input: int = 0


@dataclass(frozen=True)
class Comparison:
    """The list beside what a tenant sells: `same` is how many models are priced as listed."""

    changes: tuple[Change, ...]
    same: int
    not_listed: tuple[str, ...]


@cache
def listed() -> Mapping[str, Listed]:
    """Return every model on the list, by name."""
    return {
        model: Listed(model, row["vendor"], row["kind"], row["source"], row["date"])
        for model, row in _file()["models"].items()
    }


@cache
def fingerprint() -> str:
    """Return a hash of the list, which tells whether it is still the one that was looked at."""
    return sha256(LIST_FILE.read_bytes()).hexdigest()


def origin() -> Mapping[str, str]:
    """Return where the list was taken from, and when."""
    origin: Mapping[str, str] = _file()["origin"]
    return origin


def compare(tenant_id: int) -> Comparison:
    """Return how the list differs from what a tenant sells now, model by model."""
    sold = catalogue.current_prices(tenant_id)
    wanted = _prices(sold)
    changes = [
        Change(price.model, sold.get(price.model), price)
        for price in wanted
        if not _is_same(sold.get(price.model), price)
    ]
    not_listed = sorted(sold.keys() - listed().keys())
    return Comparison(tuple(changes), len(wanted) - len(changes), tuple(not_listed))


def apply(tenant_id: int, *, models: Collection[str]) -> list[Change]:
    """Publish the listed prices of these models in a tenant's retail book, in the open scope.

    They count from now. A model that is not on the list, or is sold as listed, is left alone.
    """
    with transaction.atomic():
        book = catalogue.locked_retail_book(tenant_id)
        # Under the book's lock, so that what is kept is what another has just published.
        changes = [change for change in compare(tenant_id).changes if change.model in models]
        catalogue.publish(book, [change.after for change in changes])
    return changes


def differences(change: Change) -> list[Difference]:
    """Return the figures that a change sets, in the order of the buckets, tiers and limits last.

    A bucket that costs what it is a part of is not told apart from it.
    """
    before, after = change.before, change.after
    tiers = after.tiers + (before.tiers if before else ())
    found = _bucket_differences(before, after, 0)
    told = {(one.name, one.before, one.after) for one in found}
    for min_input in sorted({tier.min_input for tier in tiers}):
        longer = _bucket_differences(before, after, min_input)
        found += [one for one in longer if (one.name, one.before, one.after) not in told]
    for name in _SHOWN_LIMITS:
        was, will_be = getattr(before, name, _NEW.get(name, 0)), getattr(after, name)
        if was != will_be:
            found.append(Difference(name, _word(was) if before else None, _word(will_be)))
    return found


def usd_rows(models: Mapping[str, Any]) -> dict[str, Any]:
    """Return rows of a list as a price file has them: all prices for a million units."""
    return {model: _million(row) for model, row in models.items()}


def _bucket_differences(before: Price | None, after: Price, min_input: int) -> list[Difference]:
    old = _named_rates(before, min_input) if before else {}
    new = _named_rates(after, min_input)
    return [
        Difference(
            name, exact_base_tokens(old[name]) if old else None, exact_base_tokens(ubt), min_input
        )
        for name, ubt in new.items()
        if old.get(name, 0) != ubt
        if not (_is_part(old, name) and _is_part(new, name))
    ]


def _named_rates(price: Price, min_input: int) -> dict[str, int]:
    return dict(zip(BUCKETS, rates(price, min_input), strict=True))


def _is_part(ubt: Mapping[str, int], bucket: str) -> bool:
    """Tell whether a bucket costs what the bucket costs that it is a part of."""
    whole = price_files.PART_OF.get(bucket)
    return whole is not None and ubt.get(bucket) == ubt.get(whole)


def _word(value: int | bool) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _is_same(sold: Price | None, wanted: Price) -> bool:
    return sold is not None and catalogue.unpublished(sold) == wanted


def _prices(sold: Mapping[str, Price]) -> list[Price]:
    base = Decimal(settings.BASE_TOKEN_USD_PER_MILLION)
    return price_files.prices(
        usd_rows(_file()["models"]),
        convert=lambda usd: catalogue.usd_per_million_to_ubt(Decimal(usd), base),
        current=sold,
    )


def _million(row: Mapping[str, Any]) -> dict[str, Any]:
    prices = {name: value for name, value in row.items() if name not in ABOUT}
    for bucket in PER_UNIT:
        if bucket in prices:
            prices[bucket] = Decimal(prices[bucket]) * PER_MILLION
    if "tiers" in prices:
        prices["tiers"] = [_million(tier) for tier in prices["tiers"]]
    return prices


@cache
def _file() -> dict[str, Any]:
    return price_files.parse(LIST_FILE.read_text(encoding="utf-8"))
