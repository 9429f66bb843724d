"""A provider that moves no money: its pages say "pay", "fail" and "pay later". For development.

It refuses to exist unless the settings switch it on. `DemoCharge` is its side of the books: what it
was asked for and what its visitor did, as a real provider would keep them elsewhere.
"""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from billing.errors import PaymentAway
from billing.models import DemoCharge, Payment, PaymentInstance
from billing.payments.base import Opening, ProviderState, Standing


class DemoProvider:
    """Implements `base.Provider` on a table of this installation."""

    name = "demo"

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
        )


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
