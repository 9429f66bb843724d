"""Admin of the ways to pay: a shop's accounts at payment providers. Secrets are never read back.

Each says whether buyers can choose it and, if not, why; what its provider needs is named here, too.
"""

import time
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from billing import payments
from billing.errors import PaymentAway, SealBroken
from billing.models import PaymentInstance
from billing.payments import credentials
from billing.payments.base import Hearing, Testing
from billing.payments.epay import CURRENCY as EPAY_CURRENCY
from billing.payments.manual import MANUAL
from billing.scoping import tenant_scope
from portal import links
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import parse_settings
from portal.admin.roles import EDIT

_WITHOUT_ACCOUNT = frozenset({"free", "voucher"})
"""Providers that no shop has an account at: nothing is paid there."""

SECRETS: dict[str, tuple[tuple[str, Any], ...]] = {
    "stripe": (
        ("api_key", _("the secret key, sk_..., or a restricted one, rk_...")),
        ("webhook_secret", _("what the endpoint with the notify address signs with, whsec_...")),
        ("methods", _("optional: ways to pay, parted by commas, such as card,alipay")),
    ),
    "epay": (
        ("url", _("the gateway's base address")),
        ("pid", _("the merchant's number")),
        ("key", _("V1: the merchant's key")),
        ("private_key", _("V2: the merchant's private key")),
        ("gateway_key", _("V2: the gateway's public key")),
        ("type", _("optional: one way to pay, such as alipay or wxpay")),
        ("show", _("optional: qr, if buyers are to scan a code on the page of their order")),
    ),
}
_NEEDED = {"stripe": ("api_key", "webhook_secret"), "epay": ("url", "pid")}


def why_not(instance: PaymentInstance) -> Any:
    """Return why buyers can't choose a way to pay, "" if they can. Names secrets, shows none."""
    if not instance.is_enabled:
        return _("It is switched off.")
    if payments.is_offered(instance):
        return ""
    if instance.provider == MANUAL:
        return _("It has no instructions for buyers.")
    try:
        there = credentials.read(instance)
    except SealBroken:
        return _("Its secrets can't be opened. Enter them anew.")
    missing = [name for name in _NEEDED.get(instance.provider, ()) if not there.get(name)]
    if missing:
        return _("Secrets are missing: %(names)s.") % {"names": ", ".join(missing)}
    if instance.provider == "epay" and instance.tenant.currency != EPAY_CURRENCY:
        return _("It takes %(currency)s only.") % {"currency": EPAY_CURRENCY}
    if instance.provider not in SECRETS:
        return _("This server doesn't offer it.")
    return _("Its secrets have not the form that they should have.")


