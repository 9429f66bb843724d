"""Admin of wallets, transfers and holds. The ledger alone writes amounts."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from billing.ids import uuid7
from billing.ledger import expiry, transfers
from billing.models import Hold, Transfer, Wallet
from billing.scoping import tenant_scope
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import BaseTokensField, base_tokens
from portal.admin.roles import CHANGE, READ_ONLY, VIEW


class ExtensionForm(forms.Form):
    """For how many days from now a balance is to be good, at least."""

    days = forms.IntegerField(
        label=_("Days from today"),
        min_value=1,
        max_value=3_650,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    reason = forms.CharField(label=_("Reason"), max_length=200, widget=UnfoldAdminTextInputWidget)


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
    list_display = ("title", "left", "held", "used", "bought", "state", "expires_at")
    list_display_links = ("title",)
    list_filter = (("status", values.WordsFilter), "expires_at")
    search_fields = ("name", "=api_keys__kid", "api_keys__name", "=notify_email")
    search_help_text = _("Name of the wallet or of a key, key id, e-mail")
    ordering = ("-id",)
    actions_detail = ("adjust", "extend", "freeze", "unfreeze")
    readonly_fields = (
        "owner",
        "state",
        "keys",
        "left",
        "held",
        "used",
        "bought",
        "owed",
        "mark",
        "created_at",
    )
    fieldsets = (
        (None, {"fields": ("tenant", "name", "owner", "keys", "state", "expires_at")}),
        (_("Balance in base tokens"), {"fields": ("left", "held", "used", "bought", "owed")}),
        (
            _("Limits of all its keys together"),
            {
                "fields": ("rpm", "tpm", "concurrency"),
                "description": _("Beside those of each key. Empty: no limit."),
            },
        ),
        (_("Notices"), {"fields": ("notify_email", "mark", "created_at")}),
    )

    def hidden_actions(self, row: Any) -> set[str]:
        """Hide what is so already, and the moving of an end that is not there."""
        is_frozen = row.status == Wallet.FROZEN
        return {"freeze" if is_frozen else "unfreeze", *(() if row.expires_at else ("extend",))}

    @display(
        description=_("State"),
        ordering="status",
        label={"usable": values.GOOD, "frozen": values.BAD, "expired": values.BAD},
    )
    def state(self, wallet: Wallet) -> values.Badge:
        """Say whether requests can be paid from it."""
        if wallet.status == Wallet.FROZEN:
            return values.Badge(("frozen", _("Frozen")))
        if wallet.expires_at and wallet.expires_at <= timezone.now():
            return values.Badge(("expired", _("Expired")))
        return values.Badge(("usable", _("Usable")))

    @display(description=_("Keys"))
    def keys(self, wallet: Wallet) -> SafeString | str:
        """Lead to the keys that live off it."""
        links = [
            (reverse("admin:billing_apikey_change", args=[key.pk]), key.masked)
            for key in wallet.api_keys.order_by("-pk")[:20]
        ]
        return format_html_join(" ", '<a href="{}">{}</a>', links) or "-"

    @display(description=_("Low-balance mark"))
    def mark(self, wallet: Wallet) -> str:
        """Show below what its buyer wants to be told."""
        return base_tokens(wallet.alert_below_ubt)

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
            title=_("Adjust the balance of %(wallet)s") % {"wallet": self.title(wallet)},
            sentence=_(
                "%(left)s base tokens are left. A transfer of its own says what you changed."
            )
            % {"left": base_tokens(wallet.available_ubt)},
            button=_("Adjust"),
        )

    @display(description=_("Wallet"), ordering="pk")
    def title(self, wallet: Wallet) -> str:
        """Show its name, else its number."""
        return wallet.name or str(_("Wallet %(number)s") % {"number": wallet.pk})

    @action(
        description=_("Extend"), url_path="extend", permissions=["change"], icon="event_upcoming"
    )
    def extend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Move the end of a balance and of its keys, as a top-up does."""
        wallet = steps.row_or_404(self, request, object_id)

        def move(given: dict[str, Any]) -> HttpResponse:
            with tenant_scope(wallet.tenant_id):
                expiry.prolong(wallet_id=wallet.pk, days=given["days"])
            self.log_change(request, wallet, f"+{given['days']} d: {given['reason']}")
            messages.success(request, _("The end is moved."))
            return redirect("admin:billing_wallet_change", wallet.pk)

        return steps.step(
            self,
            request,
            deed=move,
            form=ExtensionForm(steps.posted(request)),
            row=wallet,
            title=_("Extend %(wallet)s") % {"wallet": self.title(wallet)},
            sentence=_(
                "The balance and the keys that live off it are good for so many days from today. "
                "A later end stays. What has lapsed does not come back."
            ),
            button=_("Extend"),
        )

    @action(description=_("Freeze"), url_path="freeze", permissions=["change"], icon="ac_unit")
    def freeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stop a balance from being used."""
        return self._set_status(
            request,
            object_id,
            Wallet.FROZEN,
            title=_("Freeze this balance"),
            sentence=_(
                "From the next second on, calls of all its keys are refused. Nothing is taken away."
            ),
            button=_("Freeze"),
            is_destructive=True,
        )

    @action(description=_("Unfreeze"), url_path="unfreeze", permissions=["change"], icon="sunny")
    def unfreeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let a balance be used again."""
        return self._set_status(
            request,
            object_id,
            Wallet.ACTIVE,
            title=_("Unfreeze this balance"),
            sentence=_("Its keys can be used again within a second."),
            button=_("Unfreeze"),
        )

    def _set_status(
        self, request: HttpRequest, object_id: str, status: str, **texts: Any
    ) -> HttpResponse:
        wallet = steps.row_or_404(self, request, object_id)

        def store(_given: dict[str, Any]) -> HttpResponse:
            Wallet.objects.filter(pk=wallet.pk).update(status=status)
            self.log_change(request, wallet, str(values.word(Wallet, "status", status)))
            messages.success(request, values.word(Wallet, "status", status))
            return redirect("admin:billing_wallet_change", wallet.pk)

        form = forms.Form(steps.posted(request))
        return steps.step(self, request, deed=store, form=form, row=wallet, **texts)


@admin.register(Transfer)
class TransferAdmin(ScopedAdmin):
    """Why balances changed. Read-only for everyone."""

    verbs = member_verbs = READ_ONLY
    list_display = (
        "created_at",
        values.worded(Transfer, "kind"),
        "amount",
        "wallet",
        values.worded(Transfer, "source"),
        "actor",
        "reason",
    )
    list_select_related = ("wallet",)
    list_filter = (
        ("kind", values.WordsFilter),
        ("source", values.WordsFilter),
        "created_at",
    )
    search_fields = ("source_id", "actor", "reason", "wallet__name")
    ordering = ("-id",)
    fields = (
        "tenant",
        "created_at",
        values.worded(Transfer, "kind"),
        "amount",
        "wallet",
        values.worded(Transfer, "source"),
        "source_id",
        "actor",
        "reason",
        "reverses",
    )
    readonly_fields = (
        "amount",
        values.worded(Transfer, "kind"),
        values.worded(Transfer, "source"),
    )

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

    @display(description=_("Answered so far"), ordering="delivered_ubt")
    def delivered(self, hold: Hold) -> str:
        """Show what has been delivered of it."""
        return base_tokens(hold.delivered_ubt)

    @display(description=_("Since"), ordering="created_at")
    def age(self, hold: Hold) -> Any:
        """Show when the request came."""
        return hold.created_at
