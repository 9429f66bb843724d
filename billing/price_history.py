"""How a shop's prices came to be what they are. Read by the pages that list models.

A shop sells by the platform's list until it publishes a price of its own for a model; from then on
its own rows count, as in `catalogue`.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import (
    Case,
    Exists,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.utils import timezone

from billing.catalogue import to_price
from billing.models import PriceBook, PriceVersion
from billing.pricing import Price
from billing.scoping import all_tenants

MAX_ENTRIES = 50


@dataclass(frozen=True)
class Entry:
    """A price from a moment on. `before` is None for the first, `after` for a model withdrawn."""

    model: str
    valid_from: datetime
    before: Price | None
    after: Price | None


def of_model(tenant_id: int, model: str) -> list[Entry]:
    """Return the latest prices of one model, newest first; at most MAX_ENTRIES."""
    with all_tenants():  # the platform's list is read by every tenant
        return _entries(_shown(tenant_id).filter(model=model))


def changes(tenant_id: int) -> list[Entry]:
    """Return the latest changes of whatever model, newest first; what is merely new is none."""
    with all_tenants():  # the platform's list is read by every tenant
        return _entries(_shown(tenant_id).filter(previous_id__isnull=False))


def in_force_since(tenant_id: int) -> datetime | None:
    """Return since when nothing has changed in what a tenant sells; None if it sells nothing."""
    with all_tenants():  # the platform's list is read by every tenant
        newest = _shown(tenant_id).order_by("-valid_from").first()
    return newest.valid_from if newest else None


def _shown(tenant_id: int) -> QuerySet[PriceVersion]:
    """Return the versions that have counted for a tenant, each with the one before it."""
    books = PriceBook.objects.filter(
        Q(tenant_id=tenant_id) | Q(tenant__is_platform=True),
        purpose=PriceBook.RETAIL,
        group="",
        customer=None,
    )
    begun = PriceVersion.objects.filter(book__in=books, valid_from__lte=timezone.now())
    replaced_by = begun.filter(
        tenant_id=tenant_id, model=OuterRef("model"), valid_from__lte=OuterRef("valid_from")
    )
    is_own = Case(
        When(tenant_id=tenant_id, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    earlier = begun.filter(model=OuterRef("model"), valid_from__lt=OuterRef("valid_from"))
    previous = earlier.annotate(rank=is_own).order_by("rank", "-valid_from").values("pk")[:1]
    return begun.filter(Q(tenant_id=tenant_id) | ~Exists(replaced_by)).annotate(
        previous_id=Subquery(previous)
    )


def _entries(shown: QuerySet[PriceVersion]) -> list[Entry]:
    rows = list(shown.order_by("-valid_from", "model").prefetch_related("tiers")[:MAX_ENTRIES])
    wanted = {getattr(row, "previous_id", None) for row in rows} - {None}
    before = {row.pk: row for row in PriceVersion.objects.filter(pk__in=wanted)}
    return [
        Entry(
            model=row.model,
            valid_from=row.valid_from,
            before=_sold(before.get(getattr(row, "previous_id", None))),
            after=_sold(row),
        )
        for row in rows
    ]


def _sold(row: PriceVersion | None) -> Price | None:
    return None if row is None or row.is_withdrawn else to_price(row)
