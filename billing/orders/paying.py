"""Paying an order: a payment is opened at a provider, asked for, and confirmed.

Called by pages, jobs and the admin as `billing.orders.begin_payment`, `confirm` and `poll_open`.
`confirm` is the only way for an order to become paid: it asks the provider while nothing is locked
and no transaction is open, then locks order, payment and wallets in that order and compares what
it was told with what it reads. So nothing that a browser or a callback says is ever believed.
"""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from billing import outbox
from billing.errors import NotFound, PaymentAway, StateInvalid
from billing.ledger.clock import database_now
from billing.models import Order, Payment, PaymentInstance, ProviderReference
from billing.orders import discounts, states
from billing.orders.fulfilment import fulfil
from billing.payments import ProviderState, Standing, is_offered, provider_of
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

OPEN = (Payment.CREATED, Payment.PENDING)
"""A payment that the buyer may still make."""

_UNPAID = (*OPEN, Payment.FAILED, Payment.CANCELLED, Payment.EXPIRED)
_MAY_BE_PAID = (*_UNPAID, Payment.REVIEW)
_ENDED = {
    Standing.FAILED: Payment.FAILED,
    Standing.CANCELLED: Payment.CANCELLED,
    Standing.EXPIRED: Payment.EXPIRED,
}
_POLLED = 200
_log = structlog.get_logger(__name__)


def begin_payment(order: Order, *, instance_id: int, return_url: str, notify_url: str) -> Payment:
    """Open a payment of an order at a provider, or return the open one; its `redirect_url` is set.

    In `return_url`, where the provider sends the buyer afterwards, `{payment}` stands for the
    payment's public id.
    Raises PaymentAway, NotFound for a way to pay that is not offered, StateInvalid for an order
    that no longer waits to be paid.
    """
    with transaction.atomic(durable=True):
        payment = _open_payment(order.pk, instance_id)
    if payment.status == Payment.PENDING:
        return payment
    provider = provider_of(payment.provider)
    return_url = return_url.replace("{payment}", str(payment.public_id))
    opening = provider.create(payment, return_url=return_url, notify_url=notify_url)
    with transaction.atomic(durable=True):
        order = locked_order(order.pk)
        payment = Payment.objects.select_for_update().get(pk=payment.pk)
        if payment.status == Payment.CREATED:
            payment.redirect_url, payment.qr_text = opening.address, opening.qr_text
            _move(payment, Payment.PENDING, "redirect_url", "qr_text")
            if opening.waits_for is not None:
                _wait_for(opening.waits_for, order, payment)
    return payment


def _wait_for(how_long: timedelta, order: Order, payment: Payment) -> None:
    """Keep an order open for money that takes its time, and mail its buyer how to send it."""
    order.expires_at = max(order.expires_at, database_now() + how_long)
    order.save(update_fields=["expires_at"])
    outbox.write(
        kind="transfer",
        subject_id=order.pk,
        recipient=order.email,
        language=order.language,
        once=f"transfer:{payment.pk}",
        tenant_id=order.tenant_id,
    )


def _open_payment(order_id: int, instance_id: int) -> Payment:
    order, now = locked_order(order_id), database_now()
    if order.status != Order.PENDING or order.expires_at <= now:
        raise StateInvalid("This order no longer waits to be paid.")
    instance = PaymentInstance.objects.filter(pk=instance_id).first()
    if instance is None or not is_offered(instance):
        raise NotFound("There is no such way to pay.")
    open_one = order.payments.filter(instance=instance, status__in=OPEN).first()
    return open_one or Payment.objects.create(
        tenant_id=order.tenant_id,
        order=order,
        instance=instance,
        provider=instance.provider,
        amount_minor=order.total_minor,
        currency=order.currency,
    )


def confirm(payment_id: int) -> Payment:
    """Ask the provider for a payment and book what it says; once, however often it is called.

    Paid as agreed: the order is paid and delivered. Paid otherwise: `review`, nothing is granted.
    Raises PaymentAway, NotFound; RuntimeError inside a transaction, where nobody may be asked.
    """
    with transaction.atomic(durable=True):
        Payment.objects.filter(pk=payment_id).update(checked_at=database_now())
        payment = Payment.objects.select_related("instance").filter(pk=payment_id).first()
    if payment is None:
        raise NotFound(f"There is no payment {payment_id}.")
    if payment.status not in _MAY_BE_PAID:
        return payment
    state = provider_of(payment.provider).fetch(payment)
    with transaction.atomic(durable=True):
        order = locked_order(payment.order_id)
        payment = Payment.objects.select_for_update().get(pk=payment_id)
        _book(order, payment, state)
    return payment


@transaction.atomic
def deliver(order: Order) -> Order:
    """Try again to deliver a paid order that was left to a person. Raises StateInvalid."""
    locked = locked_order(order.pk)
    payment = locked.payments.filter(status=Payment.CONFIRMED).first()
    if payment is None or locked.delivery_status != Order.REVIEW:
        raise StateInvalid("There is nothing to deliver.")
    fulfil(locked, payment, now=database_now())
    return locked


