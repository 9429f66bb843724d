"""Admin of receipts, which nobody can change, and the way to the month's sales statement."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from billing.models import Order, Payment, Receipt
from portal import receipts
from portal.admin import statement, steps, values
from portal.admin.base import ScopedAdmin
from portal.admin.fields import page_link
from portal.admin.roles import READ_ONLY


def links_to(found: "QuerySet[Receipt]") -> SafeString | str:
    """Return links to receipts with their sums, the first one first."""
    links = [
        (reverse("admin:billing_receipt_change", args=[row.pk]), row.number, receipts.money_of(row))
        for row in found.order_by("pk")
    ]
    return format_html_join("", '<p><a href="{}">{}</a> {}</p>', links) or "-"


@admin.register(Receipt)
class ReceiptAdmin(ScopedAdmin):
    """Papers about money that came or went back. Read-only for everyone."""

    verbs = member_verbs = READ_ONLY
    list_display = ("number", "kind", "of_order", "amount", "created_at")
    list_select_related = ("payment__order",)
    list_filter = (("cancels", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("number", "payment__order__number")
    search_help_text = _("Receipt number or order number")
    ordering = ("-id",)
    actions_list = ("sales_statement",)
    fields = readonly_fields = (
        "tenant",
        "number",
        "kind",
        "amount",
        "created_at",
        "items",
        "paid_by",
        "of_order",
        "of_payment",
        "of_cancelled",
        "counters",
        "issuer",
    )

    @display(description=_("Kind"), label={"receipt": values.GOOD, "counter": values.BAD})
    def kind(self, receipt: Receipt) -> values.Badge:
        """Say whether money came or went back."""
        name = "counter" if receipt.cancels_id else "receipt"
        return values.Badge((name, statement.KINDS[name]))

    @display(description=_("Amount"), ordering="amount_minor")
    def amount(self, receipt: Receipt) -> str:
        """Show the sum, that of a counter-receipt with a minus."""
        return receipts.money_of(receipt)

    @display(description=_("Items"))
    def items(self, receipt: Receipt) -> SafeString:
        """Show what was sold, as the buyer's paper has it."""
        cells = [
            (row.what, row.note, f"{row.quantity} × {row.unit} =" if row.unit else "", row.amount)
            for row in receipts.page_of(receipt).rows
        ]
        return format_html_join("", "<p>{} {} {} {}</p>", cells)

    @display(description=_("Way to pay"))
    def paid_by(self, receipt: Receipt) -> str:
        """Show how it was paid, and what the provider calls that."""
        page = receipts.page_of(receipt)
        return " · ".join(filter(None, [page.paid_by, page.reference]))

    @display(description=_("Order"))
    def of_order(self, receipt: Receipt) -> SafeString:
        """Lead to the order."""
        return page_link(Order, receipt.payment.order_id, receipt.payment.order.number)

    @display(description=_("Payment"))
    def of_payment(self, receipt: Receipt) -> SafeString:
        """Lead to the payment."""
        return page_link(Payment, receipt.payment_id, receipt.payment)

    @display(description=_("Cancels"))
    def of_cancelled(self, receipt: Receipt) -> SafeString | str:
        """Lead to the receipt that this one takes back."""
        return links_to(Receipt.objects.filter(counters=receipt))

    @display(description=_("Cancelled by"))
    def counters(self, receipt: Receipt) -> SafeString | str:
        """Lead to what takes this one back."""
        return links_to(receipt.counters.all())

    @display(description=_("Seller"))
    def issuer(self, receipt: Receipt) -> SafeString:
        """Show what the shop called itself then."""
        return format_html_join("", "<p>{}</p>", [(line,) for line in receipt.seller.splitlines()])

    @action(
        description=_("Sales statement"), url_path="statement", permissions=["view"], icon="table"
    )
    def sales_statement(self, request: HttpRequest) -> HttpResponseBase:
        """Hand over a month's receipts as a file."""

        def hand_over(given: dict[str, Any]) -> Any:
            asked = statement.Statement(
                given["shop"], given["month"], language=get_language() or "en"
            )
            return StreamingHttpResponse(
                statement.stream(asked),
                content_type="text/csv; charset=utf-8",
                headers={"Content-Disposition": f'attachment; filename="{asked.file_name}"'},
            )

        return steps.step(
            self,
            request,
            deed=hand_over,
            form=statement.StatementForm(request),
            title=_("Sales statement of a month"),
            sentence=_(
                "Every receipt and counter-receipt of the month by the shop's calendar, a line "
                "each, and their sum. For a spreadsheet or your accountant."
            ),
            button=_("Download"),
        )
