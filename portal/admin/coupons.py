"""Admin of coupons: what makes an order cheaper, for whom, until when, and what it was used for."""

import re
from typing import Any

from django import forms
from django.contrib import admin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from billing.models import Coupon, CouponProduct, Product
from portal import amounts
from portal.admin import values
from portal.admin.fields import MoneyField
from portal.admin.roles import ADD, CHANGE, EDIT
from portal.admin.shop_form import ShopForm, ShopFormAdmin

_is_code = re.compile(r"[A-Z0-9][A-Z0-9_-]{1,30}[A-Z0-9]").fullmatch
_AGREED = ("code", "percent", "amount_minor")
"""What does not change once somebody has used it."""
_HELP = {
    "percent": _("From 1 to 100. Either this or a sum."),
    "max_uses": _("Orders in all. Empty: no limit."),
    "max_per_person": _("Orders of one mailbox. Empty: no limit."),
    "starts_at": _("Empty: at once."),
    "ends_at": _("Empty: until it is switched off."),
}


class ProductChoices(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Products by the names that buyers read."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def label_from_instance(self, product: Any) -> str:
        """Name what it is, and what it gives."""
        grant = amounts.amount_text(product.grant_ubt)
        return f"{product.name} ({grant})" if product.name else grant


class CouponForm(ShopForm):
    """A word, and what it takes off."""

    amount_minor = MoneyField(label=_("Sum off"), required=False)
    minimum_minor = MoneyField(label=_("Smallest order"), required=False)
    products = ProductChoices(
        label=_("Products"),
        queryset=Product.objects.none(),
        required=False,
        help_text=_("None ticked: every product."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fields: dict[str, Any] = self.fields
        for name in fields.keys() & _HELP.keys():
            fields[name].help_text = _HELP[name]
        for name in fields.keys() & {"max_uses", "max_per_person", "percent"}:
            fields[name].validators.append(MinValueValidator(1))
        if "percent" in fields:
            fields["percent"].validators.append(MaxValueValidator(100))
            fields["amount_minor"].help_text = _("In %(currency)s.") % {
                "currency": self.shop.currency
            }
            fields["code"].help_text = _("What buyers type: letters, digits, hyphens.")
        fields["products"].queryset = Product.objects.filter(tenant=self.shop).exclude(
            kind=Product.TRIAL
        )
        if self.instance.pk:
            fields["products"].initial = self.instance.products.values_list("product", flat=True)

    def clean_code(self) -> str:
        """Bring the code into capitals, and take none that the shop has already."""
        code = str(self.cleaned_data["code"]).strip().upper()
        if not _is_code(code):
            raise forms.ValidationError(
                _("Give 3 to 32 letters, digits and hyphens, like SPRING-2026.")
            )
        same = Coupon.objects.filter(tenant=self.shop, code=code).exclude(pk=self.instance.pk)
        if same.exists():
            raise forms.ValidationError(_("There is a coupon of this name already."))
        return code

    def clean_minimum_minor(self) -> int:
        """Take an empty field as no minimum."""
        return self.cleaned_data["minimum_minor"] or 0

    def clean(self) -> dict[str, Any]:
        """Take either a percentage or a sum, and no end before the beginning."""
        found = super().clean() or self.cleaned_data
        if {"percent", "amount_minor"} <= set(found):
            found["amount_minor"] = found["amount_minor"] or None
            if bool(found["percent"]) == bool(found["amount_minor"]):
                self.add_error("amount_minor", _("Give either a percentage or a sum."))
        starts_at, ends_at = found.get("starts_at"), found.get("ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            self.add_error("ends_at", _("It would end before it begins."))
        return found


@admin.register(Coupon)
class CouponAdmin(ShopFormAdmin):
    """Coupons. Once used, one takes off what it has taken off; it can be switched off."""

    verbs = member_verbs = EDIT
    form = CouponForm
    list_display = ("code", "discount", "minimum", "used", "ends_at", "state", "note")
    list_display_links = ("code",)
    list_filter = ("is_active",)
    list_select_related = ("tenant",)
    search_fields = ("code", "note")
    ordering = ("-id",)
    readonly_fields = ("used", "uses", "good_for", "created_at")

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show what was agreed instead of asking for it once somebody has used it."""
        is_used = obj is not None and obj.used_count
        off = ["discount"] if is_used else ["percent", "amount_minor"]
        products = "products" if self.allowed(request) & {ADD, CHANGE} else "good_for"
        people = ["max_uses", "max_per_person", *(("used", "uses") if obj else ())]
        return (
            (None, {"fields": ["tenant", "code", "note", "is_active"]}),
            (_("What it takes off"), {"fields": [*off, "minimum_minor", products]}),
            (_("For how many"), {"fields": people}),
            (_("When"), {"fields": ["starts_at", "ends_at", *(("created_at",) if obj else ())]}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fixed = super().get_readonly_fields(request, obj)
        is_used = obj is not None and obj.used_count
        return [*fixed, *_AGREED, "discount"] if is_used else fixed

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the coupon and the products that it is good for."""
        super().save_model(request, obj, form, change)
        chosen = form.cleaned_data["products"]
        obj.products.exclude(product__in=chosen).delete()
        there = set(obj.products.values_list("product_id", flat=True))
        CouponProduct.objects.bulk_create(
            CouponProduct(tenant_id=obj.tenant_id, coupon=obj, product=product)
            for product in chosen
            if product.pk not in there
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Coupon]:
        return super().get_queryset(request).select_related("tenant")

    @display(description=_("Takes off"))
    def discount(self, coupon: Coupon) -> str:
        """Show what it takes off."""
        if coupon.percent:
            return f"{coupon.percent} %"
        return amounts.money(coupon.amount_minor or 0, coupon.tenant.currency)

    @display(description=_("Smallest order"), ordering="minimum_minor")
    def minimum(self, coupon: Coupon) -> str:
        """Show what an order has to come to."""
        if not coupon.minimum_minor:
            return "-"
        return amounts.money(coupon.minimum_minor, coupon.tenant.currency)

    @display(description=_("Products"))
    def good_for(self, coupon: Coupon) -> Any:
        """Name the products to who may only look."""
        names = [str(row.product) for row in coupon.products.select_related("product")]
        return ", ".join(names) or _("every product")

    @display(description=_("Uses"), ordering="used_count")
    def used(self, coupon: Coupon) -> str:
        """Show how often it was used, and how often it may be."""
        return f"{coupon.used_count} / {coupon.max_uses or '∞'}"

    @display(description=_("Latest orders"))
    def uses(self, coupon: Coupon) -> SafeString | str:
        """Lead to the orders that it has made cheaper."""
        rows = coupon.uses.select_related("order").order_by("-pk")[:20]
        links = [
            (
                reverse("admin:billing_order_change", args=[use.order_id]),
                use.order.number,
                amounts.money(-use.discount_minor, use.order.currency),
                _("given back") if use.given_back_at else "",
            )
            for use in rows
        ]
        return format_html_join("", '<p><a href="{}">{}</a> {} {}</p>', links) or "-"

    @display(
        description=_("State"),
        label={
            "on": values.GOOD,
            "later": values.FAIR,
            "over": "",
            "used_up": "",
            "off": values.FAIR,
        },
    )
    def state(self, coupon: Coupon) -> tuple[str, Any]:
        """Say whether it can be used now."""
        now = timezone.now()
        if not coupon.is_active:
            return "off", _("Off")
        if coupon.ends_at and coupon.ends_at <= now:
            return "over", _("Over")
        if coupon.max_uses and coupon.used_count >= coupon.max_uses:
            return "used_up", _("Used up")
        if coupon.starts_at and coupon.starts_at > now:
            return "later", _("Not yet")
        return "on", _("Usable")