def _book(order: Order, payment: Payment, state: ProviderState) -> None:
    """Take over what a provider has said, in a transaction that has locked order and payment."""
    now = database_now()
    if payment.status in _MAY_BE_PAID:
        if state.status == Standing.PAID:
            book_paid(order, payment, state, now)
        elif state.status in _ENDED and payment.status in OPEN:
            _move(payment, _ENDED[state.status])
    if state.status != Standing.OPEN:
        payment.events.filter(handled_at__isnull=True).update(handled_at=now)


def book_paid(order: Order, payment: Payment, state: ProviderState, now: datetime) -> None:
    """Book a payment that its provider calls paid; order and payment are locked, or new."""
    if payment.status == Payment.CREATED:
        _move(payment, Payment.PENDING)
    reason = _mismatch(order, payment, state)
    if reason:
        _review(order, payment, reason)
        return
    payment.confirmed_at, payment.review_reason = now, ""
    _move(payment, Payment.CONFIRMED, "confirmed_at", "review_reason")
    states.check(states.ORDER, order.status, Order.PAID)
    discounts.take_again(order)
    order.status, order.paid_at = Order.PAID, now
    order.save(update_fields=["status", "paid_at"])
    fulfil(order, payment, now=now)
    _log.info("order_paid", order=order.number, provider=payment.provider)


def _mismatch(order: Order, payment: Payment, state: ProviderState) -> str:
    """Return why a paid payment can't be booked, "" if it can."""
    instance = payment.instance
    if instance is not None and instance.provider != payment.provider:
        return "The instance speaks for another provider now."
    if state.payment is not None and state.payment != payment.public_id:
        return "The provider speaks of another payment."
    if state.currency.upper() != payment.currency or payment.currency != order.currency:
        return f"Paid in {state.currency[:8]}, not {order.currency}."
    if not state.amount_minor == payment.amount_minor == order.total_minor:
        return f"Paid {state.amount_minor}, not {order.total_minor} minor units."
    if not _own_reference(payment, state.reference):
        return "The provider's reference belongs to another payment."
    if Order.PAID not in states.ORDER[order.status]:
        return "The order was paid by another payment."
    return ""


def _own_reference(payment: Payment, reference: str) -> bool:
    """Note the provider's name of the payment; False if it names another one."""
    if payment.instance_id is None or not reference:
        return True
    try:
        known, _ = ProviderReference.objects.get_or_create(
            tenant_id=payment.tenant_id,
            instance_id=payment.instance_id,
            reference=reference,
            defaults={"payment": payment},
        )
    except IntegrityError:
        return False
    return known.payment_id == payment.pk


def _review(order: Order, payment: Payment, reason: str) -> None:
    """Leave a payment to a person; nothing is granted for it."""
    payment.review_reason = reason
    if payment.status == Payment.REVIEW:
        payment.save(update_fields=["review_reason"])
    else:
        _move(payment, Payment.REVIEW, "review_reason")
    if order.delivery_status == Order.NONE:
        order.delivery_status = Order.REVIEW
        order.save(update_fields=["delivery_status"])
    _log.warning("payment_needs_review", order=order.number, reason=reason)


def poll_open(now: datetime | None = None) -> int:
    """Ask for payments that nobody has confirmed, when their time has come; return how many.

    Runs in the scope of all tenants. Each check is made by one worker, and made again if the
    provider was away.
    """
    asked = 0
    for payment_id, tenant_id, count in _due(now or database_now()):
        mine = Payment.objects.filter(pk=payment_id, check_count=count)
        if not mine.update(check_count=count + 1):
            continue
        asked += 1
        with tenant_scope(tenant_id):
            _ask_again(payment_id)
    return asked


def _due(now: datetime) -> list[tuple[int, int, int]]:
    is_due = Q()
    for count, after in enumerate(ASKED_AFTER):
        is_due |= Q(check_count=count, created_at__lte=now - after)
    payments = Payment.objects.filter(
        is_due,
        check_count__lt=len(ASKED_AFTER),
        status__in=_UNPAID,
        created_at__gt=now - ASKED_UNTIL,
    )
    # Those of a provider that stays away must not keep the others from their turn.
    rows = payments.order_by(F("checked_at").asc(nulls_first=True), "pk")[:_POLLED]
    return list(rows.values_list("pk", "tenant_id", "check_count"))


def _ask_again(payment_id: int) -> None:
    try:
        confirm(payment_id)
    except PaymentAway as error:
        Payment.objects.filter(pk=payment_id).update(check_count=F("check_count") - 1)
        _log.warning("provider_away", payment=payment_id, problem=str(error))
    # Whatever is wrong with one payment, or its provider's answer, must not hold up the others.
    except Exception:
        _log.exception("payment_not_confirmed", payment=payment_id)


def _move(payment: Payment, status: str, *also: str) -> None:
    states.check(states.PAYMENT, payment.status, status)
    payment.status = status
    payment.save(update_fields=["status", *also])


def locked_order(order_id: int) -> Order:
    """Return an order, locked until the transaction ends. Raises NotFound."""
    order = Order.objects.select_for_update().filter(pk=order_id).first()
    if order is None:
        raise NotFound(f"There is no order {order_id}.")
    return order