class InstanceForm(ModelForm):  # type: ignore[type-arg]
    """An account at a provider and, if they are given, new secrets for it."""

    provider = forms.ChoiceField(label=_("Payment provider"), widget=UnfoldAdminSelectWidget)
    new_secrets = forms.CharField(
        label=_("New secrets"),
        required=False,
        max_length=16_000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "autocomplete": "off"}),
        help_text=_(
            "One a line, as name=value. Stored sealed and never shown again; new ones replace all "
            "of the old."
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fields: dict[str, Any] = self.fields
        if "provider" in fields:
            names = [name for name in payments.REGISTRY if name not in _WITHOUT_ACCOUNT]
            fields["provider"].choices = [
                (name, values.word(PaymentInstance, "provider", name)) for name in names
            ]
        if "instructions" in fields:
            fields["instructions"].widget.attrs["rows"] = 6
            fields["instructions"].help_text = _(
                "Only for transfers by hand: where the money goes, and that the order number "
                "belongs into the remark. Buyers read it on the page of their order."
            )

    def clean_new_secrets(self) -> dict[str, str]:
        """Take lines of names and values."""
        return parse_settings(self.cleaned_data["new_secrets"])

    def clean(self) -> dict[str, Any]:
        """Take instructions where buyers pay by hand, and nowhere else."""
        found = super().clean() or self.cleaned_data
        if "instructions" not in found:
            return found
        if found.get("provider", self.instance.provider) != MANUAL:
            found["instructions"] = ""
        elif not found["instructions"].strip():
            self.add_error("instructions", _("Buyers would not know where to send the money."))
        return found


@admin.register(PaymentInstance)
class PaymentInstanceAdmin(ScopedAdmin):
    """A shop's own accounts at payment providers. One that is in use stays what it is."""

    verbs = member_verbs = EDIT
    form = InstanceForm
    list_display = (
        "title",
        values.worded(PaymentInstance, "provider"),
        "state",
        "reason",
        "test_result",
        "heard_at",
        "refused",
    )
    list_display_links = ("title",)
    list_filter = ("is_enabled",)
    ordering = ("position", "id")
    actions_detail = ("send_test",)
    readonly_fields = (
        values.worded(PaymentInstance, "provider"),
        "state",
        "reason",
        "tested",
        "heard_at",
        "refused",
        "has_secrets",
        "notify_address",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PaymentInstance]:
        return super().get_queryset(request).select_related("tenant")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Keep the provider of an account: payments were made there."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else [*fixed, "provider"]

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for what this provider needs, and say how it fares."""
        first = ["tenant", "provider", "name", "is_enabled", "position"]
        if obj is None:
            return (
                (None, {"fields": [*first, "instructions"]}),
                (_("Secrets"), {"fields": ("new_secrets",), "description": _help_of(SECRETS)}),
            )
        first[1] = values.worded(PaymentInstance, "provider")
        provider = payments.REGISTRY.get(obj.provider)
        is_called = isinstance(provider, Hearing)
        health = ["state", "reason", *(("tested",) if isinstance(provider, Testing) else ())]
        health += ["heard_at", "refused", "created_at"] if is_called else ["created_at"]
        first += ["notify_address"] if is_called else []
        fares = (_("How it fares"), {"fields": health})
        if obj.provider == MANUAL:
            return (None, {"fields": [*first, "instructions"]}), fares
        help_text = _help_of([obj.provider])
        secrets = {"fields": ("has_secrets", "new_secrets"), "description": help_text}
        return (None, {"fields": first}), (_("Secrets"), secrets), fares

    def hidden_actions(self, row: Any) -> set[str]:
        """Hide the test of what can't be tested."""
        is_testing = isinstance(payments.REGISTRY.get(row.provider), Testing)
        return set() if is_testing else {"send_test"}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the account and seal the secrets that came with it."""
        super().save_model(request, obj, form, change)
        secrets = form.cleaned_data.get("new_secrets")
        if secrets:
            credentials.store(obj, secrets)

    @display(description=_("Name"), ordering="name")
    def title(self, instance: PaymentInstance) -> Any:
        """Show its name, else the provider's."""
        return instance.name or values.word(PaymentInstance, "provider", instance.provider)

    @display(description=_("Notify address"))
    def notify_address(self, instance: PaymentInstance) -> str:
        """Say where its provider has to call back."""
        return links.origin_of(instance.tenant) + reverse("notify", args=[instance.public_id])

    @display(description=_("Secrets"))
    def has_secrets(self, instance: PaymentInstance) -> Any:
        """Say whether there are any."""
        return _("stored") if instance.sealed_secrets else _("none")

    @display(
        description=_("State"),
        label={"offered": values.GOOD, "off": values.FAIR, "unfit": values.BAD},
    )
    def state(self, instance: PaymentInstance) -> values.Badge:
        """Say whether buyers can choose it."""
        if not instance.is_enabled:
            return values.Badge(("off", _("Off")))
        if payments.is_offered(instance):
            return values.Badge(("offered", _("Offered")))
        return values.Badge(("unfit", _("Not usable here")))

    @display(description=_("Why it is not offered"))
    def reason(self, instance: PaymentInstance) -> Any:
        """Say what keeps buyers from choosing it."""
        return why_not(instance) or "-"

    @display(description=_("Last test"), ordering="tested_at")
    def tested(self, instance: PaymentInstance) -> Any:
        """Say when it was tested, and what came of it."""
        if not instance.tested_at:
            return "-"
        said = instance.test_error or _("It works")
        return format_html("{}<br>{}", _moment(instance.tested_at), said)

    @display(
        description=_("Last test"),
        ordering="tested_at",
        label={"works": values.GOOD, "fails": values.BAD, "": ""},
    )
    def test_result(self, instance: PaymentInstance) -> values.Badge:
        """Say in short what came of the last test."""
        if not instance.tested_at:
            return values.Badge(("", _("none")))
        if instance.test_error:
            return values.Badge(("fails", _("It doesn't work")))
        return values.Badge(("works", _("It works")))

    @display(description=_("Last callback"))
    def heard_at(self, instance: PaymentInstance) -> str:
        """Say when its provider has last called back, and could prove that it was it."""
        last = instance.events.order_by("-pk").values_list("created_at", flat=True).first()
        return _moment(last) if last else "-"

    @display(description=_("Refused callbacks"), ordering="refused_count")
    def refused(self, instance: PaymentInstance) -> Any:
        """Say how many callbacks were not its provider's, and when the last one came."""
        if not instance.refused_at:
            return str(instance.refused_count)
        return format_html("{}<br>{}", instance.refused_count, _moment(instance.refused_at))

    @action(
        description=_("Send a test"), url_path="test", permissions=["change"], icon="network_check"
    )
    def send_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask the provider whether the secrets are right; show and keep what it says."""
        instance = steps.row_or_404(self, request, object_id)

        def test(_given: dict[str, Any]) -> HttpResponse:
            with tenant_scope(instance.tenant_id):
                said, took_ms = _test(instance)
            self.log_change(request, instance, str(said or _("It works")))
            return steps.show(
                self,
                request,
                template="admin/tollgate/way_test.html",
                title=_("Test of %(way)s") % {"way": self.title(instance)},
                row=instance,
                said=said,
                took_ms=took_ms,
                reason=why_not(instance),
            )

        return steps.step(
            self,
            request,
            deed=test,
            form=forms.Form(steps.posted(request)),
            row=instance,
            title=_("Test %(way)s") % {"way": self.title(instance)},
            sentence=_(
                "The provider is asked something that changes nothing, with the stored secrets. "
                "Nobody pays anything."
            ),
            button=_("Send a test"),
        )


def _test(instance: PaymentInstance) -> tuple[str, int]:
    """Return what is wrong, "" if nothing is, and how long the provider took; note it."""
    provider = payments.provider_of(instance.provider)
    began = time.monotonic_ns()
    said = ""
    try:
        if isinstance(provider, Testing):
            provider.test(instance)
    except PaymentAway as problem:
        said = str(problem)[:200] or type(problem).__name__
    took_ms = (time.monotonic_ns() - began) // 1_000_000
    PaymentInstance.objects.filter(pk=instance.pk).update(tested_at=timezone.now(), test_error=said)
    return said, took_ms


def _help_of(providers: Iterable[str]) -> SafeString:
    """Return which secrets have to be entered, by their names."""
    parts = [
        (
            values.word(PaymentInstance, "provider", name),
            format_html_join("", "<li><code>{}</code> {}</li>", SECRETS[name]),
        )
        for name in providers
        if name in SECRETS and name in payments.REGISTRY
    ]
    return format_html_join("", "<p><b>{}</b></p><ul class='tollgate-names'>{}</ul>", parts)


def _moment(at: Any) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}"
