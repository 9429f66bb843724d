"""A provider of what is paid by hand, such as a bank transfer: a person looks for the money.

Called through the registry. Buyers read the account's `instructions` and name the order's number;
`ManualReceipt` is all that is ever known, written when somebody has seen the money arrive.
"""

from datetime import timedelta

from billing.models import ManualReceipt, Payment, PaymentInstance
from billing.payments.base import Opening, ProviderState, Standing

MANUAL = "manual"
WAITS_FOR = timedelta(days=3)
"""How long an order waits for money that may have a weekend before it."""


class ManualProvider:
    """Implements `base.Provider`; nobody is asked, and money goes back by hand, too."""

    name = MANUAL

    def is_offered(self, instance: PaymentInstance) -> bool:
        """Offer it where buyers are told how to pay."""
        return bool(instance.instructions.strip())

    def create(self, payment: Payment, *, return_url: str, notify_url: str) -> Opening:
        """Return that the order's page says how to pay, and that it may take days."""
        return Opening("", waits_for=WAITS_FOR)

    def fetch(self, payment: Payment) -> ProviderState:
        """Return what a person has seen arrive."""
        receipt = ManualReceipt.objects.filter(payment=payment).first()
        return ProviderState(
            status=Standing.OPEN if receipt is None else Standing.PAID,
            amount_minor=payment.amount_minor if receipt is None else receipt.amount_minor,
            currency=payment.currency,
            payment=payment.public_id,
        )
