"""The end of orders that nobody pays: cancelled by someone, or expired. Called by admin and jobs.

Neither is final: a payment that was made all the same is found when the provider is asked, and the
order is then paid and delivered.
"""

from datetime import datetime

from django.db import transaction

from billing.ledger.clock import database_now
from billing.models import Order, Payment
from billing.orders import discounts, states
from billing.orders.locks import locked_order
from billing.orders.paying import OPEN

_PAGE = 500


@transaction.atomic
def cancel(order: Order) -> Order:
    """End an order that waits to be paid; repeating it changes nothing. Raises StateInvalid."""
    locked = locked_order(order.pk)
    if locked.status != Order.CANCELLED:
        _end(locked, Order.CANCELLED, Payment.CANCELLED)
    return locked


def expire_unpaid(now: datetime | None = None) -> int:
    """End the orders whose time to be paid is over; return how many. In the scope of all tenants.

    An order with a payment that a person has to look at goes on waiting.
    """
    now = now or database_now()
    overdue = Order.objects.filter(status=Order.PENDING, expires_at__lte=now)
    overdue = overdue.exclude(delivery_status=Order.REVIEW).order_by("expires_at", "pk")
    return sum(_expire(order_id, now) for order_id in overdue.values_list("pk", flat=True)[:_PAGE])


@transaction.atomic
def _expire(order_id: int, now: datetime) -> bool:
    order = locked_order(order_id)
    if order.status != Order.PENDING or order.expires_at > now:
        return False
    if order.delivery_status == Order.REVIEW:
        return False
    _end(order, Order.EXPIRED, Payment.EXPIRED)
    return True


def _end(order: Order, status: str, payment_status: str) -> None:
    states.check(states.ORDER, order.status, status)
    order.status = status
    order.save(update_fields=["status"])
    order.payments.filter(status__in=OPEN).update(status=payment_status)
    discounts.give_back(order)
