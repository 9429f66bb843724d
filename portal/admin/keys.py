"""Admin of API keys: issue one (shown once), limit it, revoke it. Secrets are never read back."""

import ipaddress
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
)

from billing import keys
from billing.models import ApiKey, Tenant
from portal import amounts
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import BaseTokensField, WordsField, base_tokens
from portal.admin.roles import EDIT, is_operator
from portal.request import tenant_of

_LISTS = ("allowed_models", "allowed_endpoints", "allowed_addresses")


def _count(label: Any) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=1,
        max_value=2_000_000_000,
        widget=UnfoldAdminIntegerFieldWidget,
    )


class KeyLimitsForm(forms.Form):
    """What a new key may do. An empty limit does not limit."""

    name = forms.CharField(
        label=_("Name"), max_length=60, required=False, widget=UnfoldAdminTextInputWidget
    )
    credit_ubt = BaseTokensField(
        label=_("Credit"), required=False, help_text=_("Base tokens that are put on its wallet.")
    )
    expires_at = forms.SplitDateTimeField(
        label=_("Expires"), required=False, widget=UnfoldAdminSplitDateTimeWidget
    )
    allowed_models = WordsField(
        label=_("Models"), help_text=_("One a line. Empty: every model that the shop sells.")
    )
    rpm = _count(_("Requests a minute"))
    tpm = _count(_("Tokens a minute"))
    concurrency = _count(_("Requests at once"))

    def clean_credit_ubt(self) -> int:
        """Take no credit below nothing."""
        credit_ubt = self.cleaned_data["credit_ubt"] or 0
        if credit_ubt < 0:
            raise forms.ValidationError(_("A key can't start with a debt."))
        return int(credit_ubt)

    def clean_expires_at(self) -> Any:
        """Take no end that has passed."""
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError(_("This moment has passed."))
        return expires_at


