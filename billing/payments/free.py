"""The provider of what costs nothing: a trial passes the same door as everything that is paid."""

from billing.models import Payment, PaymentInstance
from billing.payments.base import Opening, ProviderState, Standing


class FreeProvider:
    """Implements `base.Provider` without anybody to ask."""

    name = "free"

    def is_offered(self, instance: PaymentInstance) -> bool:
        """Never let anybody choose it."""
        return False

    def create(self, payment: Payment, *, return_url: str, notify_url: str) -> Opening:
        """Return that there is no page to go to."""
        return Opening("")

    def fetch(self, payment: Payment) -> ProviderState:
        """Call a payment of nothing paid, and no other."""
        status = Standing.OPEN if payment.amount_minor else Standing.PAID
        return ProviderState(status, payment.amount_minor, payment.currency)
