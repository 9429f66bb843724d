"""Paying an order: a payment is opened at a provider, asked for, and confirmed.

Called by pages, jobs and the admin as `billing.orders.begin_payment`, `confirm` and `deliver`.
`confirm` is the only way for an order to become paid: it asks the provider while nothing is locked
and no transaction is open, then locks order, payment and wallets in that order and compares what
it was told with what it reads. So nothing that a browser or a callback says is ever believed.
"""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction

from billing import outbox
from billing.errors import NotFound, StateInvalid
from billing.ledger.clock import database_now
from billing.models import Order, Payment, PaymentInstance, ProviderReference
from billing.orders import discounts, disputes, receipts, refunding, returns, states
from billing.orders.fulfilment import fulfil
from billing.orders.locks import locked_order, locked_payment
from billing.payments import ProviderState, Standing, is_offered, provider_of

OPEN = (Payment.CREATED, Payment.PENDING)
"""A payment that the buyer may still make."""

UNPAID = (*OPEN, Payment.FAILED, Payment.CANCELLED, Payment.EXPIRED)
"""A payment of which no money is known; it may have been made all the same."""

_MAY_BE_PAID = (*UNPAID, Payment.REVIEW)
_ENDED = {
    Standing.FAILED: Payment.FAILED,
    Standing.CANCELLED: Payment.CANCELLED,
    Standing.EXPIRED: Payment.EXPIRED,
}
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
    Of a payment that was paid before: what has gone back, and what is disputed.
    Raises PaymentAway, NotFound; RuntimeError inside a transaction, where nobody may be asked.
    """
    asked_at = database_now()
    with transaction.atomic(durable=True):
        Payment.objects.filter(pk=payment_id).update(checked_at=asked_at)
        payment = Payment.objects.select_related("instance").filter(pk=payment_id).first()
    if payment is None:
        raise NotFound(f"There is no payment {payment_id}.")
    state = provider_of(payment.provider).fetch(payment)
    refunding.ask_for_open(payment)
    with transaction.atomic(durable=True):
        order, payment = locked_payment(payment_id)
        _book(order, payment, state, asked_at)
    return payment


@transaction.atomic
def deliver(order: Order) -> Order:
    """Try again to deliver a paid order that was left to a person. Raises StateInvalid."""
    locked = locked_order(order.pk)
    payment = locked.payments.filter(status=Payment.CONFIRMED).first()
    if payment is None or locked.delivery_status != Order.REVIEW or returns.begun(payment):
        raise StateInvalid("There is nothing to deliver.")
    fulfil(locked, payment, now=database_now())
    return locked


def _book(order: Order, payment: Payment, state: ProviderState, asked_at: datetime) -> None:
    """Take over what a provider has said, in a transaction that has locked order and payment."""
    now = database_now()
    if payment.status in _MAY_BE_PAID:
        if state.status == Standing.PAID:
            book_paid(order, payment, state, now)
        elif state.status in _ENDED and payment.status in OPEN:
            _move(payment, _ENDED[state.status])
    if returns.received(payment) and _is_about(payment, state):
        refunding.book_gone(order, payment, state, asked_at=asked_at)
        disputes.book(order, payment, state.disputes)
    receipts.bring_up_to_date(payment)
    if state.status != Standing.OPEN:
        payment.events.filter(handled_at__isnull=True).update(handled_at=now)


def _is_about(payment: Payment, state: ProviderState) -> bool:
    """Tell whether an answer speaks of money of this payment at all."""
    is_ours = state.payment is None or state.payment == payment.public_id
    return state.status == Standing.PAID and is_ours and state.currency.upper() == payment.currency


def book_paid(order: Order, payment: Payment, state: ProviderState, now: datetime) -> None:
    """Book a payment that its provider calls paid; order and payment are locked, or new."""
    if returns.begun(payment):
        return  # it was in review, and its money goes back, or a bank wants it: nothing is granted
    if payment.status == Payment.CREATED:
        _move(payment, Payment.PENDING)
    payment.received_minor = _received(payment, state)
    reason = _mismatch(order, payment, state)
    if reason:
        _review(order, payment, reason)
        return
    payment.confirmed_at, payment.review_reason = now, ""
    _move(payment, Payment.CONFIRMED, "confirmed_at", "received_minor", "review_reason")
    states.check(states.ORDER, order.status, Order.PAID)
    discounts.take_again(order)
    order.status, order.paid_at = Order.PAID, now
    order.save(update_fields=["status", "paid_at"])
    fulfil(order, payment, now=now)
    _log.info("order_paid", order=order.number, provider=payment.provider)


def _received(payment: Payment, state: ProviderState) -> int:
    """Return what has come and stayed; if nothing stayed, what there was to be given back."""
    kept_minor = max(state.amount_minor - state.refunded_minor, 0)
    return kept_minor or payment.received_minor or state.refunded_minor


def _mismatch(order: Order, payment: Payment, state: ProviderState) -> str:
    """Return why a paid payment can't be booked, "" if it can."""
    instance = payment.instance
    if instance is not None and instance.provider != payment.provider:
        return "The instance speaks for another provider now."
    if state.payment is not None and state.payment != payment.public_id:
        return "The provider speaks of another payment."
    if not all(_own_reference(payment, name) for name in (state.reference, *state.also_known_as)):
        return "The provider's reference belongs to another payment."
    if state.currency.upper() != payment.currency or payment.currency != order.currency:
        return f"Paid in {state.currency[:8]}, not {order.currency}."
    kept_minor = state.amount_minor - state.refunded_minor
    if not kept_minor == payment.amount_minor == order.total_minor:
        return f"Paid {kept_minor}, not {order.total_minor} minor units."
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
        payment.save(update_fields=["received_minor", "review_reason"])
    else:
        _move(payment, Payment.REVIEW, "received_minor", "review_reason")
    if order.delivery_status == Order.NONE:
        order.delivery_status = Order.REVIEW
        order.save(update_fields=["delivery_status"])
    _log.warning("payment_needs_review", order=order.number, reason=reason)


def _move(payment: Payment, status: str, *also: str) -> None:
    states.check(states.PAYMENT, payment.status, status)
    payment.status = status
    payment.save(update_fields=["status", *also])
