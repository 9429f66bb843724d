"""Admin of products: what a shop sells, for how much. Prices are typed in money, not in cents."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from billing.models import PriceStep, Product
from billing.orders.wishes import MOST_AT_ONCE
from portal import amounts
from portal.admin import values
from portal.admin.fields import BaseTokensField, MoneyField, WordsField, base_tokens
from portal.admin.roles import EDIT, EVERYTHING
from portal.admin.shop_form import ShopForm, ShopFormAdmin, ShopFormSet, ShopInline

_HELP = {
    "name": _("Empty: what it gives, for example 5M."),
    "valid_days": _("Empty: it doesn't expire."),
    "rpm": _("Empty: no limit."),
    "tpm": _("Empty: no limit."),
    "concurrency": _("Empty: no limit."),
    "starts_at": _("Empty: at once."),
    "ends_at": _("Empty: until it is taken off the shelf."),
    "max_per_person": _("Units that one mailbox may buy in all. Empty: no limit."),
    "max_per_day": _("Units that one mailbox may buy within 24 hours. Empty: no limit."),
}

_BOUNDS = {
    "max_quantity": MaxValueValidator(MOST_AT_ONCE),
    "max_per_person": MinValueValidator(1),
    "max_per_day": MinValueValidator(1),
}


class ProductForm(ShopForm):
    """A product, with its price in the currency of its shop. A trial costs nothing."""

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
        for name in fields.keys() & _HELP.keys():
            fields[name].help_text = _HELP[name]
        for name in fields.keys() & _BOUNDS.keys():
            fields[name].validators.append(_BOUNDS[name])
        price = fields["price_minor"]
        price.help_text = _("In %(currency)s. A trial has none.") % {"currency": price.currency}

    def clean_grant_ubt(self) -> int:
        """Take more than nothing."""
        grant_ubt = int(self.cleaned_data["grant_ubt"])
        if grant_ubt <= 0:
            raise forms.ValidationError(_("A product gives more than nothing."))
        return grant_ubt

    def clean(self) -> dict[str, Any]:
        """Compare the price with the kind, limits and times with each other, slugs with others."""
        found = super().clean() or self.cleaned_data
        price = found.get("price_minor") or 0
        is_trial = found.get("kind") == Product.TRIAL
        if "price_minor" in found and is_trial != (price == 0):
            self.add_error("price_minor", _("A trial costs nothing, and everything else does not."))
        found["price_minor"] = price
        starts_at, ends_at = found.get("starts_at"), found.get("ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            self.add_error("ends_at", _("It would end before it begins."))
        a_day, in_all = found.get("max_per_day"), found.get("max_per_person")
        if a_day and in_all and a_day > in_all:
            self.add_error("max_per_day", _("That is more than one person may buy in all."))
        same = Product.objects.filter(slug=found.get("slug")).exclude(pk=self.instance.pk)
        if same.filter(tenant=self.shop).exists():
            self.add_error("slug", _("There is a product of this name already."))
        return found


class PriceStepForm(ModelForm):  # type: ignore[type-arg]
    """From how many units on which price."""

    unit_minor = MoneyField(label=_("Price of one"))

    def clean_unit_minor(self) -> int:
        """Take more than nothing."""
        unit_minor = int(self.cleaned_data["unit_minor"])
        if not unit_minor:
            raise forms.ValidationError(_("Give an amount of money, for example 58 or 58.50."))
        return unit_minor


class PriceStepFormSet(ShopFormSet):
    """All steps of a product: who buys more pays no more for each."""

    def clean(self) -> None:
        """Compare the steps with each other and with the product above them."""
        super().clean()
        product: Product = self.instance
        rows = [form.cleaned_data for form in self.forms if not _is_gone(form)]
        steps = sorted((row.get("min_quantity") or 0, row.get("unit_minor") or 0) for row in rows)
        if not steps or any(self.errors):
            return
        if product.kind != Product.KEY:
            raise forms.ValidationError(
                _("Only new keys have price steps; of anything else one is bought at a time.")
            )
        if steps[0][0] < 2:
            raise forms.ValidationError(_("A price step begins with two or more."))
        if len({quantity for quantity, _price in steps}) < len(steps):
            raise forms.ValidationError(_("Two price steps begin with the same quantity."))
        if steps[-1][0] > (product.max_quantity or 0):
            raise forms.ValidationError(_("A price step begins above what is sold at once."))
        prices = [product.price_minor or 0, *(price for _quantity, price in steps)]
        if prices != sorted(prices, reverse=True):
            raise forms.ValidationError(_("Who buys more would pay more for each."))


def _is_gone(form: Any) -> bool:
    is_empty = not form.instance.pk and not form.has_changed()
    return bool(is_empty or form.cleaned_data.get("DELETE"))


class PriceStepInline(ShopInline):
    """What one unit costs from a quantity on, on the page of the product."""

    model = PriceStep
    form = PriceStepForm
    formset = PriceStepFormSet
    verbs = member_verbs = EVERYTHING
    fields = ("min_quantity", "unit_minor")
    verbose_name = _("price step")
    verbose_name_plural = _("price steps")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let who may change the product drop a step of it."""
        return self.has_change_permission(request, obj)


@admin.register(Product)
class ProductAdmin(ShopFormAdmin):
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
    inlines = (PriceStepInline,)
    fieldsets = (
        (None, {"fields": ("tenant", "kind", "name", "note", "slug")}),
        (_("What a buyer gets"), {"fields": ("grant_ubt", "valid_days", "allowed_models")}),
        (_("Price"), {"fields": ("price_minor", "also_tops_up")}),
        (
            _("When and how much"),
            {"fields": ("starts_at", "ends_at", "max_quantity", "max_per_person", "max_per_day")},
        ),
        (_("Limits of its keys"), {"fields": ("rpm", "tpm", "concurrency")}),
        (_("On the shelf"), {"fields": ("is_active", "is_featured", "position", "created_at")}),
    )

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
        description=_("State"),
        ordering="is_active",
        label={"on": values.GOOD, "later": values.FAIR, "over": values.FAIR, "off": values.FAIR},
    )
    def state(self, product: Product) -> tuple[str, Any]:
        """Say whether it can be bought."""
        now = timezone.now()
        if not product.is_active:
            return "off", _("Not for sale")
        if product.ends_at and product.ends_at <= now:
            return "over", _("Over")
        if product.starts_at and product.starts_at > now:
            return "later", _("Not yet")
        return "on", _("For sale")
