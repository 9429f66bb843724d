"""Who is refused, and why: balances, caps, budgets, the shop's own balance, ends and blocks."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing.ledger import direct
from billing.ledger.ops import Batch, Grant, Growth, HoldOp, Window
from billing.models import ApiKey, BudgetWindow, Tenant, Wallet
from tests.billing.ledger.making import (
    Buyer,
    balance,
    hold_op,
    key_of,
    new_buyer,
    new_tenant,
    new_wallet,
    progress_op,
    settle_op,
    wholesale_hold,
)
from tests.databases import Database

MIDNIGHT = int(datetime(2026, 5, 1, 16, tzinfo=UTC).timestamp())


def grant(op: HoldOp) -> Grant:
    return direct.hold(op).grant


def change(buyer: Buyer, **fields: object) -> None:
    Wallet.objects.filter(pk=buyer.wallet_id).update(**fields)


def change_key(buyer: Buyer, **fields: object) -> None:
    ApiKey.objects.filter(pk=buyer.key_id).update(**fields)


def budget(limit_ubt: int, starts_at: int = MIDNIGHT) -> Window:
    return Window("day", starts_at, limit_ubt)


def test_a_hold_that_would_fit_if_nothing_were_running_is_told_so(anna: Buyer) -> None:
    direct.hold(hold_op(anna, 600))
    assert grant(hold_op(anna, 600)) is Grant.HELD_BY_OTHERS
    assert grant(hold_op(anna, 1_001)) is Grant.INSUFFICIENT


def test_r3_output_is_held_as_far_as_the_balance_goes(anna: Buyer) -> None:
    answer = direct.hold(hold_op(anna, 100, 5_000, least_output_ubt=10))
    assert (answer.grant, answer.amount_ubt, answer.available_ubt) == (Grant.GRANTED, 1_000, 0)


def test_r3_a_hold_needs_its_input_and_the_least_output(anna: Buyer) -> None:
    assert grant(hold_op(anna, 990, 100, least_output_ubt=11)) is Grant.INSUFFICIENT
    assert grant(hold_op(anna, 990, 100, least_output_ubt=10)) is Grant.GRANTED


def test_r3_without_a_limit_the_output_gets_a_quarter_of_what_there_is(anna: Buyer) -> None:
    answer = direct.hold(hold_op(anna, 100, 5_000, least_output_ubt=10, shares=True))
    assert answer.amount_ubt == 100 + 250


def test_r3_a_quarter_is_never_less_than_the_least_output(anna: Buyer) -> None:
    answer = direct.hold(hold_op(anna, 100, 5_000, least_output_ubt=400, shares=True))
    assert answer.amount_ubt == 100 + 400


def test_r3_ten_unlimited_calls_fit_in_a_small_balance_at_once(anna: Buyer) -> None:
    ops = [hold_op(anna, 5, 4_096, least_output_ubt=16, shares=True) for _ in range(10)]
    answers = direct.run(Batch(holds=ops)).holds
    assert {answer.grant for answer in answers} == {Grant.GRANTED}


def test_a_frozen_wallet_is_blocked(anna: Buyer) -> None:
    change(anna, status=Wallet.FROZEN)
    assert grant(hold_op(anna)) is Grant.WALLET_BLOCKED


def test_a_wallet_with_a_debt_is_blocked(anna: Buyer) -> None:
    change(anna, debt_ubt=1)
    assert grant(hold_op(anna)) is Grant.WALLET_BLOCKED


def test_a_blocked_wallet_lets_a_running_request_end_but_not_grow(anna: Buyer) -> None:
    op = hold_op(anna)
    direct.hold(op)
    change(anna, status=Wallet.FROZEN)
    answer = direct.progress(progress_op(anna, op.id, 20, wanted_ubt=200))
    assert answer.growth is Growth.EXHAUSTED
    assert direct.settle(settle_op(anna, op.id, 90)) == 90


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(days=1)])
def test_r13_an_expired_wallet_is_refused(anna: Buyer, ago: timedelta) -> None:
    change(anna, expires_at=timezone.now() - ago)
    assert grant(hold_op(anna)) is Grant.WALLET_EXPIRED


def test_r13_a_wallet_that_has_not_expired_is_not_refused(anna: Buyer) -> None:
    change(anna, expires_at=timezone.now() + timedelta(seconds=20))
    assert grant(hold_op(anna)) is Grant.GRANTED


def test_r13_an_expired_key_is_refused_but_a_running_request_may_grow(anna: Buyer) -> None:
    op = hold_op(anna)
    direct.hold(op)
    change_key(anna, expires_at=timezone.now())
    assert grant(hold_op(anna)) is Grant.KEY_EXPIRED
    growth = direct.progress(progress_op(anna, op.id, 20, wanted_ubt=200)).growth
    assert growth is Growth.RECORDED


def test_a_disabled_or_revoked_key_is_refused(anna: Buyer) -> None:
    change_key(anna, status=ApiKey.DISABLED)
    assert grant(hold_op(anna)) is Grant.KEY_DISABLED
    change_key(anna, status=ApiKey.ACTIVE, revoked_at=timezone.now())
    assert grant(hold_op(anna)) is Grant.KEY_DISABLED


def test_a_key_that_is_to_be_revoked_later_works_until_then(anna: Buyer) -> None:
    change_key(anna, revoked_at=timezone.now() + timedelta(minutes=5))
    assert grant(hold_op(anna)) is Grant.GRANTED


def test_a_key_can_not_hold_on_a_wallet_that_is_not_its_own(anna: Buyer) -> None:
    bert = new_buyer(1_000, Tenant.objects.get(pk=anna.tenant_id))
    stolen = hold_op(Buyer(anna.tenant_id, bert.wallet_id, anna.key_id))
    assert grant(stolen) is Grant.KEY_DISABLED
    assert balance(bert) == (1_000, 0, 0)


def test_a_hold_never_touches_a_wallet_of_another_tenant(anna: Buyer) -> None:
    bert = new_buyer(1_000)
    stolen = hold_op(Buyer(anna.tenant_id, bert.wallet_id, bert.key_id))
    assert grant(stolen) is Grant.WALLET_BLOCKED
    assert balance(bert) == (1_000, 0, 0)


def test_a_settle_never_touches_a_wallet_of_another_tenant(anna: Buyer) -> None:
    bert = new_buyer(1_000)
    op = hold_op(anna)
    direct.hold(op)
    stolen = settle_op(Buyer(anna.tenant_id, bert.wallet_id, anna.key_id), op.id, 50)
    answers = direct.run(Batch(settles=[stolen]))
    assert "TenantMismatch" in answers.failures[op.id]
    assert balance(bert) == (1_000, 0, 0)
    assert balance(anna) == (1_000, 0, 100)


def test_a_tombstone_can_not_be_put_into_another_tenants_books(anna: Buyer) -> None:
    bert = new_buyer(1_000)
    op = settle_op(Buyer(anna.tenant_id, bert.wallet_id, bert.key_id), hold_op(anna).id, 50)
    assert op.id in direct.run(Batch(settles=[op])).failures


# Caps


def test_a_key_with_a_cap_can_not_hold_more(migrated_database: Database) -> None:
    anna = new_buyer(1_000, limit_ubt=300)
    assert grant(hold_op(anna, 301)) is Grant.CAP
    assert grant(hold_op(anna, 300)) is Grant.GRANTED
    assert grant(hold_op(anna, 1)) is Grant.HELD_BY_OTHERS


def test_a_key_with_a_cap_keeps_its_sums(migrated_database: Database) -> None:
    anna = new_buyer(1_000, limit_ubt=300)
    op = hold_op(anna, 200)
    direct.hold(op)
    assert (key_of(anna).spent_ubt, key_of(anna).pending_ubt) == (0, 200)
    direct.settle(settle_op(anna, op.id, 150))
    assert (key_of(anna).spent_ubt, key_of(anna).pending_ubt) == (150, 0)
    assert grant(hold_op(anna, 151)) is Grant.CAP


def test_r4_a_charge_stays_within_the_cap(migrated_database: Database) -> None:
    anna = new_buyer(1_000, limit_ubt=300)
    op = hold_op(anna, 200)
    direct.hold(op)
    assert direct.settle(settle_op(anna, op.id, 900)) == 300


def test_growth_stays_within_the_cap(migrated_database: Database) -> None:
    anna = new_buyer(1_000, limit_ubt=300)
    op = hold_op(anna, 200)
    direct.hold(op)
    assert direct.progress(progress_op(anna, op.id, 90, wanted_ubt=900)).amount_ubt == 300


def test_a_cap_that_is_set_while_a_request_runs_does_no_harm(anna: Buyer) -> None:
    op = hold_op(anna, 200)
    direct.hold(op)
    change_key(anna, limit_ubt=100)
    assert direct.settle(settle_op(anna, op.id, 150)) == 100
    assert (key_of(anna).spent_ubt, key_of(anna).pending_ubt) == (100, 0)


# Budgets


def test_a_budget_window_is_made_by_its_first_hold(anna: Buyer) -> None:
    direct.hold(hold_op(anna, 100, window=budget(300)))
    window = BudgetWindow.objects.get()
    assert (window.key_id, window.period, window.limit_ubt) == (anna.key_id, "day", 300)
    assert int(window.starts_at.timestamp()) == MIDNIGHT
    assert (window.spent_ubt, window.pending_ubt) == (0, 100)


def test_a_budget_can_not_be_overspent(anna: Buyer) -> None:
    op = hold_op(anna, 200, window=budget(300))
    direct.hold(op)
    assert grant(hold_op(anna, 101, window=budget(300))) is Grant.HELD_BY_OTHERS
    assert grant(hold_op(anna, 301, window=budget(300))) is Grant.BUDGET
    assert direct.settle(settle_op(anna, op.id, 900)) == 300
    assert grant(hold_op(anna, 1, window=budget(300))) is Grant.BUDGET


def test_the_next_window_starts_afresh(anna: Buyer) -> None:
    direct.hold(hold_op(anna, 300, window=budget(300)))
    tomorrow = MIDNIGHT + 86_400
    assert grant(hold_op(anna, 300, window=budget(300, tomorrow))) is Grant.GRANTED


def test_a_request_belongs_to_the_window_of_its_hold(anna: Buyer) -> None:
    today, tomorrow = hold_op(anna, 200, window=budget(300)), MIDNIGHT + 86_400
    direct.hold(today)
    direct.hold(hold_op(anna, 10, window=budget(300, tomorrow)))
    direct.settle(settle_op(anna, today.id, 150))
    spent = BudgetWindow.objects.order_by("starts_at").values_list("spent_ubt", "pending_ubt")
    assert list(spent) == [(150, 0), (0, 10)]


def test_a_budget_that_is_raised_counts_at_once(anna: Buyer) -> None:
    direct.hold(hold_op(anna, 300, window=budget(300)))
    assert grant(hold_op(anna, 100, window=budget(400))) is Grant.GRANTED
    assert BudgetWindow.objects.get().limit_ubt == 400


def test_a_budget_that_is_lowered_below_what_is_used_refuses_the_next(anna: Buyer) -> None:
    op = hold_op(anna, 300, window=budget(300))
    direct.hold(op)
    assert grant(hold_op(anna, 1, window=budget(100))) is Grant.HELD_BY_OTHERS
    assert direct.settle(settle_op(anna, op.id, 250)) == 250


# The shop's own balance


@pytest.fixture
def shop(migrated_database: Database) -> tuple[Buyer, Wallet]:
    """A buyer with 1,000 in a shop that has 500 at the platform."""
    tenant = new_tenant()
    return new_buyer(1_000, tenant), new_wallet(tenant, 500)


def test_wholesale_is_held_and_charged_beside_retail(shop: tuple[Buyer, Wallet]) -> None:
    anna, wallet = shop
    op = wholesale_hold(anna, wallet, 80)
    direct.hold(op)
    wallet.refresh_from_db()
    assert (balance(anna), wallet.pending_ubt) == ((1_000, 0, 100), 80)
    direct.settle(settle_op(anna, op.id, 60, wholesale_wallet_id=wallet.pk, wholesale_ubt=50))
    wallet.refresh_from_db()
    assert (balance(anna), wallet.pending_ubt, wallet.debits_ubt) == ((1_000, 60, 0), 0, 50)


def test_a_shop_that_can_not_pay_the_platform_is_told_so(shop: tuple[Buyer, Wallet]) -> None:
    anna, wallet = shop
    assert grant(wholesale_hold(anna, wallet, 501)) is Grant.WHOLESALE
    assert balance(anna) == (1_000, 0, 0)


def test_as_much_is_held_at_wholesale_as_of_the_retail_amount(shop: tuple[Buyer, Wallet]) -> None:
    anna, wallet = shop
    op = wholesale_hold(anna, wallet, 800, input_ubt=0, output_ubt=2_000, least_output_ubt=1)
    assert direct.hold(op).amount_ubt == 1_000
    wallet.refresh_from_db()
    assert wallet.pending_ubt == 400


def test_growth_reserves_at_wholesale_too(shop: tuple[Buyer, Wallet]) -> None:
    anna, wallet = shop
    op = wholesale_hold(anna, wallet, 50)
    direct.hold(op)
    growth = progress_op(anna, op.id, 90, wanted_ubt=300, wholesale_wallet_id=wallet.pk)
    assert direct.progress(growth).amount_ubt == 300
    wallet.refresh_from_db()
    assert wallet.pending_ubt == 150


def test_growth_ends_where_the_shop_can_not_follow(shop: tuple[Buyer, Wallet]) -> None:
    anna, wallet = shop
    op = wholesale_hold(anna, wallet, 100)
    direct.hold(op)
    growth = progress_op(anna, op.id, 90, wanted_ubt=900, wholesale_wallet_id=wallet.pk)
    assert direct.progress(growth).amount_ubt == 500
    assert direct.progress(growth).growth is Growth.EXHAUSTED


def test_a_settle_must_name_the_wholesale_wallet_of_its_hold(shop: tuple[Buyer, Wallet]) -> None:
    anna, wallet = shop
    op = wholesale_hold(anna, wallet, 80)
    direct.hold(op)
    assert op.id in direct.run(Batch(settles=[settle_op(anna, op.id, 60)])).failures
