"""Money that goes back: base tokens go with it, each once, and never more than came."""

import random
from uuid import uuid4

import pytest

from billing import orders
from billing.errors import FieldInvalid, NotFound, StateInvalid
from billing.ledger.reconcile import reconcile
from billing.models import (
    DemoCharge,
    Mail,
    Payment,
    PaymentInstance,
    Product,
    Receipt,
    Refund,
    Tenant,
    Transfer,
    Wallet,
)
from billing.payments import demo
from billing.scoping import all_tenants, tenant_scope
from tests.billing.orders.making import (
    BUYER,
    GRANT_UBT,
    PRICE_MINOR,
    begin,
    bought,
    deliveries_of,
    give_back,
    left_ubt,
    new_product,
    new_trial,
    open_shop,
    order_of,
    payment_of,
    spend,
    states_of,
)
from tests.databases import Database


def test_a_whole_refund_takes_everything_back(pack: Product) -> None:
    order = bought(pack)
    refund = give_back(order, PRICE_MINOR)
    assert (refund.status, refund.actor, refund.done_at is None) == ("done", "anna", False)
    assert states_of(order) == ("refunded", "delivered", "refunded")
    assert left_ubt(order) == [0]
    assert payment_of(order).demo_charge.refunded_minor == PRICE_MINOR


