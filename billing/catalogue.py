"""What is sold at which price: published as dated rows, read as of now.

Called by commands, admin, portal and the relay's snapshot. The platform's retail book is the list
that every shop sells by; a row of the shop's own book goes before it. Published rows are immutable:
a new price is a new row, and running requests keep the one they were admitted with.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from billing import price_files
from billing.errors import AmountInexact
from billing.models import PriceBook, PriceTier, PriceVersion
from billing.models.price import BucketPrices
from billing.pricing import BUCKETS, Price, Tier
from billing.scoping import all_tenants
from billing.units import UBT_PER_BASE_TOKEN, to_ubt

STARTER_FILE = Path(__file__).with_name("data").joinpath("starter_prices.json")

_COLUMNS = tuple(f"{bucket}_ubt" for bucket in BUCKETS)
_half_even = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Change:
    """A model whose price a load has changed; `before` is None for a model new to the book."""

    model: str
    before: Price | None
    after: Price


def load_retail(tenant_id: int, data: Mapping[str, Any]) -> list[Change]:
    """Publish a price file's models in a tenant's retail book, from now on, in the open scope.

    Amounts are base tokens per unit. All or nothing; a price that is as it was publishes nothing.
    What the file does not say of a model (its limits) is kept. Raises PriceInvalid, UnknownBucket.
    """
    with transaction.atomic():
        book = locked_retail_book(tenant_id)
        # Under the book's lock, so that what is kept is what another load has just published.
        wanted = price_files.prices(data, convert=to_ubt, current=current_prices(tenant_id))
        own = _prices_by_tenant(PriceBook.objects.filter(pk=book.pk))[tenant_id]
        changes = [
            Change(price.model, own.get(price.model), price)
            for price in wanted
            if unpublished(own.get(price.model)) != price
        ]
        publish(book, [change.after for change in changes])
    return changes


def locked_retail_book(tenant_id: int) -> PriceBook:
    """Return a tenant's retail book, in the open scope; nobody else publishes in it meanwhile."""
    book, _ = PriceBook.objects.select_for_update().get_or_create(
        tenant_id=tenant_id, purpose=PriceBook.RETAIL, group="", customer=None
    )
    return book


def publish(book: PriceBook, prices: Iterable[Price]) -> list[PriceVersion]:
    """Write prices into a book, valid from now, in the open scope."""
    prices = list(prices)
    now = timezone.now()
    versions = PriceVersion.objects.bulk_create(
        PriceVersion(tenant_id=book.tenant_id, book=book, valid_from=now, **version_columns(price))
        for price in prices
    )
    PriceTier.objects.bulk_create(
        PriceTier(tenant_id=book.tenant_id, version=version, **tier_columns(tier))
        for version, price in zip(versions, prices, strict=True)
        for tier in price.tiers
    )
    return versions


def current_prices(tenant_id: int) -> dict[str, Price]:
    """Return what a tenant sells now, by model: the platform's list under the tenant's own rows."""
    return price_lists([tenant_id])[tenant_id]


def price_lists(tenant_ids: Iterable[int]) -> dict[int, dict[str, Price]]:
    """Return what each of these tenants sells now, in three queries; shared rows are shared."""
    tenant_ids = list(tenant_ids)
    with all_tenants():  # the platform's list is read by every tenant
        books = PriceBook.objects.filter(purpose=PriceBook.RETAIL, group="", customer=None)
        books = books.select_related("tenant").filter(
            Q(tenant_id__in=tenant_ids) | Q(tenant__is_platform=True)
        )
        platform = {book.tenant_id for book in books if book.tenant.is_platform}
        own = _prices_by_tenant(books)
    shared = {model: row for tenant_id in platform for model, row in own[tenant_id].items()}
    return {
        tenant_id: {model: row for model, row in (shared | own.get(tenant_id, {})).items() if row}
        for tenant_id in tenant_ids
    }


