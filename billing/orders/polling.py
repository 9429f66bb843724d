"""Payments that nobody looks at: asked for again, and closed when nobody is to pay them any more.

Called by a job, as `billing.orders.poll_open`, in the scope of all tenants. It finds what was paid
without a word, what a word was left unheeded of because we died, and what could be paid twice.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

import structlog
from django.db.models import F, Q, QuerySet

from billing.errors import PaymentAway
from billing.ledger.clock import database_now
from billing.models import Order, Payment, PaymentEvent
from billing.orders.paying import UNPAID, confirm
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
"""For so long is made up for a check that was missed, or an event that nobody has acted on, because
we or the provider were away."""
EVENT_WAITS = timedelta(minutes=1)
"""How long whoever has noted an event gets to act on it."""

_POLLED, _CLOSED = 200, 10
_PASS_S, _MOST_FAILURES = 120, 3
_CLOSED_UNTIL = timedelta(days=1)
_log = structlog.get_logger(__name__)


def poll_open(now: datetime | None = None) -> int:
    """Ask for payments that nobody has confirmed, when their time has come; return how many.

    Each check is made by one worker, and made again if the provider was away. Payments with an
    event that nobody has acted on are asked for as well, and those that are not to be paid closed.
    """
    now, this_pass = now or database_now(), _Pass()
    for payment in this_pass.over(_due(now)):
        mine = Payment.objects.filter(pk=payment.pk, check_count=payment.check_count)
        if mine.update(check_count=F("check_count") + 1) and not this_pass.asks(confirm, payment):
            Payment.objects.filter(pk=payment.pk).update(check_count=F("check_count") - 1)
    for payment in this_pass.over(_left_with_an_event(now)):
        this_pass.asks(confirm, payment)
    asked_count = this_pass.asked_count
    for payment in this_pass.over(_not_to_be_paid(now)):
        mine = Payment.objects.filter(pk=payment.pk, closed_at=None)
        if mine.update(closed_at=now, checked_at=now) and not this_pass.asks(_close, payment):
            Payment.objects.filter(pk=payment.pk).update(closed_at=None)
    return asked_count


class _Pass:
    """One pass over payments. It ends in time, and leaves an account alone that stays away.

    So a shop whose gateway answers nobody does not keep the payments of others waiting.
    """

    def __init__(self) -> None:
        self.asked_count = 0
        self._ends_at = time.monotonic() + _PASS_S
        self._failures: Counter[int | None] = Counter()

    def over(self, payments: Iterable[Payment]) -> Iterator[Payment]:
        """Give those of payments that are to be asked for in this pass."""
        for payment in payments:
            if time.monotonic() >= self._ends_at:
                return
            if self._failures[payment.instance_id] < _MOST_FAILURES:
                yield payment

    def asks(self, work: Callable[[int], object], payment: Payment) -> bool:
        """Do something about a payment; False if its provider was away."""
        self.asked_count += 1
        try:
            with tenant_scope(payment.tenant_id):
                work(payment.pk)
        except PaymentAway as error:
            _log.warning("provider_away", payment=payment.pk, problem=str(error))
            self._failures[payment.instance_id] += 1
            return False
        # Whatever is wrong with one payment, or its provider's answer, must not hold up the others.
        except Exception:
            _log.exception("payment_not_confirmed", payment=payment.pk)
        return True


def _due(now: datetime) -> QuerySet[Payment]:
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
    return payments.order_by(F("checked_at").asc(nulls_first=True), "pk")[:_POLLED]


def _left_with_an_event(now: datetime) -> QuerySet[Payment]:
    """Return payments with an event that nobody has acted on, asked for some time ago."""
    events = PaymentEvent.objects.filter(
        handled_at=None,
        payment__isnull=False,
        created_at__lte=now - EVENT_WAITS,
        created_at__gt=now - ASKED_UNTIL,
    )
    payments = Payment.objects.filter(pk__in=events.values("payment_id"))
    payments = payments.exclude(checked_at__gt=now - EVENT_WAITS)
    return payments.order_by(F("checked_at").asc(nulls_first=True), "pk")[:_POLLED]


def _not_to_be_paid(now: datetime) -> QuerySet[Payment]:
    """Return what is open at a provider although its order was paid otherwise, or has ended."""
    closing = [name for name, provider in REGISTRY.items() if isinstance(provider, Closing)]
    payments = Payment.objects.filter(
        # So young a payment still has its last check before it, which an index knows.
        check_count__lt=len(ASKED_AFTER),
        created_at__gt=now - _CLOSED_UNTIL,
        status__in=UNPAID,
        provider__in=closing,
        closed_at=None,
    ).exclude(status=Payment.FAILED)
    payments = payments.exclude(order__status=Order.PENDING).exclude(redirect_url="", qr_text="")
    return payments.order_by(F("checked_at").asc(nulls_first=True), "pk")[:_CLOSED]


def _close(payment_id: int) -> None:
    """End a payment at its provider, and see whether somebody was faster."""
    payment = Payment.objects.select_related("instance").get(pk=payment_id)
    provider = REGISTRY[payment.provider]
    if isinstance(provider, Closing):
        provider.close(payment)
    confirm(payment_id)
