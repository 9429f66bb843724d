"""Locks of what an order consists of. Called by `billing.orders` alone.

The order of all locks is: product, order, payment, its refunds and disputes, coupon or code,
wallets by id, counters of receipts. Whoever takes them in another order waits for somebody who
waits for them.
"""

from billing.errors import NotFound
from billing.models import Order, Payment


def locked_order(order_id: int) -> Order:
    """Return an order, locked until the transaction ends. Raises NotFound."""
    order = Order.objects.select_for_update().filter(pk=order_id).first()
    if order is None:
        raise NotFound(f"There is no order {order_id}.")
    return order


def locked_payment(payment_id: int) -> tuple[Order, Payment]:
    """Return a payment behind its order, both locked. Raises NotFound."""
    order_id = Payment.objects.filter(pk=payment_id).values_list("order_id", flat=True).first()
    if order_id is None:
        raise NotFound(f"There is no payment {payment_id}.")
    order = locked_order(order_id)
    payment = Payment.objects.select_for_update().get(pk=payment_id)
    payment.order = order
    return order, payment
