"""What a receipt shows, and who may open which. Called by the pages of orders, usage and receipts.

An order's secret link opens all of its receipts. A key opens those of orders that have credited its
wallet and no other: who was given one key of ten learns nothing of what the ten have cost. Reads
only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from billing.models import Delivery, Order, OrderLine, Receipt
from portal import amounts, offers


@dataclass(frozen=True)
class Row:
    """A line of the table, in words: one product, or what was taken off."""

    what: str
    note: str
    quantity: str
    unit: str
    amount: str


@dataclass(frozen=True)
class ReceiptPage:
    """Everything that the template of a receipt asks for."""

    receipt: Receipt
    order: Order
    rows: list[Row]
    paid_by: str
    reference: str
    counters: list[Receipt]

    @property
    def sum(self) -> str:
        """What came, or with a minus what went back."""
        return money_of(self.receipt)

    @property
    def amount(self) -> str:
        """The same without a minus, for sentences."""
        return amounts.money(self.receipt.amount_minor, self.receipt.currency)

    @property
    def cancelled(self) -> str:
        """What the counter-receipts take back in all."""
        whole = sum(one.amount_minor for one in self.counters)
        return amounts.money(whole, self.receipt.currency)

    @property
    def is_cancelled(self) -> bool:
        """Whether nothing of it is left."""
        return sum(one.amount_minor for one in self.counters) >= self.receipt.amount_minor

    @property
    def cancelled_sum(self) -> str:
        """The sum of the receipt that this one cancels."""
        first = self.receipt.cancels
        return money_of(first) if first else ""

    @property
    def offset(self) -> str:
        """How far the shop's clock was from UTC: "UTC+08:00"."""
        zone = ZoneInfo(self.receipt.tenant.time_zone)
        offset = f"{self.receipt.created_at.astimezone(zone):%z}"
        return f"UTC{offset[:3]}:{offset[3:]}"


def of_order(order: Order) -> QuerySet[Receipt]:
    """Return the receipts of an order, the first one first."""
    return Receipt.objects.filter(payment__order=order).order_by("pk")


def of_wallet(wallet_id: int) -> QuerySet[Receipt]:
    """Return the receipts of orders that have credited this wallet and no other."""
    credited = OrderLine.objects.filter(deliveries__wallet_id=wallet_id).values("order_id")
    elsewhere = Delivery.objects.filter(line__order_id__in=credited).exclude(wallet_id=wallet_id)
    shared = elsewhere.values("line__order_id")
    mine = Receipt.objects.filter(payment__order_id__in=credited)
    return mine.exclude(payment__order_id__in=shared)


def find(among: QuerySet[Receipt], number: str) -> Receipt | None:
    """Return the receipt of a number; None if it is not among those that may be seen."""
    # PostgreSQL refuses a text with a zero byte, which an address may hold.
    if not number.isprintable():
        return None
    return among.filter(number=number).select_related(*_PARTS).first()


def page_of(receipt: Receipt) -> ReceiptPage:
    """Return the page of a receipt that was found."""
    payment = receipt.payment
    reference = payment.references.order_by("pk").first()
    return ReceiptPage(
        receipt=receipt,
        order=payment.order,
        rows=_rows(payment.order),
        paid_by=offers.paid_by(payment),
        reference=reference.reference if reference else "",
        counters=list(receipt.counters.order_by("pk")),
    )


def money_of(receipt: Receipt) -> str:
    """Return the sum of a receipt, that of a counter-receipt with a minus."""
    minor: int = receipt.amount_minor
    return amounts.money(-minor if receipt.cancels_id else minor, receipt.currency)


def _rows(order: Order) -> list[Row]:
    lines = order.lines.select_related("key", "wallet").order_by("pk")
    return [*_sold(lines, order.currency), *_taken_off(order)]


def _sold(lines: Iterable[OrderLine], currency: str) -> Iterable[Row]:
    for line in lines:
        yield Row(
            what=offers.title(line),
            note=_note(line),
            quantity=str(line.quantity),
            unit=amounts.money(line.unit_minor, currency),
            amount=amounts.money(line.unit_minor * line.quantity, currency),
        )


def _note(line: OrderLine) -> str:
    words = {"long": offers.how_long(line), "key": line.key.masked if line.key else ""}
    if line.key:
        return _("added to %(key)s, %(long)s") % words
    if line.kind == OrderLine.CREDIT:
        return _("credit of an account, %(long)s") % words
    return _("new key, %(long)s") % words


def _taken_off(order: Order) -> Iterable[Row]:
    if not order.discount_minor:
        return
    use = getattr(order, "coupon_use", None)
    name = _("Coupon %(code)s") % {"code": use.coupon.code} if use else _("Discount")
    yield Row(name, "", "", "", amounts.money(-order.discount_minor, order.currency))


_PARTS = ("tenant", "cancels", "payment__order", "payment__instance", "refund", "dispute")
