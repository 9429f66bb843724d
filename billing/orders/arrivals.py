"""Money that a person has seen arrive for a payment by hand. Called by the admin, in a scope."""

from django.db import transaction

from billing.errors import FieldInvalid, NotFound, StateInvalid
from billing.ledger.clock import database_now
from billing.models import ManualReceipt, Payment
from billing.orders.paying import confirm
from billing.payments.manual import MANUAL


def money_arrived(payment_id: int, *, amount_minor: int, note: str = "", actor: str) -> Payment:
    """Note once that money has arrived for a payment, and book it; the same again changes nothing.

    Another amount than what is due leaves the payment to a person, as at every provider. Raises
    NotFound for a payment that is not made by hand, FieldInvalid for an amount that is none, and
    StateInvalid where another one was noted before.
    """
    if amount_minor <= 0:
        raise FieldInvalid("What has arrived is more than nothing.")
    with transaction.atomic(durable=True):
        payment = Payment.objects.filter(pk=payment_id, provider=MANUAL).first()
        if payment is None:
            raise NotFound(f"There is no payment {payment_id} by hand.")
        receipt, _ = ManualReceipt.objects.get_or_create(
            payment=payment,
            tenant_id=payment.tenant_id,
            defaults={
                "amount_minor": amount_minor,
                "note": note,
                "actor": actor,
                "received_at": database_now(),
            },
        )
    if receipt.amount_minor != amount_minor:
        raise StateInvalid("Another amount was noted for it before.")
    return confirm(payment_id)
