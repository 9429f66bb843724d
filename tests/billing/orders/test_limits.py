"""How much one person may buy: counted by mailbox, in all and within a day."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from billing import codes, orders
from billing.errors import OrderInvalid
from billing.ledger.clock import database_now
from billing.models import Order, Product, Tenant
from billing.scoping import tenant_scope
from tests.billing.orders.making import BUYER, bought, new_product, order_of

RACERS = 12


def refusal(product: Product, **changes: Any) -> tuple[str, str]:
    with pytest.raises(OrderInvalid) as caught:
        order_of(product, **changes)
    return caught.value.field, caught.value.code


def test_a_person_buys_no_more_than_their_share(shop: Tenant) -> None:
    product = new_product(shop, max_per_person=3)
    bought(product, quantity=2)
    assert refusal(product, quantity=2) == ("product", "person")
    assert order_of(product, email=BUYER.replace("@", "+more@")).pk
    assert refusal(product) == ("product", "person")


def test_another_person_and_another_product_have_shares_of_their_own(shop: Tenant) -> None:
    product = new_product(shop, max_per_person=1)
    order_of(product)
    assert order_of(product, email="ben@example.com").pk
    assert order_of(new_product(shop, max_per_person=1)).pk


def test_the_days_share_comes_back_a_day_later(shop: Tenant) -> None:
    product = new_product(shop, max_per_day=1)
    order_of(product)
    assert refusal(product) == ("product", "day")
    Order.objects.update(created_at=database_now() - timedelta(hours=25))
    assert order_of(product).pk


def test_an_order_that_nobody_pays_gives_its_share_back(shop: Tenant) -> None:
    product = new_product(shop, max_per_person=1)
    orders.cancel(order_of(product))
    assert order_of(product).pk


def test_what_a_code_gave_is_no_purchase(shop: Tenant) -> None:
    product = new_product(shop, max_per_person=1)
    [code] = codes.export(codes.make_batch(product, count=1, actor="test"), actor="test")
    orders.redeem(
        tenant_id=shop.pk,
        checkout_id=uuid4(),
        code=code,
        email=BUYER,
        agreement_version="1",
        language="en",
    )
    assert order_of(product).pk


def test_a_checkout_sent_again_is_not_counted_twice(shop: Tenant) -> None:
    product = new_product(shop, max_per_person=1)
    order = order_of(product)
    assert order_of(product, checkout_id=order.checkout_id) == order


def test_many_orders_at_once_are_not_more_than_a_person_gets(busy_shop: Tenant) -> None:
    product, barrier = new_product(busy_shop, max_per_person=2), Barrier(RACERS)

    def run(_racer: int) -> str:
        barrier.wait()
        with tenant_scope(busy_shop.pk):
            try:
                return order_of(product).status
            except OrderInvalid as error:
                return error.code

    with ThreadPoolExecutor(RACERS) as threads:
        answers = list(threads.map(run, range(RACERS)))
    assert sorted(answers) == [*["pending"] * 2, *["person"] * (RACERS - 2)]
    assert Order.objects.count() == 2
