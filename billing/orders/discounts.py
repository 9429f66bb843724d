"""What an order costs: price steps by quantity, and coupons, counted when the order is written.

Called by `billing.orders` while an order is placed, ends or is paid, and by pages, as
`billing.orders.price`, to show a sum before anything is booked. All sums are integers in minor
units. A coupon's counter is changed by conditional updates alone, in the transaction of its cause.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, QuerySet

from billing.errors import OrderInvalid
from billing.ledger.clock import database_now
from billing.models import Coupon, CouponProduct, CouponUse, Order, PriceStep, Product
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


def unit_price(product: Product, *, quantity: int) -> int:
    """Return what one unit costs at this quantity."""
    steps = PriceStep.objects.filter(product=product, min_quantity__lte=quantity)
    step = steps.order_by("-min_quantity").first()
    return step.unit_minor if step else product.price_minor


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
    unit_minor = unit_price(product, quantity=quantity)
    subtotal_minor = unit_minor * quantity
    word = coupon.strip().upper()
    if not word:
        return None, Price(unit_minor, subtotal_minor)
    found = Coupon.objects.filter(tenant_id=product.tenant_id, code=word, is_active=True).first()
    if found is None:
        raise OrderInvalid("coupon", "unknown")
    _refuse_misfit(found, product, subtotal_minor=subtotal_minor, now=now)
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


def _refuse_misfit(coupon: Coupon, product: Product, *, subtotal_minor: int, now: datetime) -> None:
    if coupon.starts_at is not None and now < coupon.starts_at:
        raise OrderInvalid("coupon", "early")
    if coupon.ends_at is not None and now >= coupon.ends_at:
        raise OrderInvalid("coupon", "over")
    only = set(CouponProduct.objects.filter(coupon=coupon).values_list("product_id", flat=True))
    if not subtotal_minor or (only and product.pk not in only):
        raise OrderInvalid("coupon", "product")
    if subtotal_minor < coupon.minimum_minor:
        raise OrderInvalid("coupon", "minimum")
    if coupon.max_uses is not None and coupon.used_count >= coupon.max_uses:
        raise OrderInvalid("coupon", "used_up")


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
