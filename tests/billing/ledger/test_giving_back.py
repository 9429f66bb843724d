"""A job that fails after it was charged is given back: once, wherever it was counted."""

from typing import Any
from uuid import UUID

import pytest

from billing.errors import FieldInvalid
from billing.ledger import caps, direct
from billing.ledger.giving_back import give_back
from billing.ledger.ops import Window
from billing.ledger.reconcile import reconcile
from billing.ledger.transfers import debit
from billing.models import BudgetWindow, ReaperPass, Tenant, Transfer, UsageRecord
from billing.pricing import Counts
from tests.billing.ledger.making import (
    Buyer,
    age,
    facts,
    hold_op,
    key_of,
    new_buyer,
    new_wallet,
    progress_op,
    settle_op,
    wallet_of,
    wholesale_hold,
)

ONE_VIDEO = Counts(second=4)


def job(buyer: Buyer, actual_ubt: int = 100, endpoint: str = "videos", **changes: Any) -> UUID:
    """Run a request that makes a job; return its id."""
    op = hold_op(buyer, actual_ubt, endpoint=endpoint, **changes)
    direct.hold(op)
    done = facts(counts=ONE_VIDEO, endpoint=endpoint)
    direct.settle(settle_op(buyer, op.id, actual_ubt, facts=done))
    return UUID(bytes=op.id)


def test_the_charge_of_a_failed_job_is_credited_by_a_transfer(anna: Buyer) -> None:
    request = job(anna)
    assert give_back(usage_id=request) == 100
    transfer = Transfer.objects.get(source="job_failed")
    assert (transfer.kind, transfer.direction, transfer.source_id) == ("correction", 1, request.hex)
    assert wallet_of(anna).available_ubt == 1_000
    assert reconcile().is_clean


def test_it_is_given_back_once_however_often_it_is_asked_for(anna: Buyer) -> None:
    request = job(anna)
    assert [give_back(usage_id=request) for _ in range(3)] == [100] * 3
    assert wallet_of(anna).available_ubt == 1_000


def test_the_usage_record_stays_as_it_was(anna: Buyer) -> None:
    request = job(anna)
    before = UsageRecord.objects.values().get(pk=request)
    give_back(usage_id=request)
    assert UsageRecord.objects.values().get(pk=request) == before


def test_a_request_that_still_runs_is_not_given_back_yet(anna: Buyer) -> None:
    op = hold_op(anna, 100, endpoint="videos")
    direct.hold(op)
    assert give_back(usage_id=UUID(bytes=op.id)) is None
    assert not Transfer.objects.filter(source="job_failed").exists()


def test_what_was_not_charged_needs_no_transfer(anna: Buyer) -> None:
    assert give_back(usage_id=job(anna, 0)) == 0
    assert not Transfer.objects.filter(source="job_failed").exists()


def test_only_jobs_can_be_given_back(anna: Buyer) -> None:
    with pytest.raises(FieldInvalid):
        give_back(usage_id=job(anna, endpoint="chat_completions"))


def test_a_capped_key_may_spend_it_again(migrated_database: object) -> None:
    carl = new_buyer(1_000, limit_ubt=150)
    give_back(usage_id=job(carl))
    assert key_of(carl).spent_ubt == 0
    assert reconcile().is_clean


def test_a_cap_that_is_set_later_does_not_count_it(anna: Buyer) -> None:
    job(anna, 30)
    give_back(usage_id=job(anna))
    assert caps.set_cap(key_id=anna.key_id, limit_ubt=50).spent_ubt == 30
    assert reconcile().is_clean


def test_a_budget_may_spend_it_again(anna: Buyer) -> None:
    window = Window("day", 1_760_000_000, 500)
    request = job(anna, window=window)
    assert BudgetWindow.objects.get().spent_ubt == 100
    give_back(usage_id=request)
    assert BudgetWindow.objects.get().spent_ubt == 0
    assert reconcile().is_clean


def test_the_shop_gets_its_wholesale_part_back(anna: Buyer) -> None:
    wholesale = new_wallet(Tenant.objects.get(pk=anna.tenant_id), 500)
    op = wholesale_hold(anna, wholesale, 60, endpoint="videos")
    direct.hold(op)
    done = facts(counts=ONE_VIDEO, endpoint="videos")
    ours = {"wholesale_wallet_id": wholesale.pk, "wholesale_ubt": 60}
    direct.settle(settle_op(anna, op.id, 100, facts=done, **ours))
    give_back(usage_id=UUID(bytes=op.id))
    wholesale.refresh_from_db()
    assert wholesale.available_ubt == 500
    assert reconcile().is_clean


def test_a_debt_is_paid_back_first(anna: Buyer) -> None:
    request = job(anna)
    debit(
        wallet_id=anna.wallet_id,
        kind="refund",
        amount_ubt=950,
        source="test",
        source_id="1",
        allow_debt=True,
    )
    give_back(usage_id=request)
    wallet = wallet_of(anna)
    assert (wallet.debt_ubt, wallet.available_ubt) == (0, 50)
    assert reconcile().is_clean


def test_a_job_that_the_reaper_settled_waits_for_its_relay(anna: Buyer) -> None:
    ReaperPass.objects.all().delete()
    op = hold_op(anna, 100, endpoint="videos")
    direct.hold(op)
    direct.progress(progress_op(anna, op.id, 14))
    age(op.id, 61)
    reaped = settle_op(anna, op.id, 14, facts=facts("reaped", endpoint="videos"))
    direct.settle(reaped)
    assert give_back(usage_id=UUID(bytes=op.id)) is None
    direct.settle(settle_op(anna, op.id, 100, facts=facts(endpoint="videos")))
    assert give_back(usage_id=UUID(bytes=op.id)) == 100
    assert wallet_of(anna).available_ubt == 1_000
    assert reconcile().is_clean