def test_a_part_of_a_refund_takes_that_part_back(pack: Product) -> None:
    order = bought(pack)
    give_back(order, 100)
    assert states_of(order) == ("partly_refunded", "delivered", "partly_refunded")
    assert left_ubt(order) == [GRANT_UBT * 4 // 5]
    give_back(order, 150)
    assert states_of(order) == ("partly_refunded", "delivered", "partly_refunded")
    assert left_ubt(order) == [GRANT_UBT // 2]


def test_parts_add_up_to_all_that_was_granted_however_they_are_cut(shop: Tenant) -> None:
    chance = random.Random(4)
    for _ in range(3):
        price_minor, grant_ubt = chance.randint(5, 900), chance.randint(1, 10**9)
        order = bought(new_product(shop, price_minor=price_minor, grant_ubt=grant_ubt))
        gone_minor = 0
        while gone_minor < price_minor:
            part_minor = chance.randint(1, min(price_minor - gone_minor, price_minor // 2 + 1))
            give_back(order, part_minor)
            gone_minor += part_minor
            assert left_ubt(order) == [grant_ubt - grant_ubt * gone_minor // price_minor]
        assert states_of(order)[0] == "refunded"


def test_each_key_of_an_order_gives_its_part_back(pack: Product) -> None:
    order = bought(pack, quantity=3)
    give_back(order, PRICE_MINOR)
    part_ubt = GRANT_UBT - GRANT_UBT // 3
    assert left_ubt(order) == [part_ubt] * 3
    give_back(order, 2 * PRICE_MINOR)
    assert left_ubt(order) == [0] * 3


def test_a_refunded_top_up_takes_only_its_own_tokens_back(pack: Product) -> None:
    first = bought(pack)
    [delivery] = deliveries_of(first)
    top_up = bought(pack, key_id=delivery.key_id)
    give_back(top_up, PRICE_MINOR)
    assert left_ubt(top_up) == [GRANT_UBT]
    assert states_of(first) == ("paid", "delivered", "confirmed")


def test_a_form_that_is_sent_twice_is_one_refund(pack: Product) -> None:
    order, refund_id = bought(pack), uuid4()
    first = give_back(order, 100, refund_id=refund_id)
    assert give_back(order, 100, refund_id=refund_id) == first
    assert left_ubt(order) == [GRANT_UBT * 4 // 5]


def test_the_form_of_one_refund_makes_no_other(pack: Product) -> None:
    order, refund_id = bought(pack), uuid4()
    give_back(order, 100, refund_id=refund_id)
    with pytest.raises(StateInvalid):
        give_back(order, 101, refund_id=refund_id)
    with pytest.raises(StateInvalid):
        give_back(bought(pack), 100, refund_id=refund_id)


@pytest.mark.parametrize("amount_minor", [0, -1, PRICE_MINOR - 99])
def test_nobody_gets_more_than_is_left(pack: Product, amount_minor: int) -> None:
    order = bought(pack)
    give_back(order, 100)
    with pytest.raises(FieldInvalid):
        give_back(order, amount_minor)
    assert left_ubt(order) == [GRANT_UBT * 4 // 5]


def test_what_was_refunded_whole_is_not_refunded_again(pack: Product) -> None:
    order = bought(pack)
    give_back(order, PRICE_MINOR)
    with pytest.raises(StateInvalid):
        give_back(order, 1)


def test_a_payment_that_nobody_made_can_not_be_given_back(pack: Product) -> None:
    payment = begin(order_of(pack))
    with pytest.raises(StateInvalid):
        orders.refund(payment.pk, refund_id=uuid4(), amount_minor=1, actor="anna", reason="")


def test_what_cost_nothing_can_not_be_given_back(shop: Tenant) -> None:
    with pytest.raises(FieldInvalid):
        give_back(order_of(new_trial(shop)), 1)


def test_nobody_gives_another_tenants_payment_back(pack: Product) -> None:
    payment = payment_of(bought(pack))
    with tenant_scope(open_shop("south").pk), pytest.raises(NotFound):
        orders.refund(payment.pk, refund_id=uuid4(), amount_minor=1, actor="anna", reason="")


def test_refund_after_spend_is_a_debt_which_the_next_top_up_pays(pack: Product) -> None:
    order = bought(pack)
    spend(order, 5_000_000)
    give_back(order, PRICE_MINOR)
    [delivery] = deliveries_of(order)
    wallet = delivery.wallet
    assert (wallet.available_ubt, wallet.debt_ubt) == (0, 5_000_000)
    bought(pack, key_id=delivery.key_id)
    wallet.refresh_from_db()
    assert (wallet.available_ubt, wallet.debt_ubt) == (2_000_000, 0)


def test_the_quote_says_how_much_goes_back_without_a_debt(pack: Product) -> None:
    order = bought(pack)
    assert orders.quote(payment_of(order)) == orders.RefundQuote(500, 0, 500, 500)
    spend(order, GRANT_UBT // 2 + 1)
    assert orders.quote(payment_of(order)) == orders.RefundQuote(500, 0, 500, 249)
    give_back(order, 100)
    assert orders.quote(payment_of(order)) == orders.RefundQuote(500, 100, 400, 149)
    give_back(order, 149)
    assert deliveries_of(order)[0].wallet.debt_ubt == 0
    give_back(order, 1)
    assert deliveries_of(order)[0].wallet.debt_ubt > 0


def test_the_quote_counts_what_is_never_taken_because_it_is_less_than_one(shop: Tenant) -> None:
    order = bought(new_product(shop, grant_ubt=3))
    spend(order, 1)
    assert orders.quote(payment_of(order)).most_without_debt_minor == 499
    give_back(order, 499)
    assert deliveries_of(order)[0].wallet.debt_ubt == 0


def test_the_quote_of_what_nobody_paid_is_nothing(pack: Product) -> None:
    assert orders.quote(begin(order_of(pack))) == orders.RefundQuote(0, 0, 0, 0)


def test_the_buyer_is_told_and_a_paper_is_written(pack: Product) -> None:
    order = bought(pack)
    refund = give_back(order, 100)
    mail = Mail.objects.get(kind="refund")
    assert (mail.subject_id, mail.recipient, mail.language) == (refund.pk, BUYER, "en")
    assert Receipt.objects.get(refund=refund).amount_minor == 100


def test_a_payment_that_came_too_much_goes_back_whole(pack: Product) -> None:
    order = order_of(pack)
    payment = begin(order)
    demo.pay(payment)
    DemoCharge.objects.update(amount_minor=700)
    orders.confirm(payment.pk)
    for amount_minor, error in ((500, FieldInvalid), (701, FieldInvalid)):
        with pytest.raises(error):
            refund_of(payment, amount_minor)
    assert refund_of(payment, 700).status == "done"
    payment.refresh_from_db()
    order.refresh_from_db()
    assert (payment.status, payment.received_minor) == ("refunded", 700)
    assert (order.status, order.delivery_status) == ("pending", "none")
    assert not Transfer.objects.exists()
    assert not Receipt.objects.exists()


def refund_of(payment: Payment, amount_minor: int) -> Refund:
    return orders.refund(
        payment.pk, refund_id=uuid4(), amount_minor=amount_minor, actor="anna", reason=""
    )


def test_an_order_that_was_paid_twice_gives_the_second_payment_back(pack: Product) -> None:
    order = order_of(pack)
    first = begin(order)
    other = PaymentInstance.objects.create(tenant=pack.tenant, provider="demo")
    second = orders.begin_payment(order, instance_id=other.pk, return_url="", notify_url="")
    for payment in (first, second):
        demo.pay(payment)
        orders.confirm(payment.pk)
    refund_of(second, PRICE_MINOR)
    second.refresh_from_db()
    assert second.status == "refunded"
    assert states_of(order) == ("paid", "delivered", "confirmed")
    assert left_ubt(order) == [GRANT_UBT]


def test_an_order_that_could_not_be_delivered_gives_its_payment_back(pack: Product) -> None:
    [delivery] = deliveries_of(bought(pack))
    order = order_of(pack, key_id=delivery.key_id)
    payment = begin(order)
    demo.pay(payment)
    Wallet.objects.update(status=Wallet.FROZEN)
    orders.confirm(payment.pk)
    assert states_of(order) == ("paid", "review", "confirmed")
    give_back(order, PRICE_MINOR)
    assert states_of(order) == ("refunded", "none", "refunded")
    with pytest.raises(StateInvalid):
        orders.deliver(order)


def test_books_stay_right_through_refunds(sqlite_database: Database) -> None:
    shop = open_shop()
    with tenant_scope(shop.pk):
        order = bought(new_product(shop), quantity=2)
        spend(order, 6_000_000)
        for part_minor in (333, 1, 666):
            give_back(order, part_minor)
    with all_tenants():
        assert reconcile().is_clean
