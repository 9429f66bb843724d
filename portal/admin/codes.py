"""Admin of redemption codes: batches that are made, exported once and revoked; codes by their end.

A code itself stands nowhere but in the one file: not in a list, nor in an address, nor in a log.
"""

import csv
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import IntegrityError
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
)

from billing import codes
from billing.ids import uuid7
from billing.models import CodeBatch, Order, Product, RedemptionCode
from billing.scoping import tenant_scope
from portal import amounts
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin, visible
from portal.admin.fields import base_tokens, page_link
from portal.admin.roles import ADD, READ_ONLY, VIEW, is_operator

_STATES = {
    "unused": _("Not redeemed"),
    "used": _("Redeemed"),
    "revoked": _("Revoked"),
    "over": _("Over"),
}


class ProductChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A product by the name that buyers read; operators see whose it is."""

    widget = UnfoldAdminSelectWidget
    names_shops = False

    def label_from_instance(self, product: Any) -> str:
        """Name what it is, and what it gives."""
        grant = amounts.amount_text(product.grant_ubt)
        kind = values.word(Product, "kind", product.kind)
        shop = f"{product.tenant} · " if self.names_shops else ""
        return f"{shop}{product.name or product.slug} ({kind}, {grant})"


class NewBatchForm(forms.Form):
    """What codes are for. `once` makes a form that is sent twice one batch."""

    product = ProductChoice(label=_("Product"), queryset=Product.objects.none())
    count = forms.IntegerField(
        label=_("How many codes"),
        min_value=1,
        max_value=codes.MOST_CODES,
        initial=10,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    ends_at = forms.SplitDateTimeField(
        label=_("To be redeemed until"),
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text=_("Empty: for good."),
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=120,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("For yourselves: where they are sold, or for whom they are."),
    )
    once = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(steps.posted(request), initial={"once": uuid7()})
        product: Any = self.fields["product"]
        rows = Product.objects.exclude(kind=Product.TRIAL).select_related("tenant")
        product.queryset = visible(rows, request)
        product.names_shops = is_operator(request)
        product.help_text = _("What a code gives is what this product gives today.")

    def clean_ends_at(self) -> Any:
        """Take no end that has passed."""
        ends_at = self.cleaned_data["ends_at"]
        if ends_at and ends_at <= timezone.now():
            raise forms.ValidationError(_("This moment has passed."))
        return ends_at


@admin.register(CodeBatch)
class CodeBatchAdmin(ScopedAdmin):
    """Codes that were made together. Nothing of a batch can be edited."""

    verbs = member_verbs = frozenset({VIEW, ADD})
    list_display = (
        "title",
        "of_product",
        "grant",
        "redeemed",
        "state",
        "ends_at",
        "actor",
        "created_at",
    )
    list_display_links = ("title",)
    list_select_related = ("product",)
    list_filter = (("kind", values.WordsFilter), "created_at")
    search_fields = ("note", "product__name", "product__slug")
    ordering = ("-id",)
    actions_detail = ("export", "revoke")
    readonly_fields = (
        "of_product",
        values.worded(CodeBatch, "kind"),
        "grant",
        "validity",
        "redeemed",
        "state",
    )
    fieldsets = (
        (None, {"fields": ("tenant", "note", "state", "redeemed", "ends_at")}),
        (
            _("What a code gives"),
            {"fields": ("of_product", values.worded(CodeBatch, "kind"), "grant", "validity")},
        ),
        (_("Times"), {"fields": ("created_at", "actor", "exported_at", "exported_by")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[CodeBatch]:
        rows: QuerySet[CodeBatch] = super().get_queryset(request).defer("sealed_codes")
        used = RedemptionCode.objects.filter(batch=OuterRef("pk"), used_at__isnull=False)
        counted = used.order_by().values("batch").annotate(count=Count("pk")).values("count")
        return rows.annotate(used_total=Coalesce(Subquery(counted), 0))

    def hidden_actions(self, row: Any) -> set[str]:
        """Hide what was done already, and what is over."""
        hidden = set() if row.is_active else {"export", "revoke"}
        return hidden | ({"export"} if row.exported_at else set())

    @display(description=_("Batch"), ordering="note")
    def title(self, batch: CodeBatch) -> str:
        """Show its note, else its number."""
        return str(batch)

    @display(description=_("Product"))
    def of_product(self, batch: CodeBatch) -> SafeString:
        """Lead to the product."""
        return page_link(Product, batch.product_id, batch.name or batch.product)

    @display(description=_("Base tokens"), ordering="grant_ubt")
    def grant(self, batch: CodeBatch) -> str:
        """Show what one code gives."""
        return base_tokens(batch.grant_ubt)

    @display(description=_("Days of validity"))
    def validity(self, batch: CodeBatch) -> Any:
        """Show for how long it is good."""
        return batch.valid_days or _("no expiry")

    @display(description=_("Redeemed"))
    def redeemed(self, batch: Any) -> SafeString:
        """Show how many were used of how many, and lead to them."""
        address = reverse("admin:billing_redemptioncode_changelist")
        return format_html(
            '<a href="{}?batch__id__exact={}">{} / {}</a>',
            address,
            batch.pk,
            batch.used_total,
            batch.count,
        )

    @display(
        description=_("State"),
        label={"sealed": values.FAIR, "exported": values.GOOD, "over": "", "revoked": values.BAD},
    )
    def state(self, batch: CodeBatch) -> values.Badge:
        """Say where the codes are."""
        if not batch.is_active:
            return values.Badge(("revoked", _("Revoked")))
        if batch.ends_at and batch.ends_at <= timezone.now():
            return values.Badge(("over", _("Over")))
        if batch.exported_at:
            return values.Badge(("exported", _("Exported")))
        return values.Badge(("sealed", _("Waits to be exported")))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Make a batch of codes."""
        self.check_may_add(request)

        def make(given: dict[str, Any]) -> HttpResponse:
            once = given.pop("once")
            product = given.pop("product")
            with tenant_scope(product.tenant_id):
                is_known = CodeBatch.objects.filter(public_id=once).exists()
                try:
                    batch = codes.make_batch(
                        product, batch_id=once, actor=str(request.user)[:64], **given
                    )
                except IntegrityError:  # the other press of the same button was faster
                    batch = CodeBatch.objects.get(public_id=once)
                if not is_known:
                    self.log_addition(request, batch, [{"added": {}}])
            messages.success(request, _("The codes are made. Export them when they are needed."))
            return redirect("admin:billing_codebatch_change", batch.pk)

        return steps.step(
            self,
            request,
            deed=make,
            form=NewBatchForm(request),
            title=_("New batch of codes"),
            sentence=_(
                "The codes lie sealed until they are exported, once. Whoever has one can redeem it "
                "at checkout or on the usage page; nothing is paid for it here."
            ),
            button=_("Make the codes"),
        )

    @action(description=_("Export"), url_path="export", permissions=["act"], icon="download")
    def export(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Hand the codes over as a file, this once."""
        batch = steps.row_or_404(self, request, object_id)

        def hand_over(_given: dict[str, Any]) -> HttpResponse:
            with tenant_scope(batch.tenant_id):
                found = codes.export(batch, actor=str(request.user)[:64])
            self.log_change(request, batch, str(_("Its codes were exported.")))
            return _file(found, name=f"codes-{batch.pk}.csv")

        return steps.step(
            self,
            request,
            deed=hand_over,
            form=forms.Form(steps.posted(request)),
            row=batch,
            title=_("Export the codes of %(batch)s") % {"batch": batch},
            sentence=_(
                "This is the only time: you get a file with all codes, and afterwards nobody can "
                "read them, nor can you. If the file is lost, revoke the batch and make a new one."
            ),
            button=_("Download the codes"),
        )

    @action(description=_("Revoke"), url_path="revoke", permissions=["act"], icon="block")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """End those codes that nobody has redeemed."""
        batch = steps.row_or_404(self, request, object_id)

        def end(_given: dict[str, Any]) -> HttpResponse:
            with tenant_scope(batch.tenant_id):
                count = codes.revoke(batch, actor=str(request.user)[:64])
            self.log_change(request, batch, str(_("It was revoked.")))
            text = ngettext("%(count)s code is revoked.", "%(count)s codes are revoked.", count)
            messages.success(request, text % {"count": count})
            return redirect("admin:billing_codebatch_change", batch.pk)

        return steps.step(
            self,
            request,
            deed=end,
            form=forms.Form(steps.posted(request)),
            row=batch,
            title=_("Revoke %(batch)s") % {"batch": batch},
            sentence=_(
                "Codes that nobody has redeemed are refused from now on, for good. What was "
                "redeemed stays with whoever has redeemed it."
            ),
            button=_("Revoke the codes"),
            is_destructive=True,
        )


def _file(found: list[str], *, name: str) -> HttpResponse:
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    csv.writer(answer).writerows([["code"], *([code] for code in found)])
    return answer


class StateFilter(admin.SimpleListFilter):
    """Filters codes by what became of them."""

    title = _("State")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, Any]]:
        """Offer every state."""
        yield from _STATES.items()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the codes in the chosen state."""
        over = Q(batch__ends_at__lte=timezone.now())
        open_ = Q(used_at=None, revoked_at=None)
        chosen = {
            "unused": open_ & ~over,
            "used": Q(used_at__isnull=False),
            "revoked": Q(used_at=None, revoked_at__isnull=False),
            "over": open_ & over,
        }
        return queryset.filter(chosen.get(self.value() or "", Q()))


@admin.register(RedemptionCode)
class RedemptionCodeAdmin(ScopedAdmin):
    """Codes by their last letters, and the orders that they have paid."""

    verbs = member_verbs = READ_ONLY
    list_display = ("ending", "of_batch", "state", "of_order", "used_at", "revoked_at")
    list_select_related = ("batch", "order")
    list_filter = (StateFilter,)
    search_fields = ("=hint", "=order__number", "batch__note")
    search_help_text = _("Last four letters, order number or note of the batch; never a whole code")
    ordering = ("-id",)
    fields = readonly_fields = (
        "tenant",
        "ending",
        "of_batch",
        "state",
        "of_order",
        "used_at",
        "revoked_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[RedemptionCode]:
        rows: QuerySet[RedemptionCode] = super().get_queryset(request)
        return rows.defer("digest", "batch__sealed_codes")

    @display(description=_("Code"), ordering="hint")
    def ending(self, code: RedemptionCode) -> str:
        """Show the last letters."""
        return f"***{code.hint}"

    @display(description=_("Batch"), ordering="batch")
    def of_batch(self, code: RedemptionCode) -> SafeString:
        """Lead to the batch."""
        return page_link(CodeBatch, code.batch_id, code.batch)

    @display(description=_("Order"))
    def of_order(self, code: RedemptionCode) -> SafeString | str:
        """Lead to the order that has used it."""
        if code.order is None:
            return "-"
        return page_link(Order, code.order_id, code.order.number)

    @display(
        description=_("State"),
        label={"unused": values.FAIR, "used": values.GOOD, "revoked": values.BAD, "over": ""},
    )
    def state(self, code: RedemptionCode) -> values.Badge:
        """Say what became of it."""
        if code.used_at:
            found = "used"
        elif code.revoked_at:
            found = "revoked"
        else:
            ends_at = code.batch.ends_at
            found = "over" if ends_at and ends_at <= timezone.now() else "unused"
        return values.Badge((found, _STATES[found]))
