"""What stands below an order in the admin: its lines as they were agreed, and the tries to pay."""

from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from billing.models import OrderLine, Payment, Product
from portal import amounts
from portal.admin import values
from portal.admin.base import ScopedInline
from portal.admin.fields import base_tokens, page_link
from portal.admin.payments import told
from portal.admin.roles import READ_ONLY


class OrderLineInline(ScopedInline):
    """What was bought, as it was agreed."""

    model = OrderLine
    verbs = member_verbs = READ_ONLY
    fields = readonly_fields = (
        "pack",
        values.worded(OrderLine, "kind"),
        "quantity",
        "unit_price",
        "grant",
        "validity",
        "key",
    )

    @display(description=_("Product"))
    def pack(self, line: OrderLine) -> SafeString:
        """Name it as the buyer read it, and lead to what is sold now."""
        return page_link(Product, line.product_id, line.name or short(line))

    @display(description=_("Unit price"))
    def unit_price(self, line: OrderLine) -> str:
        """Show what one unit cost."""
        return amounts.money(line.unit_minor, line.order.currency)

    @display(description=_("Base tokens"))
    def grant(self, line: OrderLine) -> str:
        """Show what one unit gave."""
        return base_tokens(line.grant_ubt)

    @display(description=_("Days of validity"))
    def validity(self, line: OrderLine) -> Any:
        """Show for how long it is good."""
        return line.valid_days or _("no expiry")


class PaymentInline(ScopedInline):
    """The tries to pay it."""

    model = Payment
    verbs = member_verbs = READ_ONLY
    fields = readonly_fields = (
        "amount",
        "instance",
        values.worded(Payment, "status"),
        "why_review",
        "checked_at",
        "confirmed_at",
    )

    @display(description=_("Amount"))
    def amount(self, payment: Payment) -> SafeString:
        """Show what was to be paid, and lead to its page."""
        money = amounts.money(payment.amount_minor, payment.currency)
        return page_link(Payment, payment.pk, money)

    @display(description=_("Reason"))
    def why_review(self, payment: Payment) -> str:
        """Say why nothing was granted for it."""
        return told(payment.review_reason, currency=payment.currency)


def short(line: OrderLine) -> str:
    """Return what a line gives, for one without a name."""
    return amounts.amount_text(line.grant_ubt)
