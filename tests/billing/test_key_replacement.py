"""Replacing a key: the same wallet and limits, nothing gained, and the old one ends."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from billing import keys, tenants
from billing.errors import FieldInvalid, StateInvalid
from billing.ledger import direct, expiry
from billing.ledger.clock import database_now
from billing.ledger.ops import Batch, Grant, HoldOp, Window
from billing.ledger.reconcile import reconcile
from billing.models import ApiKey, BudgetWindow, Notice, Tenant, Wallet
from billing.scoping import all_tenants, tenant_scope
from tests.billing.ledger.making import Buyer, hold_op, settle_op
from tests.databases import Database

CREDIT_UBT = 10_000
DAY = timedelta(days=1)


@pytest.fixture
def shop(db: None) -> Iterator[Tenant]:
    tenant = tenants.create_tenant(slug="north", name="North", hosts=["north.example"])
    with tenant_scope(tenant.pk):
        yield tenant


def issue(shop: Tenant, **policy: Any) -> ApiKey:
    key, _ = keys.issue(tenant_id=shop.pk, credit_ubt=CREDIT_UBT, name="mine", **policy)
    return key


def replace(key: ApiKey, **how: Any) -> tuple[ApiKey, ApiKey]:
    """Replace a key; return the old and the new row as they then are."""
    new, plaintext = keys.replace(key=key, actor="test", **how)
    assert keys.find(plaintext) == new
    key.refresh_from_db()
    return key, ApiKey.objects.get(pk=new.pk)


def test_the_new_key_is_on_the_same_wallet_with_the_same_limits(shop: Tenant) -> None:
    policy = {"allowed_models": ["gpt-4o"], "rpm": 3, "tpm": 4, "concurrency": 5}
    end = database_now() + DAY
    old, new = replace(issue(shop, expires_at=end, **policy))
    assert (new.wallet_id, new.name, new.prefix) == (old.wallet_id, "mine", old.prefix)
    assert {name: getattr(new, name) for name in policy} == policy
    assert (new.expires_at, new.kid != old.kid) == (end, True)


def test_the_old_key_ends_at_once(shop: Tenant) -> None:
    old, new = replace(issue(shop))
    assert (old.status, new.status) == (ApiKey.DISABLED, ApiKey.ACTIVE)
    assert old.revoked_at == old.replaced_at is not None


def test_the_balance_stays(shop: Tenant) -> None:
    replace(issue(shop))
    assert Wallet.objects.get().available_ubt == CREDIT_UBT


def test_with_an_overlap_the_old_key_works_a_little_longer(shop: Tenant) -> None:
    old, new = replace(issue(shop), overlap_s=3_600)
    assert (old.status, old.revoked_at, new.expires_at) == (ApiKey.ACTIVE, None, None)
    assert old.expires_at is not None
    assert timedelta(minutes=59) < old.expires_at - database_now() <= timedelta(hours=1)


def test_an_overlap_does_not_move_an_earlier_end(shop: Tenant) -> None:
    end = database_now() + timedelta(minutes=5)
    old, new = replace(issue(shop, expires_at=end), overlap_s=3_600)
    assert old.expires_at == new.expires_at == end


@pytest.mark.parametrize("overlap_s", [-1, 86_401])
def test_an_overlap_is_at_most_a_day(shop: Tenant, overlap_s: int) -> None:
    with pytest.raises(FieldInvalid):
        keys.replace(key=issue(shop), overlap_s=overlap_s, actor="test")


def test_a_top_up_does_not_bring_a_replaced_key_back(shop: Tenant) -> None:
    old, new = replace(issue(shop, expires_at=database_now() + DAY), overlap_s=3_600)
    before = old.expires_at
    expiry.prolong(wallet_id=old.wallet_id, days=None)
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.expires_at, new.expires_at) == (before, None)


def test_nobody_is_warned_of_the_end_of_a_replaced_key(shop: Tenant) -> None:
    key = issue(shop)
    replace(key, overlap_s=3_600)
    ApiKey.objects.update(created_at=database_now() - 9 * DAY)
    assert expiry.warn_of_expiries() == 0
    assert not Notice.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [{"revoked_at": datetime.fromisoformat("2026-01-01T00:00Z")}, {"status": ApiKey.DISABLED}],
)
def test_a_key_that_does_not_work_can_not_be_replaced(
    shop: Tenant, changes: dict[str, Any]
) -> None:
    key = issue(shop)
    ApiKey.objects.update(**changes)
    with pytest.raises(StateInvalid):
        keys.replace(key=key, actor="test")


def test_a_key_of_a_frozen_wallet_can_not_be_replaced(shop: Tenant) -> None:
    key = issue(shop)
    Wallet.objects.update(status=Wallet.FROZEN)
    with pytest.raises(StateInvalid):
        keys.replace(key=key, actor="test")


def test_a_key_is_replaced_once(shop: Tenant) -> None:
    key = issue(shop)
    keys.replace(key=key, overlap_s=3_600, actor="test")
    with pytest.raises(StateInvalid):
        keys.replace(key=key, actor="test")
    assert ApiKey.objects.count() == 2


def as_buyer(key: ApiKey) -> Buyer:
    return Buyer(tenant_id=key.tenant_id, wallet_id=key.wallet_id, key_id=key.pk)


def grant(op: HoldOp) -> Grant:
    return direct.run(Batch(holds=[op])).holds[0].grant


@pytest.fixture
def everybodys_shop(migrated_database: Database) -> Iterator[Tenant]:
    with all_tenants():
        yield tenants.create_tenant(slug="north", name="North", hosts=["north.example"])


def test_the_ledger_itself_refuses_the_old_key_from_now_on(everybodys_shop: Tenant) -> None:
    old, new = replace(issue(everybodys_shop))
    assert grant(hold_op(as_buyer(old), 10)) == Grant.KEY_DISABLED
    assert grant(hold_op(as_buyer(new), 10)) == Grant.GRANTED


def test_a_cap_moves_along_with_what_is_left_of_it(everybodys_shop: Tenant) -> None:
    key = issue(everybodys_shop, limit_ubt=1_000)
    spent, running = hold_op(as_buyer(key), 300), hold_op(as_buyer(key), 200)
    for op in (spent, running):
        assert grant(op) == Grant.GRANTED
    direct.settle(settle_op(as_buyer(key), spent.id, 300))
    old, new = replace(key, overlap_s=3_600)
    assert (old.limit_ubt, new.limit_ubt) == (500, 500)
    assert grant(hold_op(as_buyer(old), 1)) != Grant.GRANTED
    assert grant(hold_op(as_buyer(new), 501)) != Grant.GRANTED
    assert grant(hold_op(as_buyer(new), 500)) == Grant.GRANTED
    assert not reconcile().findings


def test_a_budget_moves_along_with_what_was_used_of_it(everybodys_shop: Tenant) -> None:
    window = Window("day", 1_777_593_600, 1_000)
    key = issue(everybodys_shop, budget_period="day", budget_ubt=1_000)
    assert grant(hold_op(as_buyer(key), 700, window=window)) == Grant.GRANTED
    old, new = replace(key, overlap_s=3_600)
    assert (old.budget_ubt, new.budget_ubt) == (0, 1_000)
    assert BudgetWindow.objects.get().key == new
    assert grant(hold_op(as_buyer(new), 301, window=window)) != Grant.GRANTED
    assert grant(hold_op(as_buyer(new), 300, window=window)) == Grant.GRANTED
    assert not reconcile().findings
