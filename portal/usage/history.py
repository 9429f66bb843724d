"""What was credited to a key's wallet and taken back, what it cost, and what is still to be paid.

Called by the usage page. Only the order of a top-up is linked: the page of an order that delivered
a key could replace it, which is more than who holds the key was given. What was paid is told of
orders that have a receipt which the key may open.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from billing.models import ApiKey, Delivery, Order, OrderLine, Receipt, Transfer
from billing.orders import links
from billing.reports.balances import CORRECTION
from portal import offers, receipts
from portal.usage import words

MOST_SHOWN = 20

_BACK = ("refund", "dispute")


@dataclass(frozen=True)
class Entry:
    """A change of the balance that is not usage, or an order that may become one."""

    at: datetime
    what: Any
    paid_by: str
    number: str
    amount_ubt: int
    path: str = ""
    check_count: int | None = None
    receipt: Receipt | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it waits for its payment."""
        return self.check_count is not None

    @property
    def money(self) -> str:
        """What was paid for it or paid back, as its receipt says."""
        return receipts.money_of(self.receipt) if self.receipt else ""


def entries(key: ApiKey, *, with_links: bool) -> list[Entry]:
    """Return the newest changes of the key's wallet, waiting orders first, in the open scope."""
    return [*_waiting(key, with_links=with_links), *_booked(key, with_links=with_links)]


def _waiting(key: ApiKey, *, with_links: bool) -> list[Entry]:
    lines = (
        OrderLine.objects.filter(
            key__wallet_id=key.wallet_id,
            order__status=Order.PENDING,
            order__expires_at__gt=timezone.now(),
        )
        .select_related("order")
        .prefetch_related("order__payments__instance")
    )
    return [
        Entry(
            at=line.order.created_at,
            what=words.TOP_UP,
            paid_by=_paid_by(line.order),
            number=line.order.number,
            amount_ubt=line.grant_ubt,
            path=links.path_of(line.order) if with_links else "",
            check_count=sum(payment.check_count for payment in line.order.payments.all()),
        )
        for line in lines.order_by("-pk")[:MOST_SHOWN]
    ]


def _booked(key: ApiKey, *, with_links: bool) -> list[Entry]:
    transfers = list(
        Transfer.objects.filter(wallet_id=key.wallet_id)
        .exclude(kind=CORRECTION)
        .order_by("-pk")[:MOST_SHOWN]
    )
    delivered = (
        Delivery.objects.filter(transfer__in=transfers)
        .select_related("line__order")
        .prefetch_related("line__order__payments__instance")
    )
    lines = {delivery.transfer_id: delivery.line for delivery in delivered}
    papers = _papers(key) if with_links else {}
    return [
        _entry(one, lines.get(one.pk), papers.get(_cause(one)), with_links=with_links)
        for one in transfers
    ]


def _papers(key: ApiKey) -> dict[str, Receipt]:
    """Return the newest receipts that the key may open, by the public id of what they are of."""
    papers = receipts.of_wallet(key.wallet_id).select_related("payment__order", *_BACK)
    newest = papers.order_by("-pk")[: 3 * MOST_SHOWN]
    return {str((one.refund or one.dispute or one.payment).public_id): one for one in newest}


def _cause(transfer: Transfer) -> str:
    """Return the public id of the payment, refund or dispute that made a transfer."""
    if transfer.source in _BACK:
        return str(transfer.source_id.split(":")[1])
    return str(transfer.source_id.partition(":")[0]) if transfer.source == "payment" else ""


def _entry(
    transfer: Transfer, line: OrderLine | None, receipt: Receipt | None, *, with_links: bool
) -> Entry:
    is_top_up = line is not None and line.key_id is not None
    order = line.order if line else receipt.payment.order if receipt else None
    is_bought = is_top_up and transfer.kind == "purchase"
    what = words.TOP_UP if is_bought else words.CREDITS.get(transfer.kind, transfer.kind)
    return Entry(
        at=transfer.created_at,
        what=what,
        paid_by=_paid_by(line.order) if line else "",
        number=order.number if order else "",
        amount_ubt=transfer.direction * transfer.amount_ubt,
        path=links.path_of(line.order) if line and is_top_up and with_links else "",
        receipt=receipt,
    )


def _paid_by(order: Order) -> str:
    """Return how the payment that was confirmed last was made, else the one that was begun last."""
    tries = sorted(
        order.payments.all(),
        key=lambda one: (one.confirmed_at is not None, one.confirmed_at or one.created_at, one.pk),
    )
    payment = tries[-1] if tries else None
    return offers.paid_by(payment) if payment and payment.amount_minor else ""
