"""What providers answer to a refund, or don't, and what they did by themselves."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection

from billing import orders
from billing.errors import StateInvalid
from billing.ledger.clock import database_now
from billing.models import (
    DemoCharge,
    Mail,
    Order,
    Payment,
    Product,
    Receipt,
    Refund,
    Tenant,
    Wallet,
)
from billing.payments import REGISTRY, demo
from billing.payments.base import RefundState
from billing.payments.free import FreeProvider
from billing.scoping import all_tenants, tenant_scope
from tests.billing.orders.bank import Bank
from tests.billing.orders.making import (
    GRANT_UBT,
    PRICE_MINOR,
    begin,
    bought,
    deliveries_of,
    give_back,
    left_ubt,
    new_product,
    open_shop,
    order_of,
    paid,
    payment_of,
    states_of,
)
from tests.databases import Database

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def poll(after: timedelta = timedelta()) -> int:
    with all_tenants():
        return orders.poll_refunds(database_now() + after)


def status_of(refund: Refund) -> str:
    refund.refresh_from_db()
    return refund.status


def test_a_refund_that_is_refused_takes_nothing(pack: Product, bank: Bank) -> None:
    order, bank.mood = bought(pack), "refuses"
    refund = give_back(order, 100)
    assert (refund.status, refund.failure) == ("failed", "The account is empty.")
    assert states_of(order) == ("paid", "delivered", "confirmed")
    assert left_ubt(order) == [GRANT_UBT]
    assert not Mail.objects.filter(kind="refund").exists()
    bank.mood = "prompt"
    assert give_back(order, PRICE_MINOR).status == "done"
    assert left_ubt(order) == [0]


def test_a_slow_refund_has_taken_the_tokens_already(pack: Product, bank: Bank) -> None:
    order, bank.mood = bought(pack), "slow"
    refund = give_back(order, 100)
    assert (refund.status, refund.reference) == ("pending", f"re_{refund.pk}")
    assert states_of(order) == ("paid", "delivered", "confirmed")
    assert left_ubt(order) == [GRANT_UBT * 4 // 5]
    bank.mood = "prompt"
    assert (poll(), poll(3 * MINUTE), poll(3 * MINUTE)) == (0, 1, 0)
    assert status_of(refund) == "done"
    assert states_of(order)[0] == "partly_refunded"


def test_a_question_without_an_answer_is_asked_again_less_and_less_often(
    pack: Product, bank: Bank
) -> None:
    order, bank.mood = bought(pack), "mumbles"
    refund = give_back(order, 100)
    ages = [1, 3, 4, 9, 10, 41, 60, 60 * 3, 60 * 12]
    assert [poll(age * MINUTE) for age in ages] == [0, 1, 0, 1, 0, 1, 0, 1, 1]
    assert (status_of(refund), bank.given[refund.public_id]) == ("pending", 1)
    bank.mood = "prompt"
    poll(DAY)
    assert (status_of(refund), bank.given[refund.public_id]) == ("done", 1)


def test_after_three_days_without_an_answer_a_person_has_to_look(pack: Product, bank: Bank) -> None:
    order, bank.mood = bought(pack), "silent"
    refund = give_back(order, 100)
    poll(3 * DAY)
    assert status_of(refund) == "review"
    assert left_ubt(order) == [GRANT_UBT * 4 // 5]


def test_where_asking_twice_gives_back_twice_nobody_asks_twice(pack: Product, bank: Bank) -> None:
    order, bank.repeats_refunds, bank.mood = bought(pack), False, "mumbles"
    refund = give_back(order, 100)
    assert (refund.status, refund.failure) == ("review", "The answer was lost.")
    assert poll(DAY) == 0
    orders.confirm(payment_of(order).pk)
    assert status_of(refund) == "done"
    assert (len(bank.asked), bank.given[refund.public_id]) == (1, 1)


@pytest.mark.parametrize("is_done", [True, False])
def test_a_person_decides_about_a_refund_in_review(
    pack: Product, bank: Bank, is_done: bool
) -> None:
    order, bank.repeats_refunds, bank.mood = bought(pack), False, "silent"
    refund = give_back(order, PRICE_MINOR)
    decided = orders.settle(refund.pk, is_done=is_done, actor="anna")
    assert decided == orders.settle(refund.pk, is_done=is_done, actor="bert")
    assert decided.status == ("done" if is_done else "failed")
    assert states_of(order)[0] == ("refunded" if is_done else "paid")
    assert left_ubt(order) == [0 if is_done else GRANT_UBT]
    with pytest.raises(StateInvalid):
        orders.settle(refund.pk, is_done=not is_done, actor="anna")


def test_nobody_decides_about_a_refund_that_is_under_way(pack: Product, bank: Bank) -> None:
    order, bank.mood = bought(pack), "slow"
    with pytest.raises(StateInvalid):
        orders.settle(give_back(order, 100).pk, is_done=True, actor="anna")


def test_a_provider_that_gives_nothing_back_leaves_it_to_who_asked(
    pack: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = bought(pack)
    monkeypatch.setitem(REGISTRY, "demo", FreeProvider())
    assert give_back(order, PRICE_MINOR).status == "done"
    assert states_of(order)[0] == "refunded"


def left_behind(order: Order, bank: Bank, **sent: object) -> Refund:
    """Leave a refund as somebody does who dies after its beginning: nobody has heard of it."""
    mood, bank.mood = bank.mood, "silent"
    refund = give_back(order, 100)
    Refund.objects.filter(pk=refund.pk).update(
        **{"status": "pending", "sent_at": None, "checked_at": None, **sent}
    )
    bank.mood = mood
    bank.asked.clear()
    return refund


@pytest.mark.parametrize("repeats", [True, False])
def test_a_refund_whose_process_died_before_it_asked_is_asked_for(
    pack: Product, bank: Bank, repeats: bool
) -> None:
    bank.repeats_refunds = repeats
    refund = left_behind(bought(pack), bank)
    assert (poll(), poll(2 * MINUTE)) == (0, 1)
    assert (status_of(refund), bank.given[refund.public_id]) == ("done", 1)


@pytest.mark.parametrize(("repeats", "status"), [(True, "done"), (False, "review")])
def test_a_refund_whose_process_died_while_it_asked_is_never_given_twice(
    pack: Product, bank: Bank, repeats: bool, status: str
) -> None:
    bank.repeats_refunds, now = repeats, database_now()
    refund = left_behind(bought(pack), bank, sent_at=now, checked_at=now)
    bank.refund(Refund.objects.get(pk=refund.pk))
    assert poll(3 * MINUTE) == 1
    assert (status_of(refund), bank.given[refund.public_id]) == (status, 1)


def test_the_same_form_again_asks_for_what_was_only_begun(pack: Product, bank: Bank) -> None:
    order = bought(pack)
    refund = left_behind(order, bank)
    assert give_back(order, 100, refund_id=refund.public_id).status == "done"
    assert bank.asked == [refund.public_id]


class Broken(Bank):
    """A provider whose answer nobody expects."""

    def refund(self, refund: Refund) -> RefundState:
        raise ZeroDivisionError


def test_one_broken_refund_does_not_hold_up_the_others(
    pack: Product, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    refunds = [left_behind(bought(pack), bank) for _ in range(2)]
    Payment.objects.filter(pk=refunds[0].payment_id).update(provider="broken")
    monkeypatch.setitem(REGISTRY, "broken", Broken())
    assert poll(2 * MINUTE) == 2
    assert sorted(status_of(refund) for refund in refunds) == ["done", "pending"]


def test_what_was_given_back_on_the_providers_pages_is_booked_once(pack: Product) -> None:
    order = bought(pack)
    payment = payment_of(order)
    demo.give_back(payment, amount_minor=200)
    for _ in range(2):
        assert orders.confirm(payment.pk).status == "partly_refunded"
    refund = payment.refunds.get()
    assert (refund.origin, refund.status, refund.amount_minor) == ("provider", "done", 200)
    assert left_ubt(order) == [GRANT_UBT * 3 // 5]
    assert Receipt.objects.get(refund=refund).amount_minor == 200


def test_our_refunds_and_theirs_are_told_apart(pack: Product) -> None:
    order = bought(pack)
    payment = payment_of(order)
    give_back(order, 100)
    demo.give_back(payment, amount_minor=150)
    orders.confirm(payment.pk)
    give_back(order, 50)
    orders.confirm(payment.pk)
    found = payment.refunds.order_by("pk").values_list("origin", "amount_minor")
    assert list(found) == [("shop", 100), ("provider", 150), ("shop", 50)]


def test_a_refund_that_is_just_being_asked_for_is_not_taken_for_theirs(
    pack: Product, bank: Bank
) -> None:
    order = bought(pack)
    payment = payment_of(order)

    def look_meanwhile() -> None:
        demo.give_back(payment, amount_minor=70)
        orders.confirm(payment.pk)

    bank.before_answering = look_meanwhile
    give_back(order, 100)
    bank.before_answering = lambda: None
    orders.confirm(payment.pk)
    assert sorted(payment.refunds.values_list("amount_minor", flat=True)) == [70, 100]
    assert payment_of(order).demo_charge.refunded_minor == 170


def test_a_refund_that_began_after_we_asked_is_not_what_has_gone(pack: Product, bank: Bank) -> None:
    order, bank.mood = bought(pack), "silent"
    demo.give_back(payment_of(order), amount_minor=100)
    bank.after_looking = lambda: give_back(order, 100)
    orders.confirm(payment_of(order).pk)
    assert payment_of(order).refunds.get().status == "pending"


def test_a_refund_that_has_a_name_is_done_when_its_name_is(pack: Product, bank: Bank) -> None:
    order, bank.mood = bought(pack), "slow"
    refund = give_back(order, 100)
    demo.give_back(payment_of(order), amount_minor=100)
    orders.confirm(payment_of(order).pk)
    assert status_of(refund) == "pending"
    bank.mood = "prompt"
    for _ in range(2):
        orders.confirm(payment_of(order).pk)
    assert payment_of(order).refunds.filter(status="done").count() == 2


def test_what_is_about_to_go_back_is_not_delivered_any_more(pack: Product, bank: Bank) -> None:
    order = order_of(pack, key_id=deliveries_of(bought(pack))[0].key_id)
    Wallet.objects.update(status=Wallet.FROZEN)
    paid(order)
    Wallet.objects.update(status=Wallet.ACTIVE)
    bank.mood = "slow"
    give_back(order, PRICE_MINOR)
    assert states_of(order) == ("paid", "review", "confirmed")
    with pytest.raises(StateInvalid):
        orders.deliver(order)


def test_the_form_of_a_refund_that_is_under_way_asks_nobody(pack: Product, bank: Bank) -> None:
    order, bank.mood = bought(pack), "slow"
    refund = give_back(order, 100)
    assert give_back(order, 100, refund_id=refund.public_id) == refund
    assert bank.asked == [refund.public_id]


def test_who_decides_while_the_answer_is_on_its_way_is_put_right_by_the_provider(
    pack: Product, bank: Bank
) -> None:
    order = bought(pack)

    def decide() -> None:
        Refund.objects.update(status=Refund.REVIEW)
        orders.settle(Refund.objects.get().pk, is_done=False, actor="anna")

    bank.before_answering = decide
    assert give_back(order, 100).status == "failed"
    assert left_ubt(order) == [GRANT_UBT]
    orders.confirm(payment_of(order).pk)
    assert left_ubt(order) == [GRANT_UBT * 4 // 5]


def test_what_went_back_before_it_was_booked_as_paid_is_no_refund_of_the_order(
    pack: Product,
) -> None:
    order = order_of(pack)
    payment = begin(order)
    demo.pay(payment)
    DemoCharge.objects.update(amount_minor=700, refunded_minor=200)
    for _ in range(2):
        assert orders.confirm(payment.pk).status == "confirmed"
    assert payment_of(order).received_minor == PRICE_MINOR
    assert not payment.refunds.exists()


def test_a_payment_that_went_back_before_anybody_looked_is_refunded(pack: Product) -> None:
    order = order_of(pack)
    payment = begin(order)
    demo.pay(payment)
    demo.give_back(payment, amount_minor=PRICE_MINOR)
    assert orders.confirm(payment.pk).status == orders.confirm(payment.pk).status == "refunded"
    order.refresh_from_db()
    assert (order.status, order.delivery_status) == ("pending", "none")


def test_a_payment_in_review_that_goes_back_is_not_delivered_any_more(
    pack: Product, bank: Bank
) -> None:
    order, bank.mood = order_of(pack), "slow"
    payment = begin(order)
    demo.pay(payment)
    DemoCharge.objects.update(amount_minor=700)
    orders.confirm(payment.pk)
    orders.refund(payment.pk, refund_id=uuid4(), amount_minor=700, actor="anna", reason="")
    DemoCharge.objects.update(amount_minor=PRICE_MINOR)
    assert orders.confirm(payment.pk).status == "review"
    order.refresh_from_db()
    assert order.status == "pending"


@pytest.fixture
def open_tenant(sqlite_database: Database) -> Iterator[Tenant]:
    shop = open_shop()
    with tenant_scope(shop.pk):
        yield shop


def test_a_provider_is_asked_for_a_refund_outside_of_transactions(
    open_tenant: Tenant, bank: Bank
) -> None:
    seen: list[bool] = []
    bank.before_answering = lambda: seen.append(connection.in_atomic_block)
    give_back(bought(new_product(open_tenant)), 100)
    assert seen == [False]
