"""Admin of payments, of the ways to pay, and of refunds. Secrets are written and never read."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from billing import orders
from billing.models import Order, Payment, PaymentEvent, Refund
from billing.scoping import tenant_scope
from portal import amounts
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin, ScopedInline
from portal.admin.roles import READ_ONLY


class EventInline(ScopedInline):
    """What the provider has told us of it."""

    model = PaymentEvent
    verbs = member_verbs = READ_ONLY
    fields = readonly_fields = ("kind", "event_id", "created_at", "handled_at")


REVIEW_REASONS = (
    (r"Paid in (?P<found>.*), not (?P<due>.*)\.", _("Paid in %(found)s, not in %(due)s.")),
    (
        r"Paid (?P<found>.*), not (?P<due>.*) minor units\.",
        _("Paid %(found)s, not %(due)s (in the smallest unit)."),
    ),
    (r"The instance speaks for .*", _("This way to pay belongs to another provider now.")),
    (r"The provider speaks of .*", _("The provider speaks of another payment.")),
    (r"The provider's reference .*", _("The provider's reference belongs to another payment.")),
    (r"The order was paid by .*", _("The order was paid by another payment.")),
)
"""What billing notes about a payment that it doesn't book, in the reader's language."""


def told(reason: str) -> str:
    """Return a reason in the reader's language, as it was noted if it is none of ours."""
    for pattern, sentence in REVIEW_REASONS:
        found = re.fullmatch(pattern, reason)
        if found:
            return str(sentence) % found.groupdict()
    return reason or "-"


@admin.register(Payment)
class PaymentAdmin(ScopedAdmin):
    """The tries to pay. A provider can be asked again, and nothing can be typed in."""

    verbs = member_verbs = READ_ONLY
    list_display = (
        "created_at",
        "order",
        "way",
        "amount",
        values.worded(Payment, "status"),
        "why_review",
        "confirmed_at",
    )
    list_select_related = ("order", "instance")
    list_filter = (("status", values.WordsFilter), ("provider", values.WordsFilter), "created_at")
    search_fields = ("order__number", "references__reference", "=public_id")
    search_help_text = _("Order number, the provider's reference, or public id")
    ordering = ("-id",)
    inlines = (EventInline,)
    actions_detail = ("ask_provider",)
    fields = readonly_fields = (
        "tenant",
        "order",
        "way",
        "amount",
        values.worded(Payment, "status"),
        "why_review",
        "reference",
        "created_at",
        "checked_at",
        "check_count",
        "confirmed_at",
        "public_id",
    )

    def hidden_actions(self, row: Any) -> set[str]:
        """Hide the question where it would change nothing."""
        return {"ask_provider"} if row.confirmed_at else set()

    @display(description=_("Way to pay"))
    def way(self, payment: Payment) -> Any:
        """Name the way to pay, which may have been nothing at all."""
        return payment.instance or values.word(Payment, "provider", payment.provider)

    @display(description=_("Amount"), ordering="amount_minor")
    def amount(self, payment: Payment) -> str:
        """Show what was to be paid."""
        return amounts.money(payment.amount_minor, payment.currency)

    @display(description=_("Reason"))
    def why_review(self, payment: Payment) -> str:
        """Say why nothing was granted for it."""
        return told(payment.review_reason)

    @display(description=_("The provider's reference"))
    def reference(self, payment: Payment) -> str:
        """Show what the provider calls it."""
        return ", ".join(payment.references.values_list("reference", flat=True)) or "-"

    @action(
        description=_("Ask the provider again"),
        url_path="ask",
        permissions=["act"],
        icon="sync",
    )
    def ask_provider(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask how the payment stands, and book what is said."""
        payment = steps.row_or_404(self, request, object_id)

        def said() -> HttpResponse:
            payment.refresh_from_db()
            state = values.word(Payment, "status", payment.status)
            messages.success(request, _("The payment: %(status)s.") % {"status": state})
            return redirect("admin:billing_payment_change", payment.pk)

        return ask_for(
            self, request, payment, title=_("Ask for this payment"), ids=[payment.pk], said=said
        )


def ask_for(
    page: ScopedAdmin,
    request: HttpRequest,
    row: Order | Payment,
    *,
    title: steps.Text,
    ids: Iterable[int],
    said: Callable[[], HttpResponse],
) -> HttpResponse:
    """Ask the provider for payments and book what it says; `said` tells how the row stands then."""

    def ask(_values: dict[str, Any]) -> HttpResponse:
        with tenant_scope(row.tenant_id):
            for payment_id in ids:
                orders.confirm(payment_id)
        page.log_change(request, row, str(_("The provider was asked.")))
        return said()

    return steps.step(
        page,
        request,
        deed=ask,
        form=forms.Form(steps.posted(request)),
        row=row,
        title=title,
        sentence=_(
            "If the provider says that it was paid, with this amount and currency, the order "
            "is paid and delivered. Otherwise nothing is granted."
        ),
        button=_("Ask the provider again"),
    )


@admin.register(Refund)
class RefundAdmin(ScopedAdmin):
    """Money that went back. Read-only for everyone."""

    verbs = member_verbs = READ_ONLY
    list_display = (
        "created_at",
        "of_order",
        "amount",
        values.worded(Refund, "status"),
        "actor",
        "reason",
    )
    list_select_related = ("payment__order",)
    list_filter = (("status", values.WordsFilter), "created_at")
    search_fields = ("payment__order__number", "=public_id")
    search_help_text = _("Order number or public id")
    ordering = ("-id",)
    fields = readonly_fields = (
        "tenant",
        "created_at",
        "of_order",
        "payment",
        "amount",
        values.worded(Refund, "status"),
        "actor",
        "reason",
        "public_id",
    )

    @display(description=_("Order"))
    def of_order(self, refund: Refund) -> str:
        """Show the number of the order."""
        return refund.payment.order.number

    @display(description=_("Amount"), ordering="amount_minor")
    def amount(self, refund: Refund) -> str:
        """Show what goes back."""
        return amounts.money(refund.amount_minor, refund.payment.currency)
