"""What an order costs: price steps by quantity, and coupons, counted when the order is written.

Called by `billing.orders` while an order is placed, ends or is paid, and by pages, as
`billing.orders.price`, to show a sum before anything is booked. All sums are integers in minor
units. A coupon's counter is changed by conditional updates alone, in the transaction of its cause.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import F, Q, QuerySet

from billing.errors import OrderInvalid
from billing.ledger.clock import database_now
from billing.models import Coupon, CouponUse, Order, PriceStep, Product
from billing.orders.mailboxes import hash_of


@dataclass(frozen=True)
class Price:
    """The sum of an order, in minor units."""

    unit_minor: int
    subtotal_minor: int
    discount_minor: int = 0

    @property
    def total_minor(self) -> int:
        """What is to be paid."""
        return self.subtotal_minor - self.discount_minor


def steps_of(product: Product) -> list[PriceStep]:
    """Return the price steps of a product, the smallest quantity first."""
    return list(PriceStep.objects.filter(product=product).order_by("min_quantity"))


def unit_price(product: Product, *, quantity: int, steps: Sequence[PriceStep]) -> int:
    """Return what one unit costs at this quantity; the steps are in order."""
    reached = [step.unit_minor for step in steps if step.min_quantity <= quantity]
    return reached[-1] if reached else product.price_minor


def prices(product: Product, *, quantities: Sequence[int], coupon: str = "") -> dict[int, Price]:
    """Return what each quantity costs now; a coupon counts where it fits and is passed over else.

    For a list to choose from: what is chosen is priced, or refused, by `price`.
    """
    steps, now, found = steps_of(product), database_now(), _named(product, coupon)
    priced_now = {}
    for quantity in quantities:
        unit_minor = unit_price(product, quantity=quantity, steps=steps)
        total = Price(unit_minor, unit_minor * quantity)
        if found is not None and not _misfit(found, product, total.subtotal_minor, now=now):
            total = replace(total, discount_minor=_discount(found, total.subtotal_minor))
        priced_now[quantity] = total
    return priced_now


def price(product: Product, *, quantity: int, coupon: str = "", email: str = "") -> Price:
    """Return what so many units cost now, without booking anything. Raises OrderInvalid.

    Whether a coupon is used up for a person is said only where the address is known.
    """
    found, total = priced(product, quantity=quantity, coupon=coupon, now=database_now())
    if found and "@" in email:
        _refuse_person(found, mailbox=hash_of(email, tenant_id=product.tenant_id))
    return total


def priced(
    product: Product, *, quantity: int, coupon: str, now: datetime
) -> tuple[Coupon | None, Price]:
    """Return the coupon that a word means, and the price with it. Raises OrderInvalid."""
    unit_minor = unit_price(product, quantity=quantity, steps=steps_of(product))
    subtotal_minor = unit_minor * quantity
    if not coupon.strip():
        return None, Price(unit_minor, subtotal_minor)
    found = _named(product, coupon)
    if found is None:
        raise OrderInvalid("coupon", "unknown")
    misfit = _misfit(found, product, subtotal_minor, now=now)
    if misfit:
        raise OrderInvalid("coupon", misfit)
    return found, Price(unit_minor, subtotal_minor, _discount(found, subtotal_minor))


def take(order: Order, coupon: Coupon) -> None:
    """Count a coupon's use by a new order, or raise OrderInvalid; inside its transaction."""
    left = Coupon.objects.filter(_has_uses_left(), pk=coupon.pk, is_active=True)
    if not left.update(used_count=F("used_count") + 1):
        raise OrderInvalid("coupon", "used_up")
    # The update has locked the coupon: whoever else uses it is counted before or waits behind.
    _refuse_person(coupon, mailbox=order.mailbox_hash)
    CouponUse.objects.create(
        tenant_id=order.tenant_id,
        coupon=coupon,
        order=order,
        mailbox_hash=order.mailbox_hash,
        discount_minor=order.discount_minor,
    )


def give_back(order: Order) -> None:
    """Give back the use of a coupon by a locked order that has ended unpaid, once."""
    if order.discount_minor:
        uses = CouponUse.objects.filter(order=order, given_back_at__isnull=True)
        if uses.update(given_back_at=database_now()):
            _of(order).update(used_count=F("used_count") - 1)


def take_again(order: Order) -> None:
    """Count the use of an order that was paid after its end; its price was agreed, so it stays."""
    if order.discount_minor:
        uses = CouponUse.objects.filter(order=order, given_back_at__isnull=False)
        if uses.update(given_back_at=None):
            _of(order).update(used_count=F("used_count") + 1)


def _of(order: Order) -> QuerySet[Coupon]:
    return Coupon.objects.filter(pk__in=CouponUse.objects.filter(order=order).values("coupon_id"))


def _has_uses_left() -> Q:
    return Q(max_uses__isnull=True) | Q(used_count__lt=F("max_uses"))


def _named(product: Product, word: str) -> Coupon | None:
    """Return the coupon of the product's shop that a word means."""
    coupons = Coupon.objects.filter(tenant_id=product.tenant_id, is_active=True)
    if not word.isprintable():
        return None  # PostgreSQL refuses a text with a zero byte
    return coupons.filter(code=word.strip().upper()).prefetch_related("products").first()


def _misfit(coupon: Coupon, product: Product, subtotal_minor: int, *, now: datetime) -> str:
    """Return why a coupon does not fit, "" if it does."""
    if coupon.starts_at is not None and now < coupon.starts_at:
        return "early"
    if coupon.ends_at is not None and now >= coupon.ends_at:
        return "over"
    only = {row.product_id for row in coupon.products.all()}
    if not subtotal_minor or (only and product.pk not in only):
        return "product"
    if subtotal_minor < coupon.minimum_minor:
        return "minimum"
    if coupon.max_uses is not None and coupon.used_count >= coupon.max_uses:
        return "used_up"
    return ""


def _refuse_person(coupon: Coupon, *, mailbox: str) -> None:
    if coupon.max_per_person is None:
        return
    uses = CouponUse.objects.filter(coupon=coupon, mailbox_hash=mailbox, given_back_at=None)
    if uses.count() >= coupon.max_per_person:
        raise OrderInvalid("coupon", "person")


def _discount(coupon: Coupon, subtotal_minor: int) -> int:
    """Return what comes off: half a minor unit counts as a whole one, in the buyer's favour."""
    if coupon.percent is None:
        off_minor: int = coupon.amount_minor or 0
    else:
        off_minor = (subtotal_minor * coupon.percent + 50) // 100
    return min(subtotal_minor, max(off_minor, 1))
