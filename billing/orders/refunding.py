"""Refunds: base tokens are taken back and the provider is asked for the money, each once.

Called by the admin and a job, as `billing.orders.refund`, `settle` and `poll_refunds`; what a
provider did by itself comes in by `confirm`. A refund is committed, with what it takes back, before
anybody is asked; it is asked for outside of all locks, and the answer is booked by whoever has it
first. Where it stays unknown whether money went, a provider that gives back once for two questions
is asked again; with another one, the refund waits in `review` for a person.
"""

import time
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F

from billing import outbox
from billing.errors import FieldInvalid, PaymentAway, StateInvalid
from billing.ledger.clock import database_now
from billing.models import Order, Payment, Refund
from billing.orders import receipts, returns
from billing.orders.locks import locked_payment
from billing.orders.returns import RefundQuote as RefundQuote
from billing.orders.returns import quote as quote
from billing.payments import REGISTRY, ProviderState, Standing
from billing.payments.base import Outcome, Refunding, RefundState
from billing.scoping import tenant_scope

BACK_OFF = (
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
)
"""How long to wait after each question; the last for all that follow. The first is longer than any
provider is waited for."""
NO_ANSWER_FOR, NO_END_FOR = timedelta(days=3), timedelta(days=30)
"""When a person has to look: at a question without an answer, and at a refund without an end."""

_UNSENT_FOR = timedelta(minutes=1)
_POLLED, _PASS_S = 100, 120
_MOST_FAILURE = _MOST_REASON = 200
_MOST_ACTOR = 64
_UNDECIDED = (Refund.PENDING, Refund.REVIEW)
_REFUNDABLE = (Payment.CONFIRMED, Payment.PARTLY_REFUNDED, Payment.REVIEW)
_log = structlog.get_logger(__name__)


def refund(
    payment_id: int, *, refund_id: UUID, amount_minor: int, actor: str, reason: str
) -> Refund:
    """Give money of a payment back, once for each `refund_id`; return how that stands.

    A payment in review is given back whole. Where the provider gives nothing back, the refund is
    done: whoever asked for it pays. Raises NotFound, StateInvalid for a payment of which nothing
    can go back now, FieldInvalid for an amount that can't.
    """
    with transaction.atomic(durable=True):
        order, payment = locked_payment(payment_id)
        known = Refund.objects.filter(public_id=refund_id).first()
        if known is None:
            _refuse(payment, amount_minor)
            known = Refund.objects.create(
                tenant_id=payment.tenant_id,
                payment=payment,
                public_id=refund_id,
                amount_minor=amount_minor,
                actor=actor[:_MOST_ACTOR],
                reason=reason[:_MOST_REASON],
            )
            returns.take_back(payment, known, actor=known.actor)
            if not isinstance(REGISTRY.get(payment.provider), Refunding):
                _book_done(order, payment, known)
                receipts.bring_up_to_date(payment)
        elif (known.payment_id, known.amount_minor) != (payment.pk, amount_minor):
            raise StateInvalid("Another refund was begun by this form.")
    return _send(known)


def _refuse(payment: Payment, amount_minor: int) -> None:
    if payment.status not in _REFUNDABLE:
        raise StateInvalid("Nothing of this payment can go back now.")
    left_minor = quote(payment).left_minor
    if not 0 < amount_minor <= left_minor:
        raise FieldInvalid(f"At most {left_minor} minor units are left of this payment.")
    if payment.status == Payment.REVIEW and amount_minor != left_minor:
        raise FieldInvalid("A payment in review is given back whole.")


def settle(refund_id: int, *, is_done: bool, actor: str) -> Refund:
    """Decide about a refund in review: the money has gone, or it has not.

    Raises NotFound, StateInvalid for one that is not in review, or was decided otherwise.
    """
    with transaction.atomic(durable=True):
        order, payment, found = _locked(refund_id)
        if found.status == (Refund.DONE if is_done else Refund.FAILED):
            return found
        if found.status != Refund.REVIEW:
            raise StateInvalid("This refund waits for nobody's decision.")
        if is_done:
            _book_done(order, payment, found)
            receipts.bring_up_to_date(payment)
        else:
            _book_failed(order, payment, found, failure=f"Decided by {actor}", actor=actor)
    _log.info("refund_settled", refund=str(found.public_id), is_done=is_done, actor=actor)
    return found


