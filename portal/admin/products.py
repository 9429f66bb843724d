"""Admin of products: what a shop sells, for how much. Prices are typed in money, not in cents."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.validators import MaxValueValidator
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from billing.models import Product, Tenant
from billing.orders.placing import MOST_AT_ONCE
from portal import amounts
from portal.admin import values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import BaseTokensField, MoneyField, WordsField, base_tokens
from portal.admin.roles import EDIT
from portal.request import tenant_of


class ProductForm(ModelForm):  # type: ignore[type-arg]
    """A product, with its price in the currency of its shop. A trial costs nothing."""

    shop: Tenant
    """Whose product it is where the form has no field for that; set by the page."""

    kind = forms.ChoiceField(label=_("Kind"), widget=UnfoldAdminSelectWidget)
    grant_ubt = BaseTokensField(label=_("Base tokens"))
    price_minor = MoneyField(label=_("Price"), required=False)
    allowed_models = WordsField(
        label=_("Models"), help_text=_("One a line. Empty: every model that the shop sells.")
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fields: dict[str, Any] = self.fields
        fields["kind"].choices = values.choices_of(Product, "kind")
        fields["name"].help_text = _("Empty: what it gives, for example 5M.")
        fields["valid_days"].help_text = _("Empty: it doesn't expire.")
        fields["max_quantity"].validators.append(MaxValueValidator(MOST_AT_ONCE))
        for name in ("rpm", "tpm", "concurrency"):
            fields[name].help_text = _("Empty: no limit.")
        price = fields["price_minor"]
        price.currency = self._shop().currency
        price.help_text = _("In %(currency)s. A trial has none.") % {"currency": price.currency}

    def clean_grant_ubt(self) -> int:
        """Take more than nothing."""
        grant_ubt = int(self.cleaned_data["grant_ubt"])
        if grant_ubt <= 0:
            raise forms.ValidationError(_("A product gives more than nothing."))
        return grant_ubt

    def clean(self) -> dict[str, Any]:
        """Compare the price with the kind, and the slug with those of the same shop."""
        found = super().clean() or self.cleaned_data
        price = found.get("price_minor") or 0
        is_trial = found.get("kind") == Product.TRIAL
        if "price_minor" in found and is_trial != (price == 0):
            self.add_error("price_minor", _("A trial costs nothing, and everything else does not."))
        found["price_minor"] = price
        same = Product.objects.filter(slug=found.get("slug")).exclude(pk=self.instance.pk)
        if same.filter(tenant=self._shop()).exists():
            self.add_error("slug", _("There is a product of this name already."))
        return found

    def _shop(self) -> Tenant:
        if self.instance.tenant_id:
            own: Tenant = self.instance.tenant
            return own
        chosen = self.data.get("tenant", "")
        found = Tenant.objects.filter(pk=chosen).first() if chosen.isdecimal() else None
        return found or self.shop


@admin.register(Product)
class ProductAdmin(ScopedAdmin):
    """What is for sale. Products are never deleted: they are taken off the shelf."""

    verbs = member_verbs = EDIT
    form = ProductForm
    list_display = ("title", values.worded(Product, "kind"), "grant", "price", "validity", "state")
    list_display_links = ("title",)
    list_filter = (("kind", values.WordsFilter), "is_active")
    list_select_related = ("tenant",)
    search_fields = ("name", "slug")
    ordering = ("position", "price_minor", "id")
    readonly_fields = ("created_at",)
    fieldsets = (
        (None, {"fields": ("tenant", "kind", "name", "note", "slug")}),
        (_("What a buyer gets"), {"fields": ("grant_ubt", "valid_days", "allowed_models")}),
        (_("Price"), {"fields": ("price_minor", "max_quantity", "also_tops_up")}),
        (_("Limits of its keys"), {"fields": ("rpm", "tpm", "concurrency")}),
        (_("On the shelf"), {"fields": ("is_active", "is_featured", "position", "created_at")}),
    )

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any
    ) -> Any:
        """Tell the form whose product it is."""
        form = super().get_form(request, obj, change, **options)
        form.shop = tenant_of(request)
        return form

    @display(description=_("Product"), ordering="name")
    def title(self, product: Product) -> str:
        """Show its name, else what it gives."""
        return product.name or amounts.amount_text(product.grant_ubt)

    @display(description=_("Base tokens"), ordering="grant_ubt")
    def grant(self, product: Product) -> str:
        """Show what one unit gives."""
        return base_tokens(product.grant_ubt)

    @display(description=_("Price"), ordering="price_minor")
    def price(self, product: Product) -> str:
        """Show what one unit costs."""
        return amounts.money(product.price_minor, product.tenant.currency)

    @display(description=_("Days of validity"), ordering="valid_days")
    def validity(self, product: Product) -> Any:
        """Show for how long it is good."""
        return product.valid_days or _("no expiry")

    @display(
        description=_("State"), ordering="is_active", label={"on": "success", "off": "warning"}
    )
    def state(self, product: Product) -> tuple[str, Any]:
        """Say whether it can be bought."""
        return ("on", _("For sale")) if product.is_active else ("off", _("Not for sale"))
