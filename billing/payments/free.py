"""The providers of what costs nothing: a trial, and what a redemption code gives.

Both pass the same door as everything that is paid.
"""

from billing.models import Payment, PaymentInstance, RedemptionCode
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


class VoucherProvider(FreeProvider):
    """What a redemption code has paid for, elsewhere and before."""

    name = "voucher"

    def fetch(self, payment: Payment) -> ProviderState:
        """Call a payment paid whose order has used up a code."""
        is_redeemed = RedemptionCode.objects.filter(order_id=payment.order_id).exists()
        status = Standing.PAID if is_redeemed and not payment.amount_minor else Standing.OPEN
        return ProviderState(status, payment.amount_minor, payment.currency)