def poll_refunds(now: datetime | None = None) -> int:
    """Ask for refunds whose fate is not known, when their time has come; return how many.

    Runs in the scope of all tenants. Those that nobody has asked for, because whoever began them
    died, are asked for now.
    """
    now, asked, ends_at = now or database_now(), 0, time.monotonic() + _PASS_S
    pending = Refund.objects.filter(status=Refund.PENDING).order_by(
        F("checked_at").asc(nulls_first=True), "pk"
    )
    for found in [row for row in pending[: 10 * _POLLED] if _is_due(row, now)][:_POLLED]:
        if time.monotonic() >= ends_at:
            break  # the longest without a question come first, so the rest has its turn soon
        asked += 1
        with tenant_scope(found.tenant_id):
            _pursue(found, now)
    return asked


def _is_due(found: Refund, now: datetime) -> bool:
    if found.sent_at is None:
        return found.created_at <= now - _UNSENT_FOR
    wait = BACK_OFF[min(found.check_count, len(BACK_OFF) - 1)]
    return found.checked_at is None or found.checked_at <= now - wait


def _pursue(found: Refund, now: datetime) -> None:
    try:
        if found.sent_at is None:
            _send(found)
        else:
            _ask_again(found, now)
    # Whatever is wrong with one refund, or its provider's answer, must not hold up the others.
    except Exception:
        _log.exception("refund_not_booked", refund=str(found.public_id))


def _send(found: Refund) -> Refund:
    """Ask for a refund that nobody has asked for; one who tries does."""
    unsent = Refund.objects.filter(pk=found.pk, status=Refund.PENDING, sent_at=None)
    now = database_now()
    with transaction.atomic(durable=True):
        is_ours = unsent.update(sent_at=now, checked_at=now)
    return _ask(found.pk) if is_ours else _read(found.pk)


def _ask_again(found: Refund, now: datetime) -> None:
    claimed = Refund.objects.filter(
        pk=found.pk, status=Refund.PENDING, check_count=found.check_count
    )
    if not claimed.update(check_count=found.check_count + 1, checked_at=now):
        return
    provider = REGISTRY.get(found.payment.provider)
    repeats = isinstance(provider, Refunding) and (provider.repeats_refunds or found.reference)
    if repeats:
        found = _ask(found.pk)
    age = now - found.created_at
    if not repeats or age >= (NO_END_FOR if found.reference else NO_ANSWER_FOR):
        _leave_to_a_person(found.pk, found.failure or "Nobody knows whether the money went.")


def _ask(refund_id: int) -> Refund:
    """Ask the provider, with nothing locked, and book its answer. Nothing is raised for silence."""
    found = _read(refund_id)
    provider = REGISTRY.get(found.payment.provider)
    if not isinstance(provider, Refunding):
        return _leave_to_a_person(refund_id, "The provider gives nothing back.")
    try:
        state = provider.fetch_refund(found) if found.reference else provider.refund(found)
    except PaymentAway as error:
        _log.warning("refund_unknown", refund=str(found.public_id), problem=str(error))
        if provider.repeats_refunds or found.reference:
            return found
        return _leave_to_a_person(refund_id, str(error))
    return _book(refund_id, state)


def _read(refund_id: int) -> Refund:
    return Refund.objects.select_related("payment__instance").get(pk=refund_id)


def _locked(refund_id: int) -> tuple[Order, Payment, Refund]:
    order, payment = locked_payment(_read(refund_id).payment_id)
    found = Refund.objects.select_for_update().get(pk=refund_id)
    found.payment = payment
    return order, payment, found