def _prices_by_tenant(books: QuerySet[PriceBook]) -> dict[int, dict[str, Price | None]]:
    """Return each book's newest prices; None where a model is withdrawn."""
    begun = PriceVersion.objects.filter(book__in=books, valid_from__lte=timezone.now())
    newer = begun.filter(
        book=OuterRef("book"), model=OuterRef("model"), valid_from__gt=OuterRef("valid_from")
    )
    newest = begun.filter(~Exists(newer)).order_by("model").prefetch_related("tiers")
    prices: dict[int, dict[str, Price | None]] = {book.tenant_id: {} for book in books}
    for row in newest:
        prices[row.tenant_id][row.model] = None if row.is_withdrawn else to_price(row)
    return prices


def price(version_id: int) -> Price:
    """Return a pinned price, of whichever book."""
    with all_tenants():
        return to_price(PriceVersion.objects.prefetch_related("tiers").get(pk=version_id))


def pinned(version_ids: Collection[int]) -> dict[int, tuple[Price, datetime]]:
    """Return pinned prices, of whichever book, and since when each was valid."""
    if not version_ids:
        return {}
    with all_tenants():
        rows = PriceVersion.objects.filter(pk__in=version_ids).prefetch_related("tiers")
        return {row.pk: (to_price(row), row.valid_from) for row in rows}


def to_price(row: PriceVersion) -> Price:
    """Return a stored version in the form in which charges are computed."""
    tiers = sorted((tier.min_input, _ubt(tier)) for tier in row.tiers.all())
    return Price(
        id=row.pk,
        model=row.model,
        ubt=_ubt(row),
        tiers=tuple(Tier(min_input, ubt) for min_input, ubt in tiers),
        context_limit=row.context_limit,
        output_limit=row.output_limit,
        usual_output=row.usual_output,
        image_input_tokens=row.image_input_tokens,
        audio_second_tokens=row.audio_second_tokens,
        file_input_tokens=row.file_input_tokens,
        is_reasoning=row.is_reasoning,
    )


def version_columns(price: Price) -> dict[str, Any]:
    """Return a price as columns of a version, without its book."""
    columns = msgspec.structs.asdict(price)
    for name in ("id", "ubt", "tiers"):
        del columns[name]
    return columns | dict(zip(_COLUMNS, price.ubt, strict=True))


def tier_columns(tier: Tier) -> dict[str, int]:
    """Return a tier as columns, without its version."""
    return {"min_input": tier.min_input, **dict(zip(_COLUMNS, tier.ubt, strict=True))}


def starter_prices(base_usd_per_million: str) -> list[Price]:
    """Return the vendors' list prices that an installation starts with, in base tokens."""
    base = Decimal(base_usd_per_million)
    models = price_files.parse(STARTER_FILE.read_text(encoding="utf-8"))["models"]
    facts = {
        model: {name: value for name, value in entry.items() if name not in {"source", "date"}}
        for model, entry in models.items()
    }
    return price_files.prices(
        facts, convert=lambda usd: usd_per_million_to_ubt(Decimal(usd), base), current={}
    )


def usd_per_million_to_ubt(usd: Decimal, base: Decimal) -> int:
    """Return USD per million units as ubt per unit, where a base token costs `base` per million.

    Rounded half to even, once, to 1 ubt. Raises AmountInexact for what is no number.
    """
    try:
        ratio = _half_even.divide(_half_even.multiply(usd, UBT_PER_BASE_TOKEN), base)
        return int(_half_even.to_integral_value(ratio))
    except (ArithmeticError, ValueError):
        raise AmountInexact(f"{usd} USD at {base} a million is not a price") from None


def unpublished(price: Price | None) -> Price | None:
    """Return a price as a file would give it, to compare it with one."""
    return price and msgspec.structs.replace(price, id=0)


def _ubt(row: BucketPrices) -> tuple[int, ...]:
    return tuple(getattr(row, column) for column in _COLUMNS)
