"""Admin of shops, their hostnames, and the people who work for them."""

import zoneinfo
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Count
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing import keys, tenants
from billing.errors import FieldInvalid
from billing.hostnames import hostname
from billing.models import Domain, Member, Tenant
from billing.scoping import all_tenants
from portal import brand
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin, ScopedInline
from portal.admin.fields import WordsField
from portal.admin.roles import CHANGE, EDIT, EVERYTHING, READ_ONLY, VIEW


class NewTenantForm(forms.Form):
    """What a shop needs to exist."""

    slug = forms.SlugField(
        label=_("Slug"),
        max_length=40,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Its name in commands: lower-case letters, digits and hyphens."),
    )
    name = forms.CharField(label=_("Name"), max_length=120, widget=UnfoldAdminTextInputWidget)
    hosts = WordsField(
        label=_("Hostnames"),
        required=True,
        max_word=253,
        help_text=_("One a line; the first is the main one."),
    )


class TenantForm(ModelForm):  # type: ignore[type-arg]
    """How a shop speaks and counts; the relay relies on what is checked here."""

    language = forms.ChoiceField(
        label=_("Language"), choices=settings.LANGUAGES, widget=UnfoldAdminSelectWidget
    )
    contact_url = forms.URLField(
        label=_("Page for questions"),
        required=False,
        max_length=200,
        assume_scheme="https",
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fields: dict[str, Any] = self.fields
        if "seller" in fields:  # who may only look has no field for it
            fields["seller"].widget.attrs["rows"] = 4
            fields["seller"].help_text = _(
                "Name, address, tax number, as they stand on receipts from now on. Empty: the name "
                "of the shop. Receipts that are written stay as they are."
            )
            fields["mails_keys"].help_text = _(
                "Without this a mail has a link, and a press of a button there shows the key. With "
                "it, whoever reads the mail, on its way or years later, has the key itself."
            )

    def clean_brand_light(self) -> str:
        """Take an accent that can be read on light pages, or none."""
        colour = str(self.cleaned_data["brand_light"]).strip().lower()
        if colour:
            brand.validate_light(colour)
        return colour

    def clean_brand_dark(self) -> str:
        """Take an accent that can be read on dark pages, or none."""
        colour = str(self.cleaned_data["brand_dark"]).strip().lower()
        if colour:
            brand.validate_dark(colour)
        return colour

    def clean_time_zone(self) -> str:
        """Take a name of the time zone database."""
        name = str(self.cleaned_data["time_zone"])
        if name not in zoneinfo.available_timezones():
            raise forms.ValidationError(_("There is no such time zone. One is Asia/Shanghai."))
        return name

    def clean_currency(self) -> str:
        """Take a code of three letters."""
        code = str(self.cleaned_data["currency"]).upper()
        if len(code) != 3 or not code.isascii() or not code.isalpha():
            raise forms.ValidationError(_("Give a code of three letters, like CNY."))
        return code

    def clean_key_prefix(self) -> str:
        """Take a prefix that a key could be made with."""
        prefix = str(self.cleaned_data["key_prefix"])
        try:
            keys.mint(prefix)
        except FieldInvalid as problem:
            raise forms.ValidationError(str(problem)) from problem
        return prefix


class DomainForm(ModelForm):  # type: ignore[type-arg]
    """A hostname in its one stored form."""

    def clean_hostname(self) -> str:
        """Bring the name to the form in which a Host header is looked up."""
        try:
            name = hostname(self.cleaned_data["hostname"])
        except FieldInvalid as problem:
            raise forms.ValidationError(str(problem)) from problem
        with all_tenants():  # a hostname leads to one shop of the installation
            taken = Domain.objects.filter(hostname=name).exclude(pk=self.instance.pk).exists()
        if taken:
            raise forms.ValidationError(_("This hostname is in use."))
        return name


class DomainInline(ScopedInline):
    """The hostnames of a shop, on its page."""

    model = Domain
    form = DomainForm
    verbs = member_verbs = EVERYTHING
    fields = ("hostname", "label", "is_primary")


class MemberFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """The rows of a relation that has no name on the shop's side."""

    @classmethod
    def get_default_prefix(cls) -> str:
        """Return what the names of the form's fields begin with."""
        return "members"


class MemberInline(ScopedInline):
    """The people of a shop, on its page."""

    model = Member
    formset = MemberFormSet
    verbs = EVERYTHING
    member_verbs = READ_ONLY
    fields = ("user", "role")
    autocomplete_fields = ("user",)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the roles that there are."""
        if db_field.name == "role":
            return _role_field()
        return super().formfield_for_dbfield(db_field, request, **kwargs)


@admin.register(Tenant)
class TenantAdmin(ScopedAdmin):
    """Shops. Operators make them; an owner may change how their own speaks and counts."""

    verbs = EDIT
    member_verbs = frozenset({VIEW, CHANGE})
    form = TenantForm
    list_display = (
        "name",
        "slug",
        "domain_count",
        values.worded(Tenant, "language"),
        "currency",
        "state",
    )
    search_fields = ("name", "slug", "domains__hostname")
    ordering = ("id",)
    inlines = (DomainInline, MemberInline)
    readonly_fields = ("slug", "created_at")
    fieldsets = (
        (None, {"fields": ("name", "slug", "is_active", "created_at")}),
        (_("How it speaks and counts"), {"fields": ("language", "time_zone", "currency")}),
        (
            _("How it looks and is reached"),
            {"fields": ("brand_light", "brand_dark", "contact_email", "contact_url")},
        ),
        (_("Papers and mails"), {"fields": ("seller", "mails_keys")}),
        (_("Keys and answers"), {"fields": ("key_prefix", "shows_money", "finishes_abandoned")}),
    )
    _for_operators = ("is_active", "key_prefix")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(domain_total=Count("domains"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave switching a shop off, and what its keys look like, to operators."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if request.user.is_superuser else [*fixed, *self._for_operators]

    @display(description=_("Hostnames"), ordering="domain_total")
    def domain_count(self, tenant: Any) -> int:
        """Count the hostnames."""
        return int(tenant.domain_total)

    @display(
        description=_("State"),
        ordering="is_active",
        label={"platform": "info", "open": "success", "closed": "danger"},
    )
    def state(self, tenant: Tenant) -> tuple[str, Any]:
        """Say whether the shop is open."""
        if tenant.is_platform:
            return "platform", _("Platform")
        return ("open", _("Open")) if tenant.is_active else ("closed", _("Closed"))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Make a shop with its hostnames in one step."""
        self.check_may_add(request)

        def make(values: dict[str, Any]) -> HttpResponse:
            tenant = tenants.create_tenant(**values)
            self.log_addition(request, tenant, [{"added": {}}])
            messages.success(request, _("The shop is there. Add its people below."))
            return redirect("admin:billing_tenant_change", tenant.pk)

        return steps.step(
            self,
            request,
            deed=make,
            form=NewTenantForm(steps.posted(request)),
            title=_("New shop"),
            sentence=_("A new shop sells at list prices until it has prices of its own."),
            button=_("Make the shop"),
        )


@admin.register(Domain)
class DomainAdmin(ScopedAdmin):
    """Hostnames. A new one works within a second."""

    verbs = member_verbs = EVERYTHING
    form = DomainForm
    list_display = ("hostname", "label", "is_primary", "created_at")
    list_display_links = ("hostname",)
    search_fields = ("hostname", "label")
    ordering = ("hostname",)
    fields = ("tenant", "hostname", "label", "is_primary")


@admin.register(Member)
class MemberAdmin(ScopedAdmin):
    """Who works for which shop, in which role."""

    verbs = EVERYTHING
    member_verbs = READ_ONLY
    list_display = ("user", values.worded(Member, "role"), "created_at")
    list_select_related = ("user",)
    list_filter = (("role", values.WordsFilter),)
    search_fields = ("user__email",)
    ordering = ("user__email",)
    fields = ("tenant", "user", "role")
    autocomplete_fields = ("user",)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the roles that there are."""
        if db_field.name == "role":
            return _role_field()
        return super().formfield_for_dbfield(db_field, request, **kwargs)


def _role_field() -> forms.ChoiceField:
    return forms.ChoiceField(
        label=_("Role"), choices=values.choices_of(Member, "role"), widget=UnfoldAdminSelectWidget
    )