class NewKeyForm(KeyLimitsForm):
    """The same for platform operators, who also say whose key it is."""

    tenant = forms.ModelChoiceField(
        label=_("Shop"),
        queryset=Tenant.objects.order_by("name"),
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ("tenant",)


class KeyForm(ModelForm):  # type: ignore[type-arg]
    """The policy of a key as it is."""

    limit_ubt = BaseTokensField(
        label=_("Spending cap"),
        required=False,
        help_text=_("Base tokens in its life, on a wallet that it may share. Empty: no cap."),
    )
    allowed_models = WordsField(label=_("Models"), help_text=_("One a line. Empty: all."))
    allowed_endpoints = WordsField(label=_("Endpoints"), help_text=_("One a line. Empty: all."))
    allowed_addresses = WordsField(
        label=_("Addresses"), help_text=_("IP addresses or networks, one a line. Empty: all.")
    )

    def clean_allowed_addresses(self) -> list[str]:
        """Take addresses and networks; one that can't be read would let nobody in."""
        for word in self.cleaned_data["allowed_addresses"]:
            try:
                ipaddress.ip_network(word, strict=False)
            except ValueError as problem:
                raise forms.ValidationError(
                    _("%(word)s is neither an address nor a network.") % {"word": word}
                ) from problem
        return list(self.cleaned_data["allowed_addresses"])

    def clean_limit_ubt(self) -> int | None:
        """Take no cap below what is spent or held already."""
        limit_ubt: int | None = self.cleaned_data["limit_ubt"]
        if (
            limit_ubt is not None
            and limit_ubt < self.instance.spent_ubt + self.instance.pending_ubt
        ):
            raise forms.ValidationError(_("More than this is spent or held already."))
        return limit_ubt


@admin.register(ApiKey)
class ApiKeyAdmin(ScopedAdmin):
    """Keys. They are never deleted, and a revoked one stays revoked."""

    verbs = member_verbs = EDIT
    form = KeyForm
    list_display = ("key", "name", "key_id", "state", "left", "used", "expires_at", "created_at")
    list_select_related = ("wallet",)
    list_filter = (("status", values.WordsFilter), "expires_at", "created_at")
    search_fields = ("name", "kid")
    search_help_text = _("Name, key id or a whole key")
    ordering = ("-id",)
    actions_detail = ("revoke",)
    readonly_fields = (
        "key",
        "key_id",
        "wallet",
        "state",
        "spent",
        "held",
        "revoked_at",
        "created_at",
    )
    fieldsets = (
        (None, {"fields": ("tenant", "key", "key_id", "name", "status", "expires_at")}),
        (_("Spending"), {"fields": ("wallet", "spent", "held", "limit_ubt")}),
        (_("Limits"), {"fields": ("rpm", "tpm", "concurrency", *_LISTS)}),
        (_("Times"), {"fields": ("created_at", "revoked_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).defer("mac")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ApiKey], search_term: str
    ) -> Any:
        """Find a pasted key by its public id; the secret part is dropped at once."""
        pasted = keys.parse(search_term.strip())
        if pasted:
            return queryset.filter(kid=pasted.kid), False
        return super().get_search_results(request, queryset, search_term)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the two states that can be chosen."""
        if db_field.name == "status":
            choices = [(ApiKey.ACTIVE, _("Usable")), (ApiKey.DISABLED, _("Paused"))]
            return forms.ChoiceField(
                label=_("Status"), choices=choices, widget=UnfoldAdminSelectWidget
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        """Say how it is where nobody can choose: to who only looks, and of a revoked key."""
        first, *others = super().sections(request, obj)
        if obj and not obj.revoked_at and self.has_change_permission(request, obj):
            return first, *others
        shown = ["state" if name == "status" else name for name in first[1]["fields"]]
        return (first[0], {"fields": shown}), *others

    @display(
        description=_("State"),
        label={"usable": "success", "paused": "warning", "revoked": "danger", "expired": "danger"},
    )
    def state(self, key: ApiKey) -> values.Badge:
        """Say whether the key can be used."""
        if key.revoked_at:
            return values.Badge(("revoked", _("Revoked")))
        if key.expires_at and key.expires_at <= timezone.now():
            return values.Badge(("expired", _("Expired")))
        if key.status != ApiKey.ACTIVE:
            return values.Badge(("paused", _("Paused")))
        return values.Badge(("usable", _("Usable")))

    @display(description=_("Key"))
    def key(self, key: ApiKey) -> str:
        """Show the key as it may be shown."""
        return key.masked

    @display(description=_("Key id"), ordering="kid")
    def key_id(self, key: ApiKey) -> str:
        """Show the public part, by which logs and commands name the key."""
        return key.kid

    @display(description=_("Left"))
    def left(self, key: ApiKey) -> str:
        """Show what its wallet has left, in whole base tokens."""
        return amounts.base_tokens(key.wallet.available_ubt)

    @display(description=_("Used"), ordering="spent_ubt")
    def used(self, key: ApiKey) -> str:
        """Show what the key has used, in whole base tokens."""
        return amounts.used_base_tokens(key.spent_ubt)

    @display(description=_("Used"), ordering="spent_ubt")
    def spent(self, key: ApiKey) -> str:
        """Show what the key has used, exactly."""
        return base_tokens(key.spent_ubt)

    @display(description=_("Held"), ordering="pending_ubt")
    def held(self, key: ApiKey) -> str:
        """Show what its running requests hold."""
        return base_tokens(key.pending_ubt)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Issue a key and show it, this once."""
        self.check_may_add(request)
        form = NewKeyForm if is_operator(request) else KeyLimitsForm

        def issue(values: dict[str, Any]) -> HttpResponse:
            tenant = values.pop("tenant", None) or tenant_of(request)
            given = {name: value for name, value in values.items() if value}
            key, plaintext = keys.issue(tenant_id=tenant.pk, actor=str(request.user), **given)
            self.log_addition(request, key, [{"added": {}}])
            return steps.show(
                self,
                request,
                template="admin/tollgate/key_issued.html",
                title=_("Your new key"),
                row=key,
                plaintext=plaintext,
            )

        return steps.step(
            self,
            request,
            deed=issue,
            form=form(steps.posted(request)),
            title=_("New key"),
            sentence=_("The key is shown once, on the next page."),
            button=_("Issue the key"),
        )

    @action(description=_("Revoke"), url_path="revoke", permissions=["change"], icon="block")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End a key for good."""
        key = steps.row_or_404(self, request, object_id)

        def end(_values: dict[str, Any]) -> HttpResponse:
            keys.revoke(kid=key.kid)
            self.log_change(request, key, [{"changed": {"fields": ["revoked_at"]}}])
            messages.success(request, _("The key is revoked. Its balance stays on the wallet."))
            return redirect("admin:billing_apikey_change", key.pk)

        return steps.step(
            self,
            request,
            deed=end,
            form=forms.Form(steps.posted(request)),
            row=key,
            title=_("Revoke %(key)s") % {"key": key.masked},
            sentence=_(
                "From the next second on the key is refused, and it can't be brought back. "
                "The balance stays on its wallet."
            ),
            button=_("Revoke the key"),
            is_destructive=True,
        )
