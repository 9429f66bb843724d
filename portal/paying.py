"""Between an order and its payment provider: begin to pay, and see whether it was paid.

Called by checkout and order pages. What a browser says on its return counts for nothing: the
provider is asked, and no oftener than it deserves.
"""

import structlog
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from billing import orders
from billing.errors import NotFound, PaymentAway, StateInvalid
from billing.models import Order, Payment, PaymentInstance
from billing.orders import links
from portal import returning, throttle

log = structlog.get_logger(__name__)

_ASK_EVERY_S = 2
_OPEN = (Payment.CREATED, Payment.PENDING)
_MAY_BE_PAID_YET = (*_OPEN, Payment.FAILED, Payment.CANCELLED, Payment.EXPIRED)
_OPEN_ORDERS = (Order.PENDING, Order.EXPIRED, Order.CANCELLED)


def start(request: HttpRequest, order: Order, instance: PaymentInstance) -> HttpResponseRedirect:
    """Begin a payment and lead to the page that leads to it; the browser remembers the payment.

    Never to the provider's own address: browsers hold a form to what its page allows, through every
    redirect that follows, and nobody knows where a provider leads.

    An order that can't be paid any more, a provider that does not answer, and one that was switched
    off a moment ago lead to the order's page, which says so.
    """
    page = links.path_of(order)
    payment = _begun(request, order, instance) if order.status == Order.PENDING else None
    if payment is None:
        return HttpResponseRedirect(page, status=303)
    response = HttpResponseRedirect(_way_on(payment, page), status=303)
    returning.remember(response, payment)
    return response


def _begun(request: HttpRequest, order: Order, instance: PaymentInstance) -> Payment | None:
    try:
        return orders.begin_payment(
            order,
            instance_id=instance.pk,
            return_url=f"{request.build_absolute_uri('/')}pay/{{payment}}/return/",
            notify_url=request.build_absolute_uri(reverse("notify", args=[instance.public_id])),
        )
    except (NotFound, PaymentAway, StateInvalid) as error:
        log.warning("payment not begun", order=order.number, reason=str(error))
        return None


def _way_on(payment: Payment, page: str) -> str:
    """Return where a payment is made: on the order's own page, or on one that leads away."""
    if payment.qr_text or not payment.redirect_url:
        return page
    return f"{page}pay/" if _is_elsewhere(payment.redirect_url) else payment.redirect_url


def hand_over(order: Order) -> Payment | None:
    """Return the payment whose provider a buyer is to be led to, None if there is none."""
    payment = latest_payment(order)
    if payment is None or not _is_open(order, payment):
        return None
    return payment if _is_elsewhere(payment.redirect_url) else None


def code_of(order: Order, payment: Payment | None) -> str:
    """Return the text of the code by which a phone can pay, "" if there is none (any more)."""
    return payment.qr_text if payment and _is_open(order, payment) else ""


def _is_open(order: Order, payment: Payment) -> bool:
    return payment.status in _OPEN and order.status == Order.PENDING


def _is_elsewhere(address: str) -> bool:
    return address.startswith(("https://", "http://"))


def refreshed(order: Order) -> Order:
    """Return the order as it is now, after asking about its payments where that is due.

    The latest is asked about, and those before it that are open: some pay in the first tab.
    """
    if order.status not in _OPEN_ORDERS:
        return order
    for place, payment in enumerate(order.payments.order_by("-pk")):
        may_be_paid = _MAY_BE_PAID_YET if place == 0 else _OPEN
        was_opened = payment.redirect_url or payment.qr_text
        if was_opened and payment.status in may_be_paid:
            _ask(order, payment)
    order.refresh_from_db()
    return order


def _ask(order: Order, payment: Payment) -> None:
    name = str(payment.public_id)
    if not throttle.allow("ask provider", name, limit=1, per_s=_ASK_EVERY_S):
        return
    try:
        orders.confirm(payment.pk)
    except PaymentAway as error:
        log.warning("payment not asked", order=order.number, reason=str(error))


def latest_payment(order: Order) -> Payment | None:
    """Return the last try to pay an order."""
    return order.payments.select_related("instance").order_by("-pk").first()
