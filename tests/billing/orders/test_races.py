"""Many do the same thing at the same moment: one order, one payment, one credit."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar
from uuid import uuid4

import pytest

from billing import keys, orders
from billing.errors import FieldInvalid, LimitReached, StateInvalid
from billing.models import (
    ApiKey,
    Delivery,
    Dispute,
    Mail,
    Order,
    OrderLine,
    Payment,
    Receipt,
    Refund,
    Tenant,
    Transfer,
)
from billing.orders import deliveries, links
from billing.orders.placing import TRIALS_PER_DAY
from billing.payments import demo
from billing.scoping import all_tenants, tenant_scope
from tests.billing.orders.making import (
    GRANT_UBT,
    PRICE_MINOR,
    begin,
    bought,
    deliveries_of,
    give_back,
    left_ubt,
    new_product,
    new_trial,
    order_of,
    payment_of,
)
from tests.plugins.proof import size

pytestmark = pytest.mark.proof

RACERS, ROUNDS = size(16, proof=25), size(1, proof=8)
T = TypeVar("T")


def race(shop: Tenant, work: Callable[[], T], *, rounds: int = ROUNDS) -> list[T]:
    """Let threads do the same, all starting at the same moment; in a proof 200 times."""
    barrier = threading.Barrier(RACERS)

    def run(_racer: int) -> list[T]:
        barrier.wait()
        with tenant_scope(shop.pk):
            return [work() for _ in range(rounds)]

    with ThreadPoolExecutor(RACERS) as threads:
        return [result for results in threads.map(run, range(RACERS)) for result in results]


def counts() -> tuple[int, ...]:
    return tuple(
        model.objects.count() for model in (Order, OrderLine, Payment, Transfer, Delivery, Mail)
    )


def test_many_submits_of_one_checkout_are_one_order_paid_once(busy_shop: Tenant) -> None:
    product, checkout_id = new_product(busy_shop), uuid4()
    begin(order_of(product))  # the shop's way to pay is there

    def submit() -> int:
        order = order_of(product, checkout_id=checkout_id)
        with suppress(StateInvalid):  # somebody else has paid it already
            payment = begin(order)
            demo.pay(payment)
            orders.confirm(payment.pk)
        return order.pk

    before = counts()
    submits = race(busy_shop, submit)
    assert len(submits) == RACERS * ROUNDS
    assert len(set(submits)) == 1
    assert [after - was for after, was in zip(counts(), before, strict=True)] == [1] * 6
    assert Order.objects.get(pk=submits[0]).status == "paid"


def test_double_delivery_by_concurrent_callbacks_credits_once(busy_shop: Tenant) -> None:
    product = new_product(busy_shop)
    payment = begin(order_of(product, quantity=2))
    demo.pay(payment)
    confirmed = race(busy_shop, lambda: orders.confirm(payment.pk).status)
    assert confirmed == ["confirmed"] * RACERS * ROUNDS
    assert counts() == (1, 1, 1, 2, 2, 1)


def test_many_submits_of_one_trial_are_one_key(busy_shop: Tenant) -> None:
    product, checkout_id = new_trial(busy_shop), uuid4()
    numbers = race(busy_shop, lambda: order_of(product, checkout_id=checkout_id).number)
    assert len(set(numbers)) == 1
    assert counts() == (1, 1, 1, 1, 1, 1)


def test_many_trials_at_once_are_not_more_than_a_network_gets(busy_shop: Tenant) -> None:
    product = new_trial(busy_shop)

    def ask() -> None:
        with suppress(LimitReached):
            order_of(product, email=f"{uuid4().hex}@example.com", address_hash=4711)

    race(busy_shop, ask, rounds=1)
    assert Order.objects.count() == TRIALS_PER_DAY


def test_a_key_replaced_by_its_user_and_its_buyer_at_once_is_one_key(busy_shop: Tenant) -> None:
    [delivery] = deliveries_of(bought(new_product(busy_shop)))
    deliveries.reveal(delivery)
    turn = itertools.count().__next__

    def replace() -> None:
        if turn() % 2:
            with suppress(LimitReached):
                deliveries.replace_key(delivery)
            return
        with suppress(StateInvalid):  # its buyer was faster
            keys.replace(key=Delivery.objects.get().key, actor="user")

    race(busy_shop, replace, rounds=2)
    assert [key.pk for key in ApiKey.objects.filter(replaced_at__isnull=True)] == [
        Delivery.objects.get().key_id
    ]


def test_an_address_with_a_zero_byte_leads_to_no_order(busy_shop: Tenant) -> None:
    assert links.find(number="\0", token="x") is None


def test_expiry_racing_with_a_payment_loses_no_money(busy_shop: Tenant) -> None:
    order = order_of(new_product(busy_shop))
    payment = begin(order)
    demo.pay(payment)
    late = order.expires_at

    def both() -> None:
        with all_tenants():
            orders.expire_unpaid(late)
        orders.confirm(payment.pk)

    race(busy_shop, both)
    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.status, order.delivery_status, payment.status) == (
        *("paid", "delivered"),
        "confirmed",
    )
    assert Transfer.objects.count() == 1


def test_many_refunds_at_once_give_back_no_more_than_came(busy_shop: Tenant) -> None:
    order = bought(new_product(busy_shop), quantity=2)
    refused: list[int] = []

    def ask() -> None:
        try:
            give_back(order, 90)
        except (FieldInvalid, StateInvalid):
            refused.append(1)

    race(busy_shop, ask, rounds=1)
    assert Refund.objects.count() == PRICE_MINOR * 2 // 90 == RACERS - len(refused)
    assert payment_of(order).demo_charge.refunded_minor == 990
    assert left_ubt(order) == [GRANT_UBT - GRANT_UBT * 99 // 100] * 2
    assert receipts_are_gapless()


def receipts_are_gapless() -> bool:
    numbers = sorted(
        int(number[-6:]) for number in Receipt.objects.values_list("number", flat=True)
    )
    return numbers == [*range(1, len(numbers) + 1)]


def test_one_form_of_a_refund_sent_by_many_is_one_refund(busy_shop: Tenant) -> None:
    order, refund_id = bought(new_product(busy_shop)), uuid4()

    def ask() -> None:
        give_back(order, 100, refund_id=refund_id)
        orders.confirm(payment_of(order).pk)

    race(busy_shop, ask, rounds=1)
    assert Refund.objects.get().status == "done"
    assert payment_of(order).demo_charge.refunded_minor == 100
    assert left_ubt(order) == [GRANT_UBT * 4 // 5]


def test_a_dispute_that_many_hear_of_at_once_is_booked_once(busy_shop: Tenant) -> None:
    order = bought(new_product(busy_shop), quantity=2)
    payment = payment_of(order)
    for turn, outcome in ((demo.dispute, "open"), (demo.win, "won")):
        turn(payment)
        race(busy_shop, lambda: orders.confirm(payment.pk), rounds=1)
        assert Dispute.objects.get().status == outcome
    assert left_ubt(order) == [GRANT_UBT] * 2
    assert Transfer.objects.count() == 2 + 2 + 2
