"""A shop's sales of one month as CSV: every receipt and counter-receipt, and what they come to.

Called by the admin of receipts. The body is made after the view has returned, without its scope and
its language, so each hop into a thread opens both for itself.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from asgiref.sync import sync_to_async
from django import forms
from django.http import HttpRequest
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from billing.models import Payment, PaymentInstance, Receipt, Tenant
from billing.scoping import tenant_scope
from portal import amounts, offers
from portal.admin import steps, values
from portal.admin.base import visible
from portal.admin.roles import is_operator
from portal.request import tenant_of
from portal.spreadsheets import BYTE_ORDER_MARK, Number, Value, lines

PAGE_LENGTH = 500
KINDS = {"receipt": _("Receipt"), "counter": _("Counter-receipt")}
COLUMNS = (
    _("Date"),
    _("Number"),
    _("Kind"),
    _("Order"),
    _("Product"),
    _("Quantity"),
    _("Way to pay"),
    _("The provider's reference"),
    _("Currency"),
    _("Amount"),
    _("Cancels"),
)
_OLDEST_OFFERED = 120


@dataclass(frozen=True)
class Statement:
    """A month of a shop, by its first day, and the language of its headings."""

    shop: Tenant
    month: date
    language: str

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone, whose calendar counts."""
        return ZoneInfo(self.shop.time_zone)

    @property
    def begins_at(self) -> datetime:
        """The first moment of the month."""
        return datetime(self.month.year, self.month.month, 1, tzinfo=self.zone)

    @property
    def ends_at(self) -> datetime:
        """The first moment of the next month."""
        after = _months_from(self.month, 1)
        return datetime(after.year, after.month, 1, tzinfo=self.zone)

    @property
    def file_name(self) -> str:
        """What the file is called."""
        return f"sales-{self.shop.slug}-{self.month:%Y-%m}.csv"


class StatementForm(forms.Form):
    """Which month, and for platform operators of which shop."""

    shop = forms.ModelChoiceField(
        label=_("Shop"), queryset=Tenant.objects.none(), widget=UnfoldAdminSelectWidget
    )
    month = forms.TypedChoiceField(
        label=_("Month"),
        coerce=date.fromisoformat,
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, request: HttpRequest) -> None:
        here = tenant_of(request)
        months = _months(request, ZoneInfo(here.time_zone))
        super().__init__(steps.posted(request), initial={"shop": here, "month": months[1]})
        fields: dict[str, Any] = self.fields
        fields["month"].choices = [(day.isoformat(), f"{day:%Y-%m}") for day in months]
        fields["shop"].queryset = visible(Tenant.objects.order_by("name"), request)
        if not is_operator(request):
            del fields["shop"]
        self._here = here

    def clean(self) -> dict[str, Any]:
        """Take the shop of the host where none can be chosen."""
        found = super().clean() or self.cleaned_data
        return {"shop": self._here, **found}


async def stream(asked: Statement) -> AsyncIterator[bytes]:
    """Write the statement, oldest first, its sums last."""
    read = sync_to_async(_read)
    with translation.override(asked.language):
        head = [str(name) for name in COLUMNS]
    yield (BYTE_ORDER_MARK + lines([head])).encode()
    sums: Counter[str] = Counter()
    after: int | None = 0
    while after is not None:
        text, after = await read(asked, after, sums)
        yield text.encode()


def _read(asked: Statement, after: int, sums: "Counter[str]") -> tuple[str, int | None]:
    """Return a page of lines and where the next begins; the last one ends with the sums."""
    found = Receipt.objects.filter(
        tenant=asked.shop, created_at__gte=asked.begins_at, created_at__lt=asked.ends_at
    )
    parts = ("cancels", "refund", "dispute", "payment__order", "payment__instance")
    rows = found.filter(pk__gt=after).select_related(*parts).order_by("pk")
    rows = rows.prefetch_related("payment__references", "payment__order__lines")
    with tenant_scope(asked.shop.pk), translation.override(asked.language):
        page = list(rows[:PAGE_LENGTH])
        text = lines(_line(receipt, asked.zone) for receipt in page)
        for receipt in page:
            sums[receipt.currency] += _signed(receipt)
        if len(page) == PAGE_LENGTH:
            return text, page[-1].pk
        return text + lines(_total(sums, asked.shop.currency)), None


def _line(receipt: Receipt, zone: ZoneInfo) -> list[Value]:
    payment = receipt.payment
    bought = sorted(payment.order.lines.all(), key=lambda line: line.pk)
    return [
        f"{receipt.created_at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
        receipt.number,
        str(KINDS["counter" if receipt.cancels_id else "receipt"]),
        payment.order.number,
        " + ".join(line.name or offers.title(line) for line in bought),
        sum(line.quantity for line in bought),
        _way(payment),
        _reference(receipt),
        receipt.currency,
        Number(amounts.plain_money(_signed(receipt), receipt.currency)),
        receipt.cancels.number if receipt.cancels else "",
    ]


def _total(sums: "Counter[str]", currency: str) -> list[list[Value]]:
    """Return a line for each currency; one of the shop's own even if nothing was sold."""
    found = sums or Counter({currency: 0})
    blank = [""] * (len(COLUMNS) - 4)
    return [
        [str(_("Total")), *blank, code, Number(amounts.plain_money(minor, code)), ""]
        for code, minor in sorted(found.items())
    ]


def _signed(receipt: Receipt) -> int:
    return -receipt.amount_minor if receipt.cancels_id else receipt.amount_minor


def _way(payment: Payment) -> str:
    instance = payment.instance
    if instance is not None and instance.name:
        return instance.name
    return str(values.word(PaymentInstance, "provider", payment.provider))


def _reference(receipt: Receipt) -> str:
    """Return the provider's name of what made the paper, else of the payment."""
    cause = receipt.refund or receipt.dispute
    if cause is not None and cause.reference:
        return cause.reference
    names = sorted(receipt.payment.references.all(), key=lambda row: row.pk)
    return names[0].reference if names else ""


def _months(request: HttpRequest, zone: ZoneInfo) -> list[date]:
    """Return the months in which there may be receipts, the newest first, two at least."""
    today = timezone.now().astimezone(zone).date().replace(day=1)
    oldest = visible(Receipt.objects.order_by("pk"), request).first()
    first = oldest.created_at.astimezone(zone).date().replace(day=1) if oldest else today
    months = [today, _months_from(today, -1)]
    while months[-1] > first and len(months) < _OLDEST_OFFERED:
        months.append(_months_from(months[-1], -1))
    return months


def _months_from(month: date, count: int) -> date:
    years, index = divmod(month.year * 12 + month.month - 1 + count, 12)
    return date(years, index + 1, 1)
