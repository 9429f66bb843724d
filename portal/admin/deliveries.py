"""Admin of deliveries: what became of each key that was sold. The key itself is not to be seen."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from billing.models import Delivery, Order
from billing.orders import deliveries
from portal.admin import values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import page_link
from portal.admin.roles import READ_ONLY

STATES = {
    deliveries.FRESH: _("Waits to be shown"),
    deliveries.REVEALED: _("Shown, not yet saved"),
    deliveries.SAVED: _("Saved by the buyer"),
    deliveries.REPLACED: _("Replaced"),
    deliveries.LAPSED: _("Never fetched"),
}
_COLOURS = {
    deliveries.FRESH: values.FAIR,
    deliveries.REVEALED: values.FAIR,
    deliveries.SAVED: values.GOOD,
    deliveries.REPLACED: "",
    deliveries.LAPSED: values.BAD,
}


@admin.register(Delivery)
class DeliveryAdmin(ScopedAdmin):
    """The units of orders, each with its key."""

    verbs = member_verbs = READ_ONLY
    list_display = ("key", "of_order", "state", "reveal_count", "replace_count", "created_at")
    list_select_related = ("key", "line__order")
    list_filter = ("created_at",)
    search_fields = ("line__order__number", "key__kid")
    search_help_text = _("Order number or key id")
    ordering = ("-id",)
    fields = readonly_fields = (
        "tenant",
        "state",
        "of_order",
        "key",
        "wallet",
        "transfer",
        "created_at",
        "sealed_until",
        "revealed_at",
        "reveal_count",
        "saved_at",
        "replaced_at",
        "replace_count",
        "public_id",
    )

    @display(description=_("State"), label=_COLOURS)
    def state(self, delivery: Delivery) -> values.Badge:
        """Say where the key is."""
        found = deliveries.state_of(delivery, now=timezone.now())
        return values.Badge((found, STATES[found]))

    @display(description=_("Order"), ordering="line__order__id")
    def of_order(self, delivery: Delivery) -> SafeString:
        """Lead to the order."""
        order = delivery.line.order
        return page_link(Order, order.pk, order.number)
