"""A buyer's bank wants a payment back: frozen and taken at once, undone if the shop wins."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing import orders, payments
from billing.errors import StateInvalid
from billing.ledger.reconcile import reconcile
from billing.models import (
    ChangeCounter,
    DemoCharge,
    Dispute,
    Mail,
    Order,
    Payment,
    Product,
    Receipt,
    Tenant,
    Wallet,
)
from billing.payments import ProviderState, demo
from billing.payments.base import DisputeState, Outcome
from billing.payments.demo import DemoProvider
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
    payment_of,
    spend,
    states_of,
)
from tests.databases import Database

OPEN, WON, LOST = Outcome.OPEN, Outcome.WON, Outcome.LOST


class Court(Bank):
    """A provider that tells of whatever disputes a test has put down."""

    def __init__(self) -> None:
        super().__init__()
        self.cases: dict[int, list[DisputeState]] = {}
        self.foreign_minor = 0

    def fetch(self, payment: Payment) -> ProviderState:
        """Add the disputes, and what went back beside them."""
        state = DemoProvider.fetch(self, payment)
        cases = tuple(self.cases.get(payment.pk, ()))
        gone_minor = state.refunded_minor + self.foreign_minor
        return replace(state, disputes=cases, refunded_minor=gone_minor)

    def say(
        self,
        payment: Payment,
        outcome: Outcome,
        *,
        amount_minor: int = PRICE_MINOR,
        name: str = "dp_1",
    ) -> Payment:
        """Let a case stand so, and have it booked; twice, as its news come twice."""
        known = [case for case in self.cases.get(payment.pk, []) if case.reference != name]
        case = DisputeState(name, outcome, amount_minor, "fraudulent")
        self.cases[payment.pk] = [*known, case]
        orders.confirm(payment.pk)
        return orders.confirm(payment.pk)


@pytest.fixture
def court(monkeypatch: pytest.MonkeyPatch) -> Court:
    """The provider, where the demo one was."""
    provider = Court()
    monkeypatch.setitem(payments.REGISTRY, "demo", provider)
    return provider


def wallet_of(order: Order) -> Wallet:
    return deliveries_of(order)[0].wallet


def test_an_open_dispute_freezes_and_takes_back(pack: Product, court: Court) -> None:
    order = bought(pack, quantity=2)
    payment = court.say(payment_of(order), OPEN, amount_minor=2 * PRICE_MINOR)
    assert payment.status == "disputed"
    assert states_of(order) == ("paid", "delivered", "disputed")
    assert left_ubt(order) == [0, 0]
    wallets = [delivery.wallet for delivery in deliveries_of(order)]
    assert {wallet.status for wallet in wallets} == {"frozen"}
    dispute = payment.disputes.get()
    assert dispute.frozen_wallets == [wallet.pk for wallet in wallets]
    assert (dispute.status, dispute.reason) == ("open", "fraudulent")


def test_the_shop_is_warned_of_a_dispute_once(pack: Product, court: Court) -> None:
    Tenant.objects.filter(pk=pack.tenant_id).update(contact_email="shop@example.com")
    payment = court.say(payment_of(bought(pack)), OPEN)
    mail = Mail.objects.get(kind="dispute")
    assert (mail.recipient, mail.subject_id) == ("shop@example.com", payment.disputes.get().pk)


def test_relays_hear_of_a_frozen_wallet(pack: Product, court: Court) -> None:
    payment = payment_of(bought(pack))
    before = ChangeCounter.objects.get(topic="keys").version
    court.say(payment, OPEN)
    assert ChangeCounter.objects.get(topic="keys").version > before


def test_what_a_dispute_can_not_take_is_owed(pack: Product, court: Court) -> None:
    order = bought(pack)
    spend(order, 5_000_000)
    court.say(payment_of(order), OPEN)
    assert (wallet_of(order).available_ubt, wallet_of(order).debt_ubt) == (0, 5_000_000)


def test_a_dispute_that_is_won_is_undone(pack: Product, court: Court) -> None:
    order = bought(pack)
    spend(order, 1_000_000)
    court.say(payment_of(order), OPEN)
    payment = court.say(payment_of(order), WON)
    assert (payment.status, payment.disputes.get().status) == ("confirmed", "won")
    assert (wallet_of(order).status, wallet_of(order).debt_ubt) == ("active", 0)
    assert left_ubt(order) == [GRANT_UBT - 1_000_000]
    assert Receipt.objects.count() == 1


def test_a_dispute_that_is_lost_is_a_refund_of_the_order(pack: Product, court: Court) -> None:
    order = bought(pack)
    court.say(payment_of(order), OPEN)
    payment = court.say(payment_of(order), LOST)
    assert states_of(order) == ("refunded", "delivered", "refunded")
    assert (left_ubt(order), wallet_of(order).status) == ([0], "frozen")
    assert Receipt.objects.get(dispute=payment.disputes.get()).amount_minor == PRICE_MINOR


def test_a_dispute_that_was_won_before_anybody_heard_of_it_changes_nothing(
    pack: Product, court: Court
) -> None:
    order = bought(pack)
    assert court.say(payment_of(order), WON).status == "confirmed"
    court.say(payment_of(order), OPEN)
    assert (left_ubt(order), wallet_of(order).status) == ([GRANT_UBT], "active")
    assert payment_of(order).disputes.get().status == "won"


def test_a_dispute_that_was_lost_before_anybody_heard_of_it_is_booked_whole(
    pack: Product, court: Court
) -> None:
    order = bought(pack)
    assert court.say(payment_of(order), LOST).status == "refunded"
    assert (left_ubt(order), wallet_of(order).status) == ([0], "frozen")
    assert Receipt.objects.filter(cancels__isnull=False).count() == 1


def test_a_second_dispute_after_the_first_was_won_is_another_case(
    pack: Product, court: Court
) -> None:
    order = bought(pack)
    for outcome in (OPEN, WON):
        court.say(payment_of(order), outcome)
    payment = court.say(payment_of(order), OPEN, name="dp_2")
    assert (payment.status, left_ubt(order)) == ("disputed", [0])
    assert court.say(payment, WON, name="dp_2").status == "confirmed"
    assert (left_ubt(order), wallet_of(order).status) == ([GRANT_UBT], "active")


def test_a_dispute_after_a_part_was_refunded_takes_the_rest(pack: Product, court: Court) -> None:
    order = bought(pack)
    give_back(order, 100)
    court.say(payment_of(order), OPEN, amount_minor=PRICE_MINOR)
    assert left_ubt(order) == [0]
    payment = court.say(payment_of(order), WON)
    assert (payment.status, left_ubt(order)) == ("partly_refunded", [GRANT_UBT * 4 // 5])


def test_a_lost_dispute_after_a_refund_cancels_only_what_is_left_of_the_receipt(
    pack: Product, court: Court
) -> None:
    order = bought(pack)
    give_back(order, 100)
    payment = court.say(payment_of(order), LOST)
    assert payment.status == "refunded"
    assert Receipt.objects.get(dispute__payment=payment).amount_minor == PRICE_MINOR - 100


def test_a_dispute_about_a_part_that_is_lost_is_a_part_refunded(
    pack: Product, court: Court
) -> None:
    order = bought(pack)
    assert court.say(payment_of(order), LOST, amount_minor=200).status == "partly_refunded"
    assert orders.quote(payment_of(order)).left_minor == PRICE_MINOR - 200
    assert left_ubt(order) == [GRANT_UBT * 3 // 5]


def test_nothing_is_refunded_while_the_bank_decides(pack: Product, court: Court) -> None:
    order = bought(pack)
    court.say(payment_of(order), OPEN)
    with pytest.raises(StateInvalid):
        give_back(order, 1)


def test_a_dispute_about_what_was_refunded_whole_is_noted_and_freezes_nothing(
    pack: Product, court: Court
) -> None:
    order = bought(pack)
    give_back(order, PRICE_MINOR)
    for outcome in (OPEN, LOST):
        assert court.say(payment_of(order), outcome).status == "refunded"
    assert payment_of(order).disputes.get().status == "lost"
    assert (wallet_of(order).status, wallet_of(order).debt_ubt) == ("active", 0)


def test_a_refund_that_fails_while_the_bank_decides_leaves_the_tokens_taken(
    pack: Product, court: Court
) -> None:
    order, court.mood = bought(pack), "slow"
    give_back(order, 100)
    court.say(payment_of(order), OPEN, amount_minor=PRICE_MINOR)
    court.mood = "refuses"
    orders.confirm(payment_of(order).pk)
    assert (left_ubt(order), states_of(order)[2]) == ([0], "disputed")
    court.say(payment_of(order), WON)
    assert (left_ubt(order), states_of(order)[2]) == ([GRANT_UBT], "confirmed")


def test_what_goes_back_while_the_bank_decides_stays_taken_when_the_shop_wins(
    pack: Product, court: Court
) -> None:
    order = bought(pack)
    court.say(payment_of(order), OPEN)
    court.foreign_minor = 100
    payment = court.say(payment_of(order), WON)
    assert (payment.status, left_ubt(order)) == ("partly_refunded", [GRANT_UBT * 4 // 5])


def test_a_wallet_that_two_disputes_froze_waits_for_both(pack: Product, court: Court) -> None:
    order = bought(pack)
    top_up = bought(pack, key_id=deliveries_of(order)[0].key_id)
    for each in (order, top_up):
        court.say(payment_of(each), OPEN)
    court.say(payment_of(order), WON)
    assert wallet_of(order).status == "frozen"
    court.say(payment_of(top_up), WON)
    assert wallet_of(order).status == "active"


def test_a_wallet_that_a_person_froze_stays_frozen(pack: Product, court: Court) -> None:
    order = bought(pack)
    Wallet.objects.update(status=Wallet.FROZEN)
    for outcome in (OPEN, WON):
        court.say(payment_of(order), outcome)
    assert wallet_of(order).status == "frozen"


def test_wallets_are_locked_by_their_ids_when_a_dispute_ends(
    postgres_database: Database, court: Court
) -> None:
    shop = open_shop()
    with tenant_scope(shop.pk):
        order = bought(new_product(shop), quantity=2)
        wallets = [delivery.wallet_id for delivery in deliveries_of(order)]
        Wallet.objects.filter(pk=wallets[0]).update(status=Wallet.FROZEN)
        court.say(payment_of(order), OPEN)
        with CaptureQueriesContext(connection) as queries:
            court.say(payment_of(order), WON)
    asked = [each["sql"] for each in queries if 'FROM "wallet"' in each["sql"]]
    locks = [sql for sql in asked if sql.endswith("FOR UPDATE")]
    assert f"({wallets[0]}, {wallets[1]})" in locks[0]


def test_what_a_bank_wants_back_is_not_delivered_any_more(pack: Product, court: Court) -> None:
    payment = begin(order := order_of(pack))
    demo.pay(payment)
    DemoCharge.objects.update(amount_minor=2 * PRICE_MINOR)
    assert court.say(payment, OPEN).status == "review"
    court.foreign_minor = PRICE_MINOR
    assert orders.confirm(payment.pk).status == "review"
    assert court.say(payment, LOST).status == "refunded"
    assert deliveries_of(order) == []


def test_an_answer_about_another_payment_books_no_dispute(
    pack: Product, court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = payment_of(bought(pack))
    case = DisputeState("dp_1", OPEN, PRICE_MINOR)
    for lie in ({"payment": uuid4()}, {"currency": "JPY"}):
        monkeypatch.setattr(court, "fetch", lying(court, disputes=(case,), **lie))
        assert orders.confirm(payment.pk).status == "confirmed"
    assert not Dispute.objects.exists()


def lying(court: Court, **lie: Any) -> Callable[[Payment], ProviderState]:
    return lambda payment: replace(DemoProvider.fetch(court, payment), **lie)


@pytest.fixture
def open_tenant(sqlite_database: Database) -> Iterator[Tenant]:
    shop = open_shop()
    with tenant_scope(shop.pk):
        yield shop


def test_books_stay_right_through_disputes(open_tenant: Tenant, court: Court) -> None:
    order = bought(new_product(open_tenant), quantity=2)
    spend(order, 6_000_000)
    give_back(order, 333)
    for outcome in (OPEN, WON):
        court.say(payment_of(order), outcome, amount_minor=667)
    court.say(payment_of(order), LOST, name="dp_2", amount_minor=667)
    with all_tenants():
        assert reconcile().is_clean
