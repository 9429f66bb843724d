"""Admin of what went back: refunds, which a person may have to settle, and disputes, to look at."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminRadioSelectWidget

from billing import orders
from billing.models import Dispute, Order, Payment, Refund, Wallet
from billing.scoping import tenant_scope
from portal import amounts
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import page_link
from portal.admin.receipts import links_to
from portal.admin.roles import READ_ONLY

WENT, STAYED = "went", "stayed"

_WHAT_TO_DO = {
    Dispute.OPEN: _(
        "Answer at the provider before its deadline: send what shows that the goods were delivered "
        "and used, such as the order's times and the calls of its keys. Until it is decided the "
        "wallets are frozen and the base tokens taken back. The decision is booked by itself."
    ),
    Dispute.WON: _(
        "Nothing: the money stays, the wallets are usable and the base tokens are back."
    ),
    Dispute.LOST: _(
        "Nothing can be done at the provider any more. The wallets stay frozen and the base tokens "
        "taken; unfreeze a wallet if its holder is to go on with what else is there."
    ),
}


class SettleForm(forms.Form):
    """What a person has seen at the provider."""

    found = forms.ChoiceField(
        label=_("The provider's books say"),
        choices=[
            (WENT, _("the money went back")),
            (STAYED, _("the money did not go back")),
        ],
        widget=UnfoldAdminRadioSelectWidget,
    )


@admin.register(Refund)
class RefundAdmin(ScopedAdmin):
    """Money that goes back. Begun on the page of an order or a payment; here one is settled."""

    verbs = member_verbs = READ_ONLY
    list_display = (
        "created_at",
        "of_order",
        "amount",
        values.worded(Refund, "status"),
        values.worded(Refund, "origin"),
        "failure",
        "actor",
    )
    list_select_related = ("payment__order",)
    list_filter = (
        ("status", values.WordsFilter),
        ("origin", values.WordsFilter),
        "created_at",
    )
    search_fields = ("payment__order__number", "=reference", "=public_id")
    search_help_text = _("Order number, the provider's reference, or public id")
    ordering = ("-id",)
    actions_detail = ("settle",)
    fields = readonly_fields = (
        "tenant",
        "created_at",
        "of_order",
        "payment",
        "amount",
        values.worded(Refund, "status"),
        values.worded(Refund, "origin"),
        "failure",
        "actor",
        "reason",
        "reference",
        "sent_at",
        "checked_at",
        "check_count",
        "done_at",
        "receipts",
        "public_id",
    )

    def hidden_actions(self, row: Any) -> set[str]:
        """Hide the decision where none is waited for."""
        return set() if row.status == Refund.REVIEW else {"settle"}

    @display(description=_("Order"))
    def of_order(self, refund: Refund) -> SafeString:
        """Lead to the order."""
        return _to_order(refund.payment)

    @display(description=_("Amount"), ordering="amount_minor")
    def amount(self, refund: Refund) -> str:
        """Show what goes back."""
        return amounts.money(refund.amount_minor, refund.payment.currency)

    @display(description=_("Receipts"))
    def receipts(self, refund: Refund) -> SafeString | str:
        """Lead to the counter-receipt."""
        return links_to(refund.payment.receipts.filter(refund=refund))

    @action(description=_("Settle"), url_path="settle", permissions=["act"], icon="gavel")
    def settle(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Decide whether money of which nobody knows went back."""
        refund = steps.row_or_404(self, request, object_id)

        def decide(given: dict[str, Any]) -> HttpResponse:
            with tenant_scope(refund.tenant_id):
                now = orders.settle(
                    refund.pk, is_done=given["found"] == WENT, actor=str(request.user)[:64]
                )
            state = str(values.word(Refund, "status", now.status))
            if refund.status == Refund.REVIEW:  # else the same was decided by an earlier press
                self.log_change(request, refund, state)
            messages.success(request, _("The refund: %(status)s.") % {"status": state})
            return redirect("admin:billing_refund_change", refund.pk)

        return steps.step(
            self,
            request,
            deed=decide,
            form=SettleForm(steps.posted(request)),
            row=refund,
            title=_("Settle the refund of %(order)s") % {"order": refund.payment.order},
            sentence=_(
                "Look the payment up at the provider. If the money did not go back, the base "
                "tokens that were taken are given back, and the refund can be begun anew."
            ),
            facts=[
                (_("Amount"), self.amount(refund)),
                (_("What is known"), refund.failure or "-"),
                (_("The provider's reference"), _references(refund.payment)),
            ],
            button=_("Settle"),
        )


@admin.register(Dispute)
class DisputeAdmin(ScopedAdmin):
    """Payments that buyers want back from their banks. Providers tell how they end."""

    verbs = member_verbs = READ_ONLY
    list_display = (
        "created_at",
        "of_order",
        "amount",
        values.worded(Dispute, "status"),
        "reason",
        "closed_at",
    )
    list_select_related = ("payment__order",)
    list_filter = (("status", values.WordsFilter), "created_at")
    search_fields = ("payment__order__number", "=reference")
    search_help_text = _("Order number or the provider's reference")
    ordering = ("-id",)
    fields = readonly_fields = (
        "tenant",
        "created_at",
        "of_order",
        "of_payment",
        "amount",
        values.worded(Dispute, "status"),
        "what_to_do",
        "reason",
        "wallets",
        "reference",
        "closed_at",
        "receipts",
        "public_id",
    )

    @display(description=_("Order"))
    def of_order(self, dispute: Dispute) -> SafeString:
        """Lead to the order."""
        return _to_order(dispute.payment)

    @display(description=_("Payment"))
    def of_payment(self, dispute: Dispute) -> SafeString:
        """Lead to the payment."""
        return page_link(Payment, dispute.payment_id, dispute.payment)

    @display(description=_("Amount"), ordering="amount_minor")
    def amount(self, dispute: Dispute) -> str:
        """Show what is wanted back."""
        return amounts.money(dispute.amount_minor, dispute.payment.currency)

    @display(description=_("What to do"))
    def what_to_do(self, dispute: Dispute) -> Any:
        """Say what a person can do about it."""
        return _WHAT_TO_DO.get(dispute.status, "-")

    @display(description=_("Frozen wallets"))
    def wallets(self, dispute: Dispute) -> SafeString | str:
        """Lead to the wallets that it has frozen."""
        rows = Wallet.objects.filter(pk__in=dispute.frozen_wallets).order_by("pk")
        links = [
            (
                reverse("admin:billing_wallet_change", args=[row.pk]),
                row.name or _("Wallet %(number)s") % {"number": row.pk},
                values.word(Wallet, "status", row.status),
            )
            for row in rows
        ]
        return format_html_join("", '<p><a href="{}">{}</a> {}</p>', links) or "-"

    @display(description=_("Receipts"))
    def receipts(self, dispute: Dispute) -> SafeString | str:
        """Lead to the counter-receipt."""
        return links_to(dispute.payment.receipts.filter(dispute=dispute))


def _to_order(payment: Payment) -> SafeString:
    return page_link(Order, payment.order_id, payment.order.number)


def _references(payment: Payment) -> str:
    return ", ".join(payment.references.values_list("reference", flat=True)) or "-"
