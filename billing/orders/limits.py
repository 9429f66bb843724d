"""What is on sale now, and how much of it one person may buy. Called by `billing.orders`, pages.

The database's clock decides. A person is a mailbox, by its hash.
"""

from datetime import datetime, timedelta

from django.db.models import Q, Sum

from billing.errors import OrderInvalid
from billing.models import Order, OrderLine, Product

A_DAY = timedelta(days=1)

_UNPAID_ENDS = (Order.EXPIRED, Order.CANCELLED)


def on_sale(now: datetime) -> Q:
    """Select the products that can be bought at a moment."""
    return Q(is_active=True) & _begun(now) & _not_over(now)


def on_sale_or_soon(now: datetime) -> Q:
    """Select the products that can be bought at a moment or later."""
    return Q(is_active=True) & _not_over(now)


def refuse_off_sale(product: Product, *, now: datetime) -> None:
    """Raise OrderInvalid for a product whose sale has not begun or is over."""
    is_early = product.starts_at is not None and now < product.starts_at
    is_over = product.ends_at is not None and now >= product.ends_at
    if is_early or is_over:
        raise OrderInvalid("product", "not_on_sale")


def refuse_beyond_share(product: Product, *, mailbox: str, quantity: int, now: datetime) -> None:
    """Raise OrderInvalid for more than one person may buy, in all or within 24 hours.

    Inside the transaction that writes the order: the product stays locked, so that many orders of
    one person at once are counted one after the other. Trials have a limit of their own.
    """
    if product.kind == Product.TRIAL or (product.max_per_person, product.max_per_day) == (
        None,
        None,
    ):
        return
    held = Product.objects.select_for_update(no_key=True).get(pk=product.pk)
    if _is_beyond(held.max_per_person, _units(held, mailbox), quantity):
        raise OrderInvalid("product", "person")
    if _is_beyond(held.max_per_day, _units(held, mailbox, since=now - A_DAY), quantity):
        raise OrderInvalid("product", "day")


def _is_beyond(most: int | None, bought: int, quantity: int) -> bool:
    return most is not None and bought + quantity > most


def _units(product: Product, mailbox: str, *, since: datetime | None = None) -> int:
    """Return how much of a product is in orders of a mailbox that wait or were paid.

    What came by a redemption code was not bought here.
    """
    orders = Order.objects.filter(tenant_id=product.tenant_id, mailbox_hash=mailbox)
    orders = orders.exclude(status__in=_UNPAID_ENDS).filter(code__isnull=True)
    if since is not None:
        orders = orders.filter(created_at__gt=since)
    lines = OrderLine.objects.filter(product=product, order__in=orders)
    return lines.aggregate(units=Sum("quantity"))["units"] or 0


def _begun(now: datetime) -> Q:
    return Q(starts_at__isnull=True) | Q(starts_at__lte=now)


def _not_over(now: datetime) -> Q:
    return Q(ends_at__isnull=True) | Q(ends_at__gt=now)
