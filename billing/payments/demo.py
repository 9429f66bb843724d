"""A provider that moves no money: its pages say "pay", "fail" and "pay later". For development.

It refuses to exist unless the settings switch it on. `DemoCharge` is its side of the books: what it
was asked for and what its visitor did, as a real provider would keep them elsewhere.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing.errors import PaymentAway
from billing.models import DemoCharge, Payment, PaymentInstance, Refund
from billing.payments.base import (
    DisputeState,
    Opening,
    Outcome,
    ProviderState,
    RefundState,
    Standing,
)


class DemoProvider:
    """Implements `base.Refunding` on a table of this installation."""

    name = "demo"
    repeats_refunds = True

    def is_offered(self, instance: PaymentInstance) -> bool:
        """Offer it where the settings allow it."""
        return bool(settings.DEMO_PAYMENTS)

    def create(self, payment: Payment, *, return_url: str, notify_url: str) -> Opening:
        """Note what is to be paid; return the path of the page on which to pay it."""
        _charge(payment)
        return Opening(f"/pay/demo/{payment.public_id}/")

    def fetch(self, payment: Payment) -> ProviderState:
        """Return what the visitor of the demo page has done."""
        charge = _charge(payment)
        return ProviderState(
            status=_standing(charge),
            amount_minor=charge.amount_minor,
            currency=charge.currency,
            reference=f"demo-{charge.pk}",
            payment=payment.public_id,
            refunded_minor=charge.refunded_minor,
            disputes=_disputes(charge),
        )

    def refund(self, refund: Refund) -> RefundState:
        """Give money back, once for each refund, as long as there is some of the payment left."""
        name = refund.public_id.hex
        with transaction.atomic():
            charge = DemoCharge.objects.select_for_update().get(pk=_charge(refund.payment).pk)
            if name not in charge.refunds:
                failure = _give(charge, refund.amount_minor)
                if failure:
                    return RefundState(Outcome.FAILED, failure=failure)
                charge.refunds.append(name)
                charge.save(update_fields=["refunded_minor", "refunds"])
        return RefundState(Outcome.DONE, reference=f"demo-refund-{name}")

    def fetch_refund(self, refund: Refund) -> RefundState:
        """Return whether a refund was made; none here takes its time."""
        if refund.public_id.hex in _charge(refund.payment).refunds:
            return RefundState(Outcome.DONE, reference=f"demo-refund-{refund.public_id.hex}")
        return RefundState(Outcome.FAILED, failure="Nobody has asked for it.")


def pay(payment: Payment) -> None:
    """Let the buyer pay now, also after a failure."""
    _set(payment, status=DemoCharge.PAID)


def fail(payment: Payment) -> None:
    """Let the payment fail, unless it was paid."""
    if _charge(payment).status != DemoCharge.PAID:
        _set(payment, status=DemoCharge.FAILED)


def pay_later(payment: Payment, *, after_s: int = 60) -> None:
    """Let the payment arrive by itself after so many seconds; nobody is told."""
    _set(payment, pays_at=timezone.now() + timedelta(seconds=after_s))


def give_back(payment: Payment, *, amount_minor: int) -> None:
    """Give money back at the provider, where the shop has not asked for it.

    Raises PaymentAway where there is not so much of it.
    """
    with transaction.atomic():
        charge = DemoCharge.objects.select_for_update().get(pk=_charge(payment).pk)
        failure = _give(charge, amount_minor)
        if failure:
            raise PaymentAway(failure)
        charge.save(update_fields=["refunded_minor"])


def dispute(payment: Payment) -> None:
    """Let the buyer want the money back from a bank, once, if it was paid."""
    charge = _charge(payment)
    if _standing(charge) == Standing.PAID and charge.refunded_minor < charge.amount_minor:
        DemoCharge.objects.filter(pk=charge.pk, dispute="").update(dispute=DemoCharge.OPEN)


def win(payment: Payment) -> None:
    """Let the bank decide an open dispute for the shop."""
    _decide(payment, DemoCharge.WON)


def lose(payment: Payment) -> None:
    """Let the bank decide an open dispute for the buyer."""
    _decide(payment, DemoCharge.LOST)


def _decide(payment: Payment, outcome: str) -> None:
    disputed = DemoCharge.objects.filter(pk=_charge(payment).pk, dispute=DemoCharge.OPEN)
    disputed.update(dispute=outcome)


def _give(charge: DemoCharge, amount_minor: int) -> str:
    """Count money as given back; return why it can't be, "" if it can."""
    if _standing(charge) != Standing.PAID:
        return "It was not paid."
    if charge.dispute in (DemoCharge.OPEN, DemoCharge.LOST):
        return "The bank has it."
    if charge.refunded_minor + amount_minor > charge.amount_minor:
        return "There is not so much of it left."
    charge.refunded_minor += amount_minor
    return ""


def _disputes(charge: DemoCharge) -> tuple[DisputeState, ...]:
    if not charge.dispute:
        return ()
    return (
        DisputeState(
            reference=f"demo-dispute-{charge.pk}",
            outcome=Outcome(charge.dispute),
            amount_minor=charge.amount_minor - charge.refunded_minor or charge.amount_minor,
            reason="fraudulent",
        ),
    )


def _set(payment: Payment, **changes: object) -> None:
    DemoCharge.objects.filter(pk=_charge(payment).pk).update(**changes)


def _charge(payment: Payment) -> DemoCharge:
    if not settings.DEMO_PAYMENTS:
        raise PaymentAway("Demo payments are switched off.")
    charge, _ = DemoCharge.objects.get_or_create(
        payment=payment,
        tenant_id=payment.tenant_id,
        defaults={"amount_minor": payment.amount_minor, "currency": payment.currency},
    )
    return charge


def _standing(charge: DemoCharge) -> Standing:
    if charge.status == DemoCharge.PAID:
        return Standing.PAID
    if charge.pays_at is not None and charge.pays_at <= timezone.now():
        return Standing.PAID
    return Standing.FAILED if charge.status == DemoCharge.FAILED else Standing.OPEN
