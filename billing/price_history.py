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
    Max,
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
    return _entries(tenant_id, Q(model=model))


def changes(tenant_id: int) -> list[Entry]:
    """Return the latest changes of whatever model, newest first; what is merely new is none."""
    return _entries(tenant_id, Q(previous_id__isnull=False))


def in_force_since(tenant_id: int) -> datetime | None:
    """Return since when nothing has changed in what a tenant sells; None if it sells nothing."""
    with all_tenants():  # the platform's list is read by every tenant
        newest: datetime | None = _counting(tenant_id).aggregate(at=Max("valid_from"))["at"]
    return newest


def _begun(tenant_id: int) -> QuerySet[PriceVersion]:
    """Return the versions of the platform's list and of the tenant's own book, up to now."""
    books = PriceBook.objects.filter(
        Q(tenant_id=tenant_id) | Q(tenant__is_platform=True),
        purpose=PriceBook.RETAIL,
        group="",
        customer=None,
    )
    return PriceVersion.objects.filter(book__in=books, valid_from__lte=timezone.now())


def _counting(tenant_id: int) -> QuerySet[PriceVersion]:
    """Return those that have counted: a row of one's own ends what the platform says of a model."""
    begun = _begun(tenant_id)
    replaced_by = begun.filter(
        tenant_id=tenant_id, model=OuterRef("model"), valid_from__lte=OuterRef("valid_from")
    )
    return begun.filter(Q(tenant_id=tenant_id) | ~Exists(replaced_by))


def _with_previous(tenant_id: int) -> QuerySet[PriceVersion]:
    """Return those that have counted, each with the id of the one before it."""
    is_own = Case(
        When(tenant_id=tenant_id, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    earlier = _begun(tenant_id).filter(
        model=OuterRef("model"), valid_from__lt=OuterRef("valid_from")
    )
    previous = earlier.annotate(rank=is_own).order_by("rank", "-valid_from").values("pk")[:1]
    return _counting(tenant_id).annotate(previous_id=Subquery(previous))


def _entries(tenant_id: int, wanted: Q) -> list[Entry]:
    with all_tenants():  # the platform's list is read by every tenant
        shown = _with_previous(tenant_id).filter(wanted).order_by("-valid_from", "model")
        rows = list(shown.prefetch_related("tiers")[:MAX_ENTRIES])
        earlier_ids = [found for row in rows if (found := _previous_id(row)) is not None]
        earlier = PriceVersion.objects.filter(pk__in=earlier_ids).prefetch_related("tiers")
        before = {row.pk: _sold(row) for row in earlier}
        return [
            Entry(row.model, row.valid_from, before.get(_previous_id(row) or 0), _sold(row))
            for row in rows
        ]


def _previous_id(row: PriceVersion) -> int | None:
    found: int | None = getattr(row, "previous_id", None)
    return found


def _sold(row: PriceVersion) -> Price | None:
    return None if row.is_withdrawn else to_price(row)
