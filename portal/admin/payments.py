"""Admin of payments: the tries to pay, what their providers said, and what can be done now."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from billing import orders
from billing.models import Dispute, ManualReceipt, Order, Payment, PaymentEvent, Refund
from billing.payments.manual import MANUAL
from billing.scoping import tenant_scope
from portal import amounts
from portal.admin import money, steps, values
from portal.admin.base import ScopedAdmin, ScopedInline
from portal.admin.fields import page_link
from portal.admin.receipts import links_to
from portal.admin.roles import READ_ONLY


class RefundInline(ScopedInline):
    """What was given back of it."""

    model = Refund
    verbs = member_verbs = READ_ONLY
    fields = readonly_fields = (
        "amount",
        values.worded(Refund, "status"),
        values.worded(Refund, "origin"),
        "actor",
        "reason",
        "created_at",
    )

    @display(description=_("Amount"))
    def amount(self, refund: Refund) -> SafeString:
        """Show the sum, and lead to the refund."""
        sum_ = amounts.money(refund.amount_minor, refund.payment.currency)
        return page_link(Refund, refund.pk, sum_)


class DisputeInline(ScopedInline):
    """What the buyer's bank wants back."""

    model = Dispute
    verbs = member_verbs = READ_ONLY
    fields = readonly_fields = (
        "amount",
        values.worded(Dispute, "status"),
        "reason",
        "created_at",
        "closed_at",
    )

    @display(description=_("Amount"))
    def amount(self, dispute: Dispute) -> SafeString:
        """Show the sum, and lead to the dispute."""
        sum_ = amounts.money(dispute.amount_minor, dispute.payment.currency)
        return page_link(Dispute, dispute.pk, sum_)


class EventInline(ScopedInline):
    """What the provider has told us of it."""

    model = PaymentEvent
    verbs = member_verbs = READ_ONLY
    fields = readonly_fields = ("kind", "event_id", "created_at", "handled_at")


WHAT_TO_DO = {
    Payment.REVIEW: _(
        "Nothing was delivered for it. Give it back whole with Refund; who still wants the goods "
        "orders again and pays what is due."
    ),
    Payment.DISPUTED: _(
        "The buyer's bank wants it back. Answer at the provider in time; the dispute below says "
        "what was frozen meanwhile."
    ),
}
"""What people can do about a payment that waits for one."""

REVIEW_REASONS = (
    (r"Paid in (?P<found>.*), not (?P<due>.*)\.", _("Paid in %(found)s, not in %(due)s.")),
    (r"Paid (?P<found>\d+), not (?P<due>\d+) minor units\.", _("Paid %(found)s, not %(due)s.")),
    (r"The instance speaks for .*", _("This way to pay belongs to another provider now.")),
    (r"The provider speaks of .*", _("The provider speaks of another payment.")),
    (r"The provider's reference .*", _("The provider's reference belongs to another payment.")),
    (r"The order was paid by .*", _("The order was paid by another payment.")),
)
"""What billing notes about a payment that it doesn't book, in the reader's language."""


def told(reason: str, *, currency: str) -> str:
    """Return a reason in the reader's language, as it was noted if it is none of ours."""
    for pattern, sentence in REVIEW_REASONS:
        found = re.fullmatch(pattern, reason)
        if found:
            said = found.groupdict().items()
            return str(sentence) % {name: _sum(text, currency) for name, text in said}
    return reason or "-"


def _sum(text: str, currency: str) -> str:
    return amounts.money(int(text), currency) if text.isdecimal() else text


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
    inlines = (RefundInline, DisputeInline, EventInline)
    actions_detail = ("money_arrived", "ask_provider", "refund")
    fields = readonly_fields = (
        "tenant",
        "order",
        "way",
        "amount",
        values.worded(Payment, "status"),
        "why_review",
        "what_to_do",
        "received",
        "gone_back",
        "noted",
        "receipts",
        "reference",
        "created_at",
        "checked_at",
        "check_count",
        "confirmed_at",
        "public_id",
    )

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out what a payment of this kind and state has not."""
        hidden = set() if obj and obj.status in WHAT_TO_DO else {"what_to_do"}
        hidden |= set() if obj and obj.review_reason else {"why_review"}
        hidden |= set() if obj and obj.provider == MANUAL else {"noted"}
        return [(None, {"fields": [name for name in self.fields if name not in hidden]})]

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[type[Any]]:
        """Show those of which there are rows."""
        return [part for part in self.inlines if part.model.objects.filter(payment=obj).exists()]

    def hidden_actions(self, row: Any) -> set[str]:
        """Hide what would change nothing; what has gone back there is found even when paid."""
        hidden = set() if row.instance_id and row.provider != MANUAL else {"ask_provider"}
        hidden |= set() if money.can_refund(row) else {"refund"}
        return hidden | (set() if money.awaits_money(row) else {"money_arrived"})

    @display(description=_("Way to pay"))
    def way(self, payment: Payment) -> Any:
        """Name the way to pay, which may have been nothing at all."""
        name = payment.instance.name if payment.instance else ""
        return name or values.word(Payment, "provider", payment.provider)

    @display(description=_("Amount"), ordering="amount_minor")
    def amount(self, payment: Payment) -> str:
        """Show what was to be paid."""
        return amounts.money(payment.amount_minor, payment.currency)

    @display(description=_("Reason"))
    def why_review(self, payment: Payment) -> str:
        """Say why nothing was granted for it."""
        return told(payment.review_reason, currency=payment.currency)

    @display(description=_("What to do"))
    def what_to_do(self, payment: Payment) -> Any:
        """Say what a person can do about it."""
        return WHAT_TO_DO.get(payment.status, "-")

    @display(description=_("Received"))
    def received(self, payment: Payment) -> str:
        """Show what the provider says was paid."""
        if payment.received_minor is None:
            return "-"
        return amounts.money(payment.received_minor, payment.currency)

    @display(description=_("Gone back or on the way"))
    def gone_back(self, payment: Payment) -> str:
        """Show what is refunded, or about to be."""
        return amounts.money(orders.quote(payment).refunded_minor, payment.currency)

    @display(description=_("Noted by hand"))
    def noted(self, payment: Payment) -> str:
        """Show who has seen the money arrive, and what they wrote."""
        row = ManualReceipt.objects.filter(payment=payment).first()
        if row is None:
            return "-"
        sum_ = amounts.money(row.amount_minor, payment.currency)
        words = [sum_, row.actor, f"{timezone.localtime(row.received_at):%Y-%m-%d %H:%M}", row.note]
        return " · ".join(filter(None, words))

    @display(description=_("Receipts"))
    def receipts(self, payment: Payment) -> SafeString | str:
        """Lead to its receipt and what cancels it."""
        return links_to(payment.receipts.all())

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

    @action(description=_("Refund"), url_path="refund", permissions=["act"], icon="undo")
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give money of it back."""
        payment = steps.row_or_404(self, request, object_id)
        return money.refund(self, request, payment, payment)

    @action(
        description=_("Money has arrived"), url_path="arrived", permissions=["act"], icon="savings"
    )
    def money_arrived(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Book money that was sent by hand."""
        payment = steps.row_or_404(self, request, object_id)
        by_hand = payment if payment.provider == MANUAL else None
        return money.arrived(self, request, payment, by_hand)


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
            "is paid and delivered. Otherwise nothing is granted. What has gone back there is "
            "booked as well."
        ),
        button=_("Ask the provider again"),
    )
