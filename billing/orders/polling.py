"""Payments that nobody looks at: asked for again, and closed when nobody is to pay them any more.

Called by a job, as `billing.orders.poll_open`, in the scope of all tenants. It finds what was paid
without a word, what a word was left unheeded of because we died, and what could be paid twice.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db.models import F, Max, Q

from billing.errors import PaymentAway
from billing.ledger.clock import database_now
from billing.models import Order, Payment, PaymentEvent
from billing.orders.paying import OPEN, UNPAID, confirm
from billing.payments import REGISTRY
from billing.payments.base import Closing
from billing.scoping import tenant_scope

ASKED_AFTER = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=24),
)
"""When the job asks for a payment that nobody has confirmed, counted from its creation."""
ASKED_UNTIL = timedelta(days=7)
"""For so long a check that was missed, because we or the provider were away, is made up for."""
EVENT_WAITS = timedelta(minutes=1)
"""How long whoever has noted an event gets to act on it."""

_POLLED, _CLOSED, _LATEST_EVENTS = 200, 10, 1_000
_CLOSED_UNTIL = timedelta(days=1)
_log = structlog.get_logger(__name__)


def poll_open(now: datetime | None = None) -> int:
    """Ask for payments that nobody has confirmed, when their time has come; return how many.

    Each check is made by one worker, and made again if the provider was away. Payments with an
    event that nobody has acted on are asked for as well, and those that are not to be paid closed.
    """
    now, asked = now or database_now(), 0
    for payment_id, tenant_id, count in _due(now):
        mine = Payment.objects.filter(pk=payment_id, check_count=count)
        if not mine.update(check_count=count + 1):
            continue
        asked += 1
        if not _try(confirm, payment_id, tenant_id):
            Payment.objects.filter(pk=payment_id).update(check_count=F("check_count") - 1)
    for payment_id, tenant_id in _left_with_an_event(now):
        asked += 1
        _try(confirm, payment_id, tenant_id)
    for payment_id, tenant_id in _not_to_be_paid(now):
        _close_once(payment_id, tenant_id, now)
    return asked


def _due(now: datetime) -> list[tuple[int, int, int]]:
    is_due = Q()
    for count, after in enumerate(ASKED_AFTER):
        is_due |= Q(check_count=count, created_at__lte=now - after)
    payments = Payment.objects.filter(
        is_due,
        check_count__lt=len(ASKED_AFTER),
        status__in=UNPAID,
        created_at__gt=now - ASKED_UNTIL,
    )
    # Those of a provider that stays away must not keep the others from their turn.
    rows = payments.order_by(F("checked_at").asc(nulls_first=True), "pk")[:_POLLED]
    return list(rows.values_list("pk", "tenant_id", "check_count"))


def _left_with_an_event(now: datetime) -> list[tuple[int, int]]:
    """Return payments with a late event that nobody has acted on, asked for some time ago."""
    latest = PaymentEvent.objects.aggregate(id=Max("pk"))["id"] or 0
    events = PaymentEvent.objects.filter(
        pk__gt=latest - _LATEST_EVENTS,
        handled_at=None,
        payment__isnull=False,
        created_at__lte=now - EVENT_WAITS,
    ).exclude(payment__checked_at__gt=now - EVENT_WAITS)
    found = events.order_by("payment__checked_at", "payment_id")[:_POLLED]
    return list(dict.fromkeys(found.values_list("payment_id", "tenant_id")))


def _try(work: Callable[[int], object], payment_id: int, tenant_id: int) -> bool:
    """Do something about a payment; False if its provider was away."""
    try:
        with tenant_scope(tenant_id):
            work(payment_id)
    except PaymentAway as error:
        _log.warning("provider_away", payment=payment_id, problem=str(error))
        return False
    # Whatever is wrong with one payment, or its provider's answer, must not hold up the others.
    except Exception:
        _log.exception("payment_not_confirmed", payment=payment_id)
    return True


def _not_to_be_paid(now: datetime) -> list[tuple[int, int]]:
    """Return what is open at a provider although its order was paid otherwise, or has ended."""
    closing = [name for name, provider in REGISTRY.items() if isinstance(provider, Closing)]
    payments = Payment.objects.filter(
        Q(status__in=OPEN) | Q(status__in=(Payment.CANCELLED, Payment.EXPIRED)),
        provider__in=closing,
        closed_at=None,
        created_at__gt=now - _CLOSED_UNTIL,
    )
    payments = payments.exclude(order__status=Order.PENDING).exclude(redirect_url="", qr_text="")
    rows = payments.order_by(F("checked_at").asc(nulls_first=True), "pk")[:_CLOSED]
    return list(rows.values_list("pk", "tenant_id"))


def _close_once(payment_id: int, tenant_id: int, now: datetime) -> None:
    mine = Payment.objects.filter(pk=payment_id, closed_at=None)
    if mine.update(closed_at=now, checked_at=now) and not _try(_close, payment_id, tenant_id):
        Payment.objects.filter(pk=payment_id).update(closed_at=None)


def _close(payment_id: int) -> None:
    """End a payment at its provider, and see whether somebody was faster."""
    payment = Payment.objects.select_related("instance").get(pk=payment_id)
    provider = REGISTRY[payment.provider]
    if isinstance(provider, Closing):
        provider.close(payment)
    confirm(payment_id)
