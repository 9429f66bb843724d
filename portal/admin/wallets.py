"""Admin of wallets, transfers and holds. The ledger alone writes amounts."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.ids import uuid7
from billing.ledger import transfers
from billing.models import Hold, Transfer, Wallet
from portal.admin import steps
from portal.admin.base import ScopedAdmin
from portal.admin.fields import BaseTokensField, base_tokens
from portal.admin.roles import CHANGE, READ_ONLY, VIEW


class AdjustmentForm(forms.Form):
    """A change of a balance by hand. `once` makes a repeated click the same adjustment."""

    amount_ubt = BaseTokensField(
        label=_("Base tokens"), help_text=_("With a minus in front to take away.")
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Kept for good, with your name."),
    )
    once = forms.UUIDField(widget=forms.HiddenInput)

    def clean_amount_ubt(self) -> int:
        """Refuse to change nothing."""
        amount_ubt = int(self.cleaned_data["amount_ubt"])
        if not amount_ubt:
            raise forms.ValidationError(_("Nothing would change."))
        return amount_ubt


@admin.register(Wallet)
class WalletAdmin(ScopedAdmin):
    """Balances. Their amounts can't be edited: they are adjusted, with a reason."""

    verbs = member_verbs = frozenset({VIEW, CHANGE})
    list_display = ("__str__", "left", "held", "used", "bought", "status", "expires_at")
    list_filter = ("status", "expires_at")
    search_fields = ("name", "api_keys__kid", "api_keys__name")
    search_help_text = _("Name of the wallet or of a key, key id")
    ordering = ("-id",)
    actions_detail = ("adjust",)
    readonly_fields = ("owner", "left", "held", "used", "bought", "owed", "created_at")
    fieldsets = (
        (None, {"fields": ("tenant", "name", "owner", "status", "expires_at", "created_at")}),
        (_("Balance in base tokens"), {"fields": ("left", "held", "used", "bought", "owed")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the two states that there are."""
        if db_field.name == "status":
            choices = [(Wallet.ACTIVE, _("Usable")), (Wallet.FROZEN, _("Frozen"))]
            return forms.ChoiceField(
                label=_("Status"), choices=choices, widget=UnfoldAdminSelectWidget
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @display(description=_("Left"))
    def left(self, wallet: Wallet) -> str:
        """Show what a new request may still hold."""
        return base_tokens(wallet.available_ubt)

    @display(description=_("Held"), ordering="pending_ubt")
    def held(self, wallet: Wallet) -> str:
        """Show what running requests hold."""
        return base_tokens(wallet.pending_ubt)

    @display(description=_("Used or taken"), ordering="debits_ubt")
    def used(self, wallet: Wallet) -> str:
        """Show what was charged or taken away."""
        return base_tokens(wallet.debits_ubt)

    @display(description=_("Bought or given"), ordering="credits_ubt")
    def bought(self, wallet: Wallet) -> str:
        """Show what was ever credited."""
        return base_tokens(wallet.credits_ubt)

    @display(description=_("Owed"), ordering="debt_ubt")
    def owed(self, wallet: Wallet) -> str:
        """Show what a refund could not take back."""
        return base_tokens(wallet.debt_ubt)

    @action(
        description=_("Adjust the balance"),
        url_path="adjust",
        permissions=["change"],
        icon="balance",
    )
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Book an adjustment with its reason and who made it."""
        wallet = steps.row_or_404(self, request, object_id)

        def book(values: dict[str, Any]) -> HttpResponse:
            amount_ubt = values["amount_ubt"]
            move = transfers.credit if amount_ubt > 0 else transfers.debit
            move(
                wallet_id=wallet.pk,
                kind="adjustment",
                amount_ubt=abs(amount_ubt),
                source="admin",
                source_id=str(values["once"]),
                actor=str(request.user)[:64],
                reason=values["reason"],
            )
            self.log_change(request, wallet, f"{base_tokens(amount_ubt)}: {values['reason']}")
            messages.success(request, _("The balance is adjusted."))
            return redirect("admin:billing_wallet_change", wallet.pk)

        return steps.step(
            self,
            request,
            deed=book,
            form=AdjustmentForm(steps.posted(request), initial={"once": uuid7()}),
            row=wallet,
            title=_("Adjust the balance of %(wallet)s") % {"wallet": wallet},
            sentence=_(
                "%(left)s base tokens are left. A transfer of its own says what you changed."
            )
            % {"left": base_tokens(wallet.available_ubt)},
            button=_("Adjust"),
        )


@admin.register(Transfer)
class TransferAdmin(ScopedAdmin):
    """Why balances changed. Read-only for everyone."""

    verbs = member_verbs = READ_ONLY
    list_display = ("created_at", "kind", "amount", "wallet", "source", "actor", "reason")
    list_select_related = ("wallet",)
    list_filter = ("kind", "source", "created_at")
    search_fields = ("source_id", "actor", "reason", "wallet__name")
    ordering = ("-id",)
    fields = (
        "tenant",
        "created_at",
        "kind",
        "amount",
        "wallet",
        "source",
        "source_id",
        "actor",
        "reason",
        "reverses",
    )
    readonly_fields = ("amount",)

    @display(description=_("Base tokens"), ordering="amount_ubt")
    def amount(self, transfer: Transfer) -> str:
        """Show the change with its sign."""
        sign = "+" if transfer.direction > 0 else "-"
        return f"{sign}{base_tokens(transfer.amount_ubt)}"


@admin.register(Hold)
class HoldAdmin(ScopedAdmin):
    """Requests that run now, and what they hold. Read-only for everyone."""

    verbs = member_verbs = READ_ONLY
    list_display = ("id", "model_asked", "endpoint", "amount", "delivered", "age", "heartbeat_at")
    list_filter = ("model_asked", "stream")
    search_fields = ("id", "model_asked")
    ordering = ("-id",)
    exclude = ("amount_ubt", "wholesale_ubt", "delivered_ubt")
    readonly_fields = ("amount", "delivered")

    @display(description=_("Held"), ordering="amount_ubt")
    def amount(self, hold: Hold) -> str:
        """Show what is held."""
        return base_tokens(hold.amount_ubt)

    @display(description=_("Delivered"), ordering="delivered_ubt")
    def delivered(self, hold: Hold) -> str:
        """Show what has been delivered of it."""
        return base_tokens(hold.delivered_ubt)

    @display(description=_("Since"), ordering="created_at")
    def age(self, hold: Hold) -> Any:
        """Show when the request came."""
        return hold.created_at
