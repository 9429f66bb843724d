"""What a key is told of its money: by its cap, its guest wallet or its use of a shared one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from billing import keys, tenants
from billing.errors import ScopeMissing
from billing.ids import uuid7
from billing.ledger import transfers
from billing.models import ApiKey, Hold, Tenant, UsageOpening, UsageRecord, User, Wallet
from billing.partitions import first_id
from billing.reports import Balance, DailyCharge, daily_charges, key_balance
from billing.scoping import tenant_scope
from tests.databases import Database

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def anna(migrated_database: Database) -> Any:
    tenant = tenants.create_tenant(slug="anna", name="Anna", hosts=["anna.example"])
    with tenant_scope(tenant.pk):
        yield tenant


def used(key: ApiKey, ubt: int, *, at: datetime | None = None, model: str = "gpt-4") -> None:
    """Book usage as the ledger does: the record, and the wallet's debit."""
    at = at or timezone.now()
    number = uuid7().hex[12:]
    UsageRecord.objects.create(
        id=first_id(at).replace("-", "")[:12] + number,
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        key_id=key.pk,
        model_asked=model,
        charged_ubt=ubt,
        resolution="settled",
        created_at=at,
    )
    wallet = Wallet.objects.get(pk=key.wallet_id)
    Wallet.objects.filter(pk=wallet.pk).update(debits_ubt=wallet.debits_ubt + ubt)


def held(key: ApiKey, ubt: int) -> None:
    now = timezone.now()
    Hold.objects.create(
        id=uuid7(),
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        key_id=key.pk,
        amount_ubt=ubt,
        retail_price_id=1,
        stream=False,
        heartbeat_at=now,
        created_at=now,
    )
    wallet = Wallet.objects.get(pk=key.wallet_id)
    Wallet.objects.filter(pk=wallet.pk).update(pending_ubt=wallet.pending_ubt + ubt)


def book(key: ApiKey, kind: str, ubt: int, *, credit: bool) -> None:
    service = transfers.credit if credit else transfers.debit
    service(
        wallet_id=key.wallet_id, kind=kind, amount_ubt=ubt, source="test", source_id=uuid7().hex
    )


def second_key(key: ApiKey, **limits: Any) -> ApiKey:
    owner, _ = User.objects.get_or_create(email="owner@anna.example")
    Wallet.objects.filter(pk=key.wallet_id).update(owner=owner)
    return ApiKey.objects.create(
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        kid="second00",
        mac=b"",
        pepper_version=1,
        **limits,
    )


def test_a_guests_key_answers_for_its_wallet(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    used(key, 30)
    held(key, 20)
    assert key_balance(key.pk) == Balance(100, 30, 20, 50, 0)


def test_a_refund_lowers_what_was_granted_and_not_what_was_used(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    used(key, 30)
    book(key, "refund", 40, credit=False)
    assert key_balance(key.pk) == Balance(60, 30, 0, 30, 0)


@pytest.mark.parametrize(("credit", "used_ubt", "left_ubt"), [(True, 25, 75), (False, 35, 65)])
def test_a_correction_belongs_to_the_usage(
    anna: Tenant, credit: bool, used_ubt: int, left_ubt: int
) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    used(key, 30)
    book(key, "correction", 5, credit=credit)
    assert key_balance(key.pk) == Balance(100, used_ubt, 0, left_ubt, 0)


def test_a_key_with_a_cap_answers_for_itself(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    capped = second_key(key, limit_ubt=50, spent_ubt=10, pending_ubt=5)
    assert key_balance(capped.pk) == Balance(50, 10, 5, 35, 0)


def test_a_cap_does_not_promise_more_than_the_wallet_has(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=20)
    capped = second_key(key, limit_ubt=50)
    assert key_balance(capped.pk).left_ubt == 20


def test_a_key_of_a_shared_wallet_answers_for_its_own_use(anna: Tenant) -> None:
    first, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    second = second_key(first)
    used(first, 30)
    used(second, 7)
    held(second, 3)
    assert key_balance(second.pk) == Balance(70, 7, 3, 60, 0)


def test_usage_that_was_dropped_is_still_used(anna: Tenant) -> None:
    first, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    second = second_key(first)
    UsageOpening.objects.create(
        tenant=anna,
        wallet_id=first.wallet_id,
        key_id=second.pk,
        through=uuid7(),
        record_count=1,
        charged_ubt=9,
        wholesale_ubt=0,
    )
    assert key_balance(second.pk).used_ubt == 9


def test_access_ends_with_the_earlier_of_key_and_wallet(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, expires_at=DAY + timedelta(days=9))
    assert key_balance(key.pk).access_until == int((DAY + timedelta(days=9)).timestamp())
    Wallet.objects.filter(pk=key.wallet_id).update(expires_at=DAY)
    assert key_balance(key.pk).access_until == int(DAY.timestamp())


def test_daily_charges_are_summed_by_day_and_model(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    used(key, 1, at=DAY)
    used(key, 2, at=DAY + timedelta(hours=23, minutes=59))
    used(key, 4, at=DAY + timedelta(hours=3), model="gpt-4o")
    used(key, 8, at=DAY + timedelta(days=1))
    used(key, 16, at=DAY + timedelta(days=2))
    first, second = int(DAY.timestamp()), int(DAY.timestamp()) + 86_400
    assert daily_charges(key.pk, start=DAY, end=DAY + timedelta(days=2)) == [
        DailyCharge(first, "gpt-4", 3),
        DailyCharge(first, "gpt-4o", 4),
        DailyCharge(second, "gpt-4", 8),
    ]


def test_a_request_that_ran_over_midnight_is_charged_to_the_day_it_ended(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    used(key, 1, at=DAY - timedelta(minutes=5))
    UsageRecord.objects.create(
        id=first_id(DAY - timedelta(minutes=4)),
        tenant=anna,
        wallet_id=key.wallet_id,
        key_id=key.pk,
        model_asked="gpt-4",
        charged_ubt=2,
        created_at=DAY + timedelta(minutes=1),
    )
    [row] = daily_charges(key.pk, start=DAY, end=DAY + timedelta(days=1))
    assert row.charged_ubt == 2


def test_another_keys_charges_are_not_told(anna: Tenant) -> None:
    first, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    second = second_key(first)
    used(first, 30, at=DAY)
    assert daily_charges(second.pk, start=DAY, end=DAY + timedelta(days=1)) == []


def test_another_tenants_key_is_not_told_about(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    used(key, 30, at=DAY)
    bert = tenants.create_tenant(slug="bert", name="Bert", hosts=["bert.example"])
    with tenant_scope(bert.pk):
        with pytest.raises(ApiKey.DoesNotExist):
            key_balance(key.pk)
        assert daily_charges(key.pk, start=DAY, end=DAY + timedelta(days=1)) == []


def test_no_balance_is_told_without_a_scope(db: None) -> None:
    with pytest.raises(ScopeMissing):
        key_balance(1)


def test_look_ups_by_key_use_an_index(anna: Tenant) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = off")
        plan = UsageRecord.objects.filter(key_id=1, id__gte=first_id(DAY)).explain()
    assert "Seq Scan" not in plan
    assert "key" in plan
