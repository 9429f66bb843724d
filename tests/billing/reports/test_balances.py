"""What a key is told of its money: by its cap, its guest wallet or its use of a shared one."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing import keys, tenants
from billing.errors import ScopeMissing
from billing.ids import uuid7
from billing.models import ApiKey, Tenant, UsageOpening, Wallet
from billing.reports import Balance, daily_charges, key_balance, shown, standing
from billing.scoping import tenant_scope
from tests.billing.reports.making import book, held, second_key, successor, used

DAY = datetime(2026, 3, 1, tzinfo=UTC)


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


def test_a_key_that_was_replaced_answers_for_its_own_use_alone(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    used(key, 30)
    new = successor(key)
    used(new, 7)
    held(new, 3)
    assert key_balance(key.pk) == Balance(30, 30, 0, 0, 0)
    assert key_balance(new.pk) == Balance(100, 37, 3, 60, 0)


def test_a_key_that_was_replaced_can_use_what_is_left_until_it_ends(anna: Tenant) -> None:
    key, _ = keys.issue(tenant_id=anna.pk, credit_ubt=100)
    keys.replace(key=key, overlap_s=3_600, actor="test")
    assert key_balance(key.pk).left_ubt == 100
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    assert key_balance(key.pk).left_ubt == 0


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


@pytest.mark.parametrize(
    ("exact", "parts"),
    [
        ((10_000_000, 1_400_000, 1_300_000, 7_300_000), (10, 2, 1, 7)),
        ((10_000_000, 2_400_000, 0, 7_600_000), (10, 3, 0, 7)),
        ((10_000_000, 1_500_000, 200_000, 8_300_000), (10, 2, 0, 8)),
        ((9_500_000, 2_400_000, 0, 7_100_000), (10, 3, 0, 7)),
        ((0, 0, 0, 0), (0, 0, 0, 0)),
    ],
)
def test_whole_base_tokens_make_up_what_was_granted(
    exact: tuple[int, int, int, int], parts: tuple[int, int, int, int]
) -> None:
    whole = shown(Balance(*exact, access_until=0))
    assert (whole.granted, whole.used, whole.held, whole.left) == parts
    assert whole.used + whole.held + whole.left == whole.granted


def test_what_a_cap_allows_and_the_wallet_lacks_is_told_apart() -> None:
    whole = shown(Balance(50_000_000, 10_000_000, 5_000_000, 20_000_000, access_until=0))
    assert (whole.granted, whole.used, whole.held, whole.left, whole.uncovered) == (
        50,
        10,
        5,
        20,
        15,
    )


def state_of(key: ApiKey) -> str:
    key = ApiKey.objects.select_related("wallet").get(pk=key.pk)
    return standing(key, key_balance(key.pk), now=timezone.now())


def test_a_key_is_active_until_its_balance_is_used_up(key: ApiKey) -> None:
    assert state_of(key) == "active"
    used(key, 10_000_000_000)
    assert state_of(key) == "used_up"


def test_a_key_past_its_end_is_expired(key: ApiKey) -> None:
    Wallet.objects.update(expires_at=DAY)
    assert state_of(key) == "expired"


@pytest.mark.parametrize("fields", [{"status": "frozen"}, {"debt_ubt": 1}])
def test_a_key_of_a_blocked_wallet_is_frozen(key: ApiKey, fields: dict[str, object]) -> None:
    Wallet.objects.update(expires_at=DAY, **fields)
    assert state_of(key) == "frozen"


def test_a_revoked_key_is_that_before_all(key: ApiKey) -> None:
    keys.revoke(kid=key.kid)
    Wallet.objects.update(expires_at=DAY, status="frozen")
    assert state_of(key) == "revoked"
