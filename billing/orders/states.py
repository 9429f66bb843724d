"""The states of orders, deliveries and payments, as tables of which may follow which. Pure data.

Called by `billing.orders` before every change of a state. A late payment is why an order that has
expired, and a payment that has failed, may still be paid; that is asked of the provider each time.
"""

from billing.errors import StateInvalid
from billing.models import Order, Payment

Table = dict[str, frozenset[str]]

ORDER: Table = {
    Order.PENDING: frozenset({Order.PAID, Order.EXPIRED, Order.CANCELLED}),
    Order.EXPIRED: frozenset({Order.PAID}),
    Order.CANCELLED: frozenset({Order.PAID}),
    Order.PAID: frozenset({Order.PARTLY_REFUNDED, Order.REFUNDED}),
    Order.PARTLY_REFUNDED: frozenset({Order.REFUNDED}),
    Order.REFUNDED: frozenset(),
}

DELIVERY_STATUS: Table = {
    Order.NONE: frozenset({Order.DELIVERED, Order.REVIEW}),
    Order.REVIEW: frozenset({Order.DELIVERED, Order.NONE}),
    Order.DELIVERED: frozenset(),
}

_PAID_LATE = frozenset({Payment.CONFIRMED, Payment.REVIEW})

PAYMENT: Table = {
    Payment.CREATED: frozenset(
        {Payment.PENDING, Payment.FAILED, Payment.CANCELLED, Payment.EXPIRED}
    ),
    Payment.PENDING: frozenset(
        {
            *(Payment.CONFIRMED, Payment.REVIEW),
            *(Payment.FAILED, Payment.CANCELLED, Payment.EXPIRED),
        }
    ),
    Payment.FAILED: _PAID_LATE,
    Payment.CANCELLED: _PAID_LATE,
    Payment.EXPIRED: _PAID_LATE,
    Payment.REVIEW: frozenset({Payment.CONFIRMED, Payment.REFUNDED}),
    Payment.CONFIRMED: frozenset({Payment.PARTLY_REFUNDED, Payment.REFUNDED, Payment.DISPUTED}),
    Payment.PARTLY_REFUNDED: frozenset({Payment.REFUNDED, Payment.DISPUTED}),
    Payment.DISPUTED: frozenset(
        {Payment.CONFIRMED, Payment.PARTLY_REFUNDED, Payment.REFUNDED},
    ),
    Payment.REFUNDED: frozenset(),
}


def check(table: Table, old: str, new: str) -> None:
    """Raise StateInvalid unless `new` may follow `old`."""
    if new not in table.get(old, frozenset()):
        raise StateInvalid(f"{new!r} can't follow {old!r}.")
