"""Proves that payments granted what was agreed, no more and no less. Called by `reconcile`.

A payment's grants are transfers named `<payment>:<line>:<index>`. What is read first was written
no later than what is read afterwards, so no snapshot is needed: rows of both kinds only come in
together, and none of them ever goes.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple, TypeVar
from uuid import UUID

from django.db.models import Max, Model, QuerySet

from billing.models import Order, OrderLine, Payment, PaymentEvent, Transfer

EVENT_WAITS = timedelta(minutes=10)
"""How long an event may wait for somebody to act on it."""

_PAGE = 100
_LATEST = 1_000
_NOBODY = UUID(int=0)
_KINDS = ("purchase", "redeem", "promo")

M = TypeVar("M", bound=Model)


class Odd(NamedTuple):
    """What is not as it must be."""

    tenant_id: int
    invariant: str
    subject: str
    observed: str
    expected: str


def odd_payments(
    *, tenant_id: int | None, since: datetime | None, now: datetime, most: int
) -> list[Odd]:
    """Return up to so many findings, of one tenant or of all; only of what came `since` then."""
    payments = Payment.objects.filter(confirmed_at__isnull=False)
    grants = Transfer.objects.filter(source="payment", kind__in=_KINDS)
    events = PaymentEvent.objects.filter(handled_at=None, created_at__lte=now - EVENT_WAITS)
    if since is not None:
        payments = _latest(payments).filter(confirmed_at__gte=since)
        grants = _latest(grants)
    if tenant_id is not None:
        payments, grants = payments.filter(tenant=tenant_id), grants.filter(tenant=tenant_id)
        events = events.filter(tenant=tenant_id)
    return list(islice(_odd(payments, grants, events), most))


def _odd(
    payments: QuerySet[Payment], grants: QuerySet[Transfer], events: QuerySet[PaymentEvent]
) -> Iterator[Odd]:
    for page in _pages(payments):
        yield from _granted_otherwise(page)
    for some in _pages(grants):
        yield from _granted_for_nothing(some)
    for late in _pages(events):
        for event in late:
            waits = f"waits since {event.created_at:%Y-%m-%d %H:%M:%S}"
            yield Odd(event.tenant_id, "I12", event.event_id[:64], waits, "handled")


def _latest(rows: QuerySet[M]) -> QuerySet[M]:
    """Return the rows of the last thousand ids, which an index finds, whatever else is asked."""
    last = rows.model._base_manager.aggregate(id=Max("pk"))["id"] or 0
    return rows.filter(pk__gt=last - _LATEST)


def _pages(rows: QuerySet[M]) -> Iterator[list[M]]:
    page = list(rows.order_by("pk")[:_PAGE])
    while page:
        yield page
        page = list(rows.order_by("pk").filter(pk__gt=page[-1].pk)[:_PAGE])


def _granted_otherwise(payments: list[Payment]) -> Iterator[Odd]:
    """Find delivered payments whose transfers don't sum up to what their orders' lines grant."""
    delivered = OrderLine.objects.filter(
        order__in=[payment.order_id for payment in payments],
        order__delivery_status=Order.DELIVERED,
    )
    lines = defaultdict(list)
    for line in delivered:
        lines[line.order_id].append(line)
    names = {
        f"{payment.public_id}:{line.pk}:{index}": payment.pk
        for payment in payments
        for line in lines[payment.order_id]
        for index in range(line.quantity)
    }
    granted = _sums(names, tenant_ids={payment.tenant_id for payment in payments})
    for payment in payments:
        observed, subject = granted.get(payment.pk, 0), str(payment.public_id)
        expected = sum(line.quantity * line.grant_ubt for line in lines[payment.order_id])
        if lines[payment.order_id] and observed != expected:
            yield Odd(payment.tenant_id, "I5 payment", subject, str(observed), str(expected))


def _sums(names: dict[str, int], *, tenant_ids: set[int]) -> dict[int, int]:
    """Return what was granted by transfers of these names, by payment.

    The index of their names begins with the tenant.
    """
    grants = Transfer.objects.filter(
        tenant__in=tenant_ids, source="payment", source_id__in=list(names)
    )
    sums: dict[int, int] = {}
    for name, amount_ubt in grants.values_list("source_id", "amount_ubt"):
        sums[names[name]] = sums.get(names[name], 0) + amount_ubt
    return sums


def _granted_for_nothing(grants: list[Transfer]) -> Iterator[Odd]:
    """Find transfers in the name of a payment that was not confirmed, or has no such line."""
    names = {grant.pk: _parts(grant.source_id) for grant in grants}
    payments = Payment.objects.filter(
        public_id__in={payment for payment, _, _ in names.values()}, confirmed_at__isnull=False
    )
    orders = dict(payments.values_list("public_id", "order_id"))
    lines = OrderLine.objects.filter(order__in=orders.values())
    quantities = {(line.order_id, line.pk): line.quantity for line in lines}
    for grant in grants:
        payment, line, index = names[grant.pk]
        if index >= quantities.get((orders.get(payment, 0), line), 0):
            observed = str(grant.amount_ubt)
            yield Odd(grant.tenant_id, "I5 transfer", str(grant.pk), observed, "0")


def _parts(name: str) -> tuple[UUID, int, int]:
    """Return payment, line and index of a grant; none that exist for what is no such name."""
    try:
        payment, line, index = name.split(":")
        return UUID(payment), int(line), int(index)
    except ValueError:
        return _NOBODY, 0, 0
