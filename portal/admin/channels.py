"""Admin of channels: addresses, models, credentials that are written and never read, and a test."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget

from billing.errors import FieldInvalid
from portal.admin import steps
from portal.admin.base import ScopedAdmin, ScopedInline
from portal.admin.fields import WordsField
from portal.admin.roles import CHANGE, DELETE, EDIT, EVERYTHING, VIEW, is_operator
from relay import channels, probes, status
from relay.models import Channel, ChannelCredential, ChannelModel

# They reach into the installation's own network, so a shop can't set them for itself.
_FOR_OPERATORS = ("allows_private_network", "proxy_url")


class ChannelForm(ModelForm):  # type: ignore[type-arg]
    """A channel and, if one is given, a new credential for it."""

    provider = forms.ChoiceField(label=_("Provider"), widget=UnfoldAdminSelectWidget)
    new_credential = forms.CharField(
        label=_("New credential"),
        required=False,
        max_length=channels.MAX_CREDENTIAL_LENGTH,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=_(
            "Stored sealed and never shown again. Earlier ones stay until you take them out or "
            "move the channel to another address."
        ),
    )
    allowed_endpoints = WordsField(label=_("Endpoints"), help_text=_("One a line. Empty: all."))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "provider" in self.fields:
            names = [(name, name) for name in status.provider_names()]
            cast("forms.ChoiceField", self.fields["provider"]).choices = names

    def clean_extra_headers(self) -> dict[str, str]:
        """Take an object of texts and nothing else."""
        headers = self.cleaned_data["extra_headers"] or {}
        if not isinstance(headers, dict) or not all(
            isinstance(value, str) and value.isascii() for value in headers.values()
        ):
            raise forms.ValidationError(_("Give an object of names and texts."))
        return headers

    def clean_proxy_url(self) -> str:
        """Take an address that can be a proxy's."""
        try:
            return channels.check_proxy(self.cleaned_data["proxy_url"])
        except FieldInvalid as problem:
            raise forms.ValidationError(str(problem)) from None

    def clean(self) -> dict[str, Any]:
        """Check address and credential by the rules of the provider."""
        values = super().clean() or self.cleaned_data
        provider = values.get("provider")
        if not provider:
            return values
        try:
            values["base_url"] = channels.check_address(
                provider,
                values.get("base_url", ""),
                allow_private_network=values.get(
                    "allows_private_network", self.instance.allows_private_network
                ),
            )
        except FieldInvalid as problem:
            self.add_error("base_url", str(problem))
        self._check_credential(provider, values.get("new_credential", ""))
        self._check_name(values)
        return values

    def _check_name(self, values: dict[str, Any]) -> None:
        # The shop is no field of the form for its members, so Django would not compare.
        rows = Channel.objects.filter(name=values.get("name")).exclude(pk=self.instance.pk)
        tenant_id = values["tenant"].pk if "tenant" in values else self.instance.tenant_id
        if (rows.filter(tenant_id=tenant_id) if tenant_id else rows).exists():
            self.add_error("name", _("There is a channel of this name already."))

    def has_credentials(self) -> bool:
        """Tell whether the channel has been given a credential before."""
        return bool(self.instance.pk) and self.instance.credentials.exists()

    def moves(self) -> bool:
        """Tell whether the calls, and with them the credentials, would go elsewhere."""
        before = self.initial.get("base_url", ""), self.initial.get("provider", "")
        after = self.cleaned_data.get("base_url", ""), self.cleaned_data.get("provider", "")
        return bool(self.instance.pk) and before != after

    def _check_credential(self, provider: str, secret: str) -> None:
        if not secret and self.has_credentials() and not self.moves():
            return
        try:
            channels.check_credential(provider, secret)
        except FieldInvalid as problem:
            self.add_error("new_credential", str(problem))


class ModelInline(ScopedInline):
    """Which models the channel offers; none means every priced one."""

    model = ChannelModel
    verbs = member_verbs = EVERYTHING
    fields = ("asked", "served")


class CredentialInline(ScopedInline):
    """The credentials it has, by their last characters."""

    model = ChannelCredential
    verbs = member_verbs = frozenset({VIEW, CHANGE, DELETE})
    fields = ("masked", "is_enabled", "created_at")
    readonly_fields = ("masked", "created_at")

    @display(description=_("Credential"))
    def masked(self, credential: ChannelCredential) -> str:
        """Show the hint alone."""
        return f"***{credential.hint}"


@admin.register(Channel)
class ChannelAdmin(ScopedAdmin):
    """Ways to upstreams. A channel of the platform serves every shop."""

    verbs = member_verbs = EDIT | {DELETE}
    form = ChannelForm
    list_display = ("name", "provider", "base_url", "state", "priority", "weight", "model_count")
    list_filter = ("provider", "is_enabled")
    search_fields = ("name", "base_url", "models__asked")
    ordering = ("-priority", "name")
    inlines = (ModelInline, CredentialInline)
    actions_detail = ("test_connection",)
    actions_row = ("test_connection",)
    readonly_fields = ("created_at",)
    fieldsets = (
        (None, {"fields": ("tenant", "name", "provider", "base_url", "new_credential")}),
        (_("Use"), {"fields": ("is_enabled", "priority", "weight", "concurrency")}),
        (
            _("Calls"),
            {
                "fields": (
                    "test_model",
                    "allowed_endpoints",
                    "extra_headers",
                    *_FOR_OPERATORS,
                    "connect_timeout_ms",
                    "write_timeout_ms",
                    "first_byte_timeout_ms",
                    "idle_timeout_ms",
                    "total_timeout_ms",
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep what reaches into our own network to operators."""
        fixed = list(super().get_readonly_fields(request, obj))
        return fixed if is_operator(request) else [*fixed, *_FOR_OPERATORS]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the channel and seal the credential that came with it.

        Who may write an address need not know the credentials, so these don't move with it.
        """
        if form.moves():
            obj.credentials.all().delete()
        super().save_model(request, obj, form, change)
        secret = form.cleaned_data.get("new_credential")
        if secret:
            channels.add_credential(obj, secret)

    @display(description=_("State"), label={"on": "success", "off": "danger"})
    def state(self, channel: Channel) -> tuple[str, Any]:
        """Say whether it is switched on."""
        return ("on", _("On")) if channel.is_enabled else ("off", _("Off"))

    @display(description=_("Models"))
    def model_count(self, channel: Channel) -> Any:
        """Count its models; none named is all."""
        return channel.models.count() or _("all")

    @action(
        description=_("Test connection"),
        url_path="test",
        permissions=["change"],
        icon="network_check",
    )
    def test_connection(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make a real, minimal call and show what came back."""
        channel = steps.row_or_404(self, request, object_id)

        def test(_values: dict[str, Any]) -> HttpResponse:
            return steps.show(
                self,
                request,
                template="admin/tollgate/probe.html",
                title=_("Test of %(channel)s") % {"channel": channel},
                row=channel,
                result=probes.probe(channel),
            )

        return steps.step(
            self,
            request,
            deed=test,
            form=forms.Form(steps.posted(request)),
            row=channel,
            title=_("Test %(channel)s") % {"channel": channel},
            sentence=_(
                "The upstream is asked for its models and for an answer of a few tokens, with the "
                "channel's own credential. It costs what such a call costs there."
            ),
            button=_("Test connection"),
        )