def _book(refund_id: int, state: RefundState) -> Refund:
    """Take over what a provider says of a refund, once."""
    with transaction.atomic(durable=True):
        order, payment, found = _locked(refund_id)
        if found.status not in _UNDECIDED:
            return found
        if state.reference and state.reference != found.reference:
            found.reference = state.reference
            found.save(update_fields=["reference"])
        if state.outcome == Outcome.DONE:
            _book_done(order, payment, found)
            receipts.bring_up_to_date(payment)
        elif state.outcome == Outcome.FAILED:
            _book_failed(order, payment, found, failure=state.failure)
    return found


def _leave_to_a_person(refund_id: int, failure: str) -> Refund:
    pending = Refund.objects.filter(pk=refund_id, status=Refund.PENDING)
    if pending.update(status=Refund.REVIEW, failure=failure[:_MOST_FAILURE]):
        _log.warning("refund_needs_review", refund=refund_id, reason=failure)
    return _read(refund_id)


def _book_done(order: Order, payment: Payment, found: Refund) -> None:
    """Book that the money has gone; order, payment and refund are locked. The paper comes last."""
    found.status, found.done_at, found.failure = Refund.DONE, database_now(), ""
    found.save(update_fields=["status", "done_at", "failure"])
    returns.conclude(order, payment)
    outbox.write(
        kind="refund",
        subject_id=found.pk,
        recipient=order.email,
        language=order.language,
        once=f"refund:{found.pk}",
        tenant_id=found.tenant_id,
    )
    _log.info("refunded", order=order.number, amount_minor=found.amount_minor)


def _book_failed(
    order: Order, payment: Payment, found: Refund, *, failure: str, actor: str = ""
) -> None:
    """Book that no money went: what was taken is given back."""
    found.status, found.failure = Refund.FAILED, failure[:_MOST_FAILURE]
    found.save(update_fields=["status", "failure"])
    returns.give_back(payment, found, actor=actor)
    returns.conclude(order, payment)
    _log.warning("refund_failed", order=order.number, reason=failure)


def book_gone(order: Order, payment: Payment, state: ProviderState, *, asked_at: datetime) -> None:
    """Book what a provider says has gone back of a locked payment, as asked at that time.

    What has gone is first that of the refunds which it was asked for, then somebody's who gave it
    back on the provider's own pages. A refund that the provider has named is asked for by its name.
    """
    if state.status != Standing.PAID:
        return
    kept_minor = state.amount_minor - state.refunded_minor
    gone_minor = min(state.refunded_minor, returns.received(payment) - kept_minor)
    if kept_minor > returns.received(payment):
        _log.warning("paid_once_more", order=order.number, kept_minor=kept_minor)
    rows = list(payment.refunds.exclude(status=Refund.FAILED).select_for_update().order_by("pk"))
    open_ones = [row for row in rows if row.status in _UNDECIDED]
    settled_minor = sum(row.amount_minor for row in rows if row.status == Refund.DONE)
    if any(row.sent_at is None or row.sent_at > asked_at for row in open_ones):
        return  # asked for since: nobody can tell yet whether this is part of what has gone
    rest_minor = gone_minor - settled_minor - sum(row.amount_minor for row in open_ones)
    if rest_minor < 0:
        return
    for row in open_ones:
        if not row.reference:
            _book_done(order, payment, row)
    if rest_minor:
        _book_foreign(order, payment, rest_minor)


def _book_foreign(order: Order, payment: Payment, amount_minor: int) -> None:
    now = database_now()
    found = Refund.objects.create(
        tenant_id=payment.tenant_id,
        payment=payment,
        origin=Refund.PROVIDER,
        amount_minor=amount_minor,
        sent_at=now,
    )
    returns.take_back(payment, found)
    _book_done(order, payment, found)


def ask_for_open(payment: Payment) -> None:
    """Ask for the refunds of a payment that the provider has named and not ended yet."""
    for refund_id in payment.refunds.filter(status__in=_UNDECIDED).values_list("pk", flat=True):
        if _read(refund_id).reference:
            _ask(refund_id)
