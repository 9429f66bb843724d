"""Every job may run twice and in any order: the state it leaves is the same."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Task

from billing import tasks
from billing.ledger import direct
from billing.ledger.clock import database_now
from billing.models import (
    ApiKey,
    Hold,
    Notice,
    ReaperPass,
    ReconcileFinding,
    Transfer,
    UsageRecord,
    Wallet,
)
from billing.scoping import all_tenants
from portal.celery import app
from tests.billing.ledger.making import age, hold_op, new_priced_buyer, progress_op
from tests.databases import Database

JOBS: tuple[Task[[], int], ...] = (
    tasks.reap,
    tasks.expire,
    tasks.reconcile_touched,
    tasks.reconcile_all,
    tasks.make_partitions,
)


@pytest.fixture(autouse=True)
def everyone() -> Iterator[None]:
    with all_tenants():
        yield


@pytest.fixture
def work(migrated_database: Database) -> None:
    """Something to do for every job: a dead request, an expired and an expiring wallet."""
    now = database_now()
    dead, expired, expiring = (new_priced_buyer(1_000) for _ in range(3))
    op = hold_op(dead, 100)
    direct.hold(op)
    direct.progress(progress_op(dead, op.id, 14))
    age(op.id, 61)
    hour, day = timedelta(hours=1), timedelta(days=1)
    ReaperPass.objects.create(pk=1, watching_since=now - hour, last_pass_at=now)
    Wallet.objects.filter(pk=expired.wallet_id).update(expires_at=now - hour)
    Wallet.objects.filter(pk=expiring.wallet_id).update(
        expires_at=now + hour, created_at=now - 9 * day
    )
    ApiKey.objects.filter(pk=expired.key_id).update(expires_at=now - hour)


def state() -> dict[str, Any]:
    """Return everything that the jobs may change, but for the times at which they did."""
    wallets = Wallet.objects.order_by("pk").values_list("credits_ubt", "debits_ubt", "pending_ubt")
    return {
        "wallets": list(wallets),
        "holds": Hold.objects.count(),
        "usage": list(UsageRecord.objects.values_list("charged_ubt", "resolution")),
        "transfers": sorted(Transfer.objects.values_list("kind", "amount_ubt")),
        "notices": Notice.objects.count(),
        "findings": ReconcileFinding.objects.count(),
        "ended": Wallet.objects.filter(expired_at__isnull=False).count(),
        "ended keys": ApiKey.objects.filter(expired_at__isnull=False).count(),
    }


DONE = {
    "wallets": [(1_000, 14, 0), (1_000, 1_000, 0), (1_000, 0, 0)],
    "holds": 0,
    "usage": [(14, "reaped")],
    "transfers": [("adjustment", 1_000)] * 3 + [("expiry", 1_000)],
    "notices": 1,
    "findings": 0,
    "ended": 1,
    "ended keys": 1,
}


@pytest.mark.usefixtures("work")
def test_every_job_does_its_work_once_however_often_it_runs() -> None:
    for job in JOBS * 3:
        job()
    assert state() == DONE


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("work")
def test_jobs_in_any_order_leave_the_same_state(seed: int) -> None:
    jobs = list(JOBS * 2)
    random.Random(seed).shuffle(jobs)
    for job in jobs:
        job()
    assert state() == DONE


def test_jobs_have_the_names_that_the_schedule_uses() -> None:
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {job.name for job in JOBS} <= scheduled
