"""Admin of prices: books, dated versions, tiers. Published rows are immutable; new ones replace."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from billing import catalogue
from billing.models import PriceBook, PriceTier, PriceVersion, Tenant
from billing.models.price import BucketPrices
from billing.pricing import BUCKETS
from portal.admin import steps, values, vendor_list
from portal.admin.base import ScopedAdmin, ScopedInline
from portal.admin.fields import base_tokens
from portal.admin.roles import ADD, OPERATOR, READ_ONLY, VIEW, is_operator, role_of
from portal.admin.words import BUCKET_NAMES
from portal.request import tenant_of


class NewPriceForm(forms.Form):
    """The price of one model in base tokens per unit."""

    model = forms.CharField(
        label=_("Model"),
        help_text=_("For one size and quality of it alone: hd/1024x1792/dall-e-3"),
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, shops: Any = None, **options: Any) -> None:
        super().__init__(*args, **options)
        if shops is not None:
            self.fields["tenant"] = forms.ModelChoiceField(
                label=_("Shop"), queryset=shops, widget=UnfoldAdminSelectWidget
            )
        for bucket in BUCKETS:
            self.fields[bucket] = forms.DecimalField(
                label=BUCKET_NAMES[bucket],
                required=False,
                min_value=Decimal(0),
                max_digits=15,
                decimal_places=6,
                widget=UnfoldAdminTextInputWidget,
            )

    def clean(self) -> dict[str, Any]:
        """Refuse a price of nothing: what is free says so by 0."""
        given = super().clean() or {}
        if not self.errors and all(given[bucket] is None for bucket in BUCKETS):
            self.add_error("input", _("Enter one price at least; 0 if it is free."))
        return given


def multiplier(bucket: str) -> Any:
    """Return a cell that shows the price of one unit of a bucket."""

    @display(description=BUCKET_NAMES[bucket], ordering=f"{bucket}_ubt")
    def cell(row: BucketPrices) -> str:
        return base_tokens(getattr(row, f"{bucket}_ubt"))

    cell.__name__ = bucket
    return cell


MULTIPLIERS = {bucket: multiplier(bucket) for bucket in BUCKETS}


class TierInline(ScopedInline):
    """Long-context prices of a version."""

    model = PriceTier
    verbs = member_verbs = READ_ONLY
    readonly_fields = (MULTIPLIERS["input"], MULTIPLIERS["output"])
    fields = ("min_input", *readonly_fields)


@admin.register(PriceVersion)
class PriceVersionAdmin(ScopedAdmin):
    """Prices with their dates, as multipliers: base tokens per unit."""

    verbs = member_verbs = frozenset({VIEW, ADD})
    list_display = (
        "model",
        "of_book",
        MULTIPLIERS["input"],
        MULTIPLIERS["cached_input"],
        MULTIPLIERS["output"],
        "valid_from",
        "state",
    )
    readonly_fields = ("state", *MULTIPLIERS.values())
    list_select_related = ("book", "book__tenant")
    list_filter = ("book__purpose", "is_withdrawn", "valid_from")
    search_fields = ("model",)
    ordering = ("model", "-valid_from")
    inlines = (TierInline,)
    actions_list = ("compare_with_vendors",)

    @display(description=_("Price book"), ordering="book")
    def of_book(self, version: PriceVersion) -> str:
        """Say what its book is for, and for whom; whose it is has a column."""
        book = version.book
        return f"{values.word(PriceBook, 'purpose', book.purpose)} {book.group}".strip()

    @display(
        description=_("State"),
        ordering="is_withdrawn",
        label={"sold": "success", "withdrawn": "warning"},
    )
    def state(self, version: PriceVersion) -> values.Badge:
        """Say whether the model is sold at this price or not at all."""
        if version.is_withdrawn:
            return values.Badge(("withdrawn", _("Withdrawn")))
        return values.Badge(("sold", _("Sold")))

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the prices that are not zero, and what is assumed of the model."""
        priced = [
            cell for bucket, cell in MULTIPLIERS.items() if obj and getattr(obj, f"{bucket}_ubt")
        ]
        return (
            (None, {"fields": ("tenant", "book", "model", "valid_from", "state")}),
            (_("Base tokens per unit"), {"fields": priced or (MULTIPLIERS["input"],)}),
            (_("Bounds"), {"fields": _BOUNDS}),
        )

    def has_compare_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may set many prices at once: an operator, or the shop's owner."""
        return role_of(request) in {OPERATOR, "owner"}

    @action(
        description=_("Compare with vendors' prices"),
        url_path="vendors",
        permissions=["compare"],
        icon="compare_arrows",
    )
    def compare_with_vendors(self, request: HttpRequest) -> HttpResponse:
        """Show how the vendors' list differs from what is sold, and publish what is ticked."""
        return vendor_list.compare(self, request, BUCKET_NAMES)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Publish a price, valid from now. Running requests keep the one they came with."""
        self.check_may_add(request)
        shops = Tenant.objects.order_by("name") if is_operator(request) else None

        def publish(values: dict[str, Any]) -> HttpResponse:
            tenant = values.pop("tenant", None) or tenant_of(request)
            model = values.pop("model")
            entry = {bucket: price for bucket, price in values.items() if price is not None}
            changes = catalogue.load_retail(tenant.pk, {model: entry})
            for version in PriceVersion.objects.filter(tenant=tenant, model=model).order_by("-id")[
                : len(changes)
            ]:
                self.log_addition(request, version, [{"added": {}}])
            text = _("The price is published.") if changes else _("The price was the same before.")
            messages.success(request, text)
            return redirect("admin:billing_priceversion_changelist")

        return steps.step(
            self,
            request,
            deed=publish,
            form=NewPriceForm(steps.posted(request), shops=shops),
            title=_("Publish a price"),
            sentence=_(
                "Base tokens per unit. What you leave empty costs what it is a part of: cached "
                "input costs input, reasoning costs output. The old price stays in the books."
            ),
            button=_("Publish"),
        )


@admin.register(PriceBook)
class PriceBookAdmin(ScopedAdmin):
    """Which prices there are. The platform's retail book is the list that shops start from."""

    verbs = member_verbs = READ_ONLY
    list_display = (
        values.worded(PriceBook, "purpose"),
        "group",
        "customer",
        "created_at",
    )
    list_select_related = ("customer",)
    list_filter = (("purpose", values.WordsFilter),)
    ordering = ("id",)
    fields = readonly_fields = (
        "tenant",
        values.worded(PriceBook, "purpose"),
        "group",
        "customer",
        "created_at",
    )


_BOUNDS = (
    "context_limit",
    "output_limit",
    "usual_output",
    "image_input_tokens",
    "audio_second_tokens",
    "file_input_tokens",
    "is_reasoning",
)
