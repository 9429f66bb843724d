"""Coupons: what they take off, for whom, how often, and that no use is lost or made up."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from billing import orders
from billing.errors import OrderInvalid
from billing.ledger.clock import database_now
from billing.models import Coupon, CouponProduct, CouponUse, Order, Product, Tenant
from billing.orders.discounts import Price
from billing.payments import demo
from billing.scoping import all_tenants, tenant_scope
from tests.billing.orders.making import (
    BUYER,
    PRICE_MINOR,
    begin,
    bought,
    deliveries_of,
    new_product,
    new_trial,
    open_shop,
    order_of,
)

RACERS, HOUR = 12, timedelta(hours=1)


def new_coupon(shop: Tenant, **changes: Any) -> Coupon:
    """Make a coupon of a fifth; what is not given is usual."""
    fields: dict[str, Any] = {"code": "SPRING", "percent": 20, "max_per_person": None}
    if "amount_minor" in changes:
        del fields["percent"]
    return Coupon.objects.create(tenant=shop, **{**fields, **changes})


def refusal(product: Product, **changes: Any) -> str:
    with pytest.raises(OrderInvalid) as caught:
        order_of(product, **{"coupon": "SPRING", **changes})
    assert caught.value.field == "coupon"
    return caught.value.code


def used(coupon: Coupon) -> int:
    coupon.refresh_from_db()
    assert coupon.used_count == coupon.uses.filter(given_back_at=None).count()
    return coupon.used_count


@pytest.mark.parametrize(
    ("taken", "price_minor", "discount_minor"),
    [
        ({"percent": 20}, 500, 100),
        ({"percent": 15}, 990, 149),  # 148.5 is rounded in the buyer's favour
        ({"percent": 33}, 100, 33),
        ({"percent": 1}, 10, 1),
        ({"percent": 100}, 501, 501),
        ({"percent": 7}, 10**15 + 1, 70_000_000_000_000),
        ({"amount_minor": 120}, 500, 120),
        ({"amount_minor": 900}, 500, 500),
    ],
)
def test_a_coupon_takes_off_what_it_says(
    shop: Tenant, taken: dict[str, int], price_minor: int, discount_minor: int
) -> None:
    new_coupon(shop, **taken)
    product = new_product(shop, price_minor=price_minor)
    price = orders.price(product, quantity=1, coupon="SPRING")
    assert price == Price(price_minor, price_minor, discount_minor)
    assert price.total_minor == price_minor - discount_minor


def test_the_order_and_its_payment_are_cheaper(pack: Product) -> None:
    coupon = new_coupon(pack.tenant)
    order = bought(pack, quantity=2, coupon=" spring ")
    assert (order.total_minor, order.discount_minor) == (800, 200)
    assert order.payments.get().amount_minor == 800
    assert order.lines.get().unit_minor == PRICE_MINOR
    assert (used(coupon), CouponUse.objects.get().discount_minor) == (1, 200)


def test_an_order_that_became_free_is_delivered_at_once(pack: Product) -> None:
    new_coupon(pack.tenant, percent=100)
    order = order_of(pack, quantity=2, coupon="SPRING")
    assert (order.status, order.delivery_status, order.total_minor) == ("paid", "delivered", 0)
    assert order.payments.get().provider == "free"
    assert [bool(delivery.sealed_key) for delivery in deliveries_of(order)] == [True, True]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code": "AUTUMN"}, "unknown"),
        ({"is_active": False}, "unknown"),
        ({"max_uses": 0}, "used_up"),
        ({"max_per_person": 0}, "person"),
        ({"minimum_minor": PRICE_MINOR + 1}, "minimum"),
    ],
)
def test_a_coupon_that_does_not_fit_is_refused(
    pack: Product, changes: dict[str, Any], code: str
) -> None:
    new_coupon(pack.tenant, **changes)
    assert refusal(pack) == code
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("name", "offset", "code"), [("starts_at", 1, "early"), ("ends_at", -1, "over")]
)
def test_a_coupon_has_its_time(pack: Product, name: str, offset: int, code: str) -> None:
    new_coupon(pack.tenant, **{name: database_now() + offset * HOUR})
    assert refusal(pack) == code


def test_a_coupon_is_for_its_products_only(pack: Product) -> None:
    coupon, other = new_coupon(pack.tenant), new_product(pack.tenant)
    CouponProduct.objects.create(tenant=pack.tenant, coupon=coupon, product=other)
    assert refusal(pack) == "product"
    assert order_of(other, coupon="SPRING").discount_minor


def test_a_trial_needs_no_coupon(shop: Tenant) -> None:
    new_coupon(shop)
    assert refusal(new_trial(shop)) == "product"


def test_another_tenants_coupon_is_unknown(pack: Product) -> None:
    new_coupon(pack.tenant)
    other = open_shop("south")
    with tenant_scope(other.pk):
        assert refusal(new_product(other)) == "unknown"


def test_a_person_uses_a_coupon_no_more_than_they_may(pack: Product) -> None:
    coupon = new_coupon(pack.tenant, max_per_person=1)
    order_of(pack, coupon="SPRING")
    assert refusal(pack, email=BUYER.upper()) == "person"
    with pytest.raises(OrderInvalid):
        orders.price(pack, quantity=1, coupon="SPRING", email=BUYER)
    order_of(pack, coupon="SPRING", email="ben@example.com")
    assert used(coupon) == 2


def test_a_checkout_sent_again_uses_a_coupon_once(pack: Product) -> None:
    coupon, checkout_id = new_coupon(pack.tenant, max_uses=1), uuid4()
    first = order_of(pack, coupon="SPRING", checkout_id=checkout_id)
    assert order_of(pack, coupon="SPRING", checkout_id=checkout_id) == first
    assert used(coupon) == 1


def test_an_order_that_ends_unpaid_gives_its_coupon_back_once(pack: Product) -> None:
    coupon = new_coupon(pack.tenant, max_uses=2)
    cancelled, expired = (order_of(pack, coupon="SPRING") for _ in range(2))
    for _ in range(2):
        orders.cancel(cancelled)
        with all_tenants():
            orders.expire_unpaid(expired.expires_at)
    assert used(coupon) == 0


def test_expiry_racing_with_payment_takes_the_coupon_again(pack: Product) -> None:
    coupon = new_coupon(pack.tenant, max_uses=1)
    order = order_of(pack, coupon="SPRING")
    payment = begin(order)
    orders.cancel(order)
    order_of(pack, coupon="SPRING")  # somebody else has taken the last use
    demo.pay(payment)
    orders.confirm(payment.pk)
    order.refresh_from_db()
    assert (order.status, order.discount_minor, used(coupon)) == ("paid", 100, 2)


def race(product: Product) -> list[str]:
    """Let many order with the coupon at the same moment; return what became of each."""
    barrier = Barrier(RACERS)

    def run(_racer: int) -> str:
        barrier.wait()
        with tenant_scope(product.tenant_id):
            try:
                return order_of(product, coupon="SPRING").status
            except OrderInvalid as error:
                return error.code

    with ThreadPoolExecutor(RACERS) as threads:
        return sorted(threads.map(run, range(RACERS)))


def test_coupon_uses_decremented_without_a_lock(busy_shop: Tenant) -> None:
    coupon = new_coupon(busy_shop, max_uses=3)
    answers = race(new_product(busy_shop))
    assert answers == [*["pending"] * 3, *["used_up"] * (RACERS - 3)]
    assert (used(coupon), Order.objects.count()) == (3, 3)


def test_many_orders_of_one_person_use_a_coupon_once(busy_shop: Tenant) -> None:
    coupon = new_coupon(busy_shop, max_per_person=1)
    assert race(new_product(busy_shop)) == ["pending", *["person"] * (RACERS - 1)]
    assert used(coupon) == 1
