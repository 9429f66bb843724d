"""Between an order and its payment provider: begin to pay, and see whether it was paid.

Called by checkout and order pages. What a browser says on its return counts for nothing: the
provider is asked, and no oftener than it deserves.
"""

import structlog
from django.http import HttpRequest

from billing import orders
from billing.errors import NotFound, PaymentAway, StateInvalid
from billing.models import Order, Payment, PaymentInstance
from billing.orders import links
from portal import throttle

log = structlog.get_logger(__name__)

_ASK_EVERY_S = 2
_MAY_BE_PAID_YET = (
    *(Payment.CREATED, Payment.PENDING),
    *(Payment.FAILED, Payment.CANCELLED, Payment.EXPIRED),
)
_OPEN_ORDERS = (Order.PENDING, Order.EXPIRED, Order.CANCELLED)


def start(request: HttpRequest, order: Order, instance: PaymentInstance) -> str:
    """Begin a payment and return the address where it is made.

    An order that can't be paid any more, a provider that does not answer, and one that was switched
    off a moment ago lead to the order's page, which says so.
    """
    page = links.path_of(order)
    if order.status != Order.PENDING:
        return page
    try:
        payment = orders.begin_payment(
            order,
            instance_id=instance.pk,
            return_url=request.build_absolute_uri(page),
            notify_url="",  # no provider of today calls back
        )
    except (NotFound, PaymentAway, StateInvalid) as error:
        log.warning("payment not begun", order=order.number, reason=str(error))
        return page
    return payment.redirect_url or page


def refreshed(order: Order) -> Order:
    """Return the order as it is now, after asking about its latest payment if that is due."""
    payment = latest_payment(order)
    if order.status not in _OPEN_ORDERS or payment is None:
        return order
    if payment.status not in _MAY_BE_PAID_YET or not payment.redirect_url:
        return order
    name = str(payment.public_id)
    if throttle.allow("ask provider", name, limit=1, per_s=_ASK_EVERY_S):
        try:
            orders.confirm(payment.pk)
        except PaymentAway as error:
            log.warning("payment not asked", order=order.number, reason=str(error))
        order.refresh_from_db()
    return order


def latest_payment(order: Order) -> Payment | None:
    """Return the last try to pay an order."""
    return order.payments.select_related("instance").order_by("-pk").first()
