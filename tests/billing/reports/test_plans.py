"""What the reports ask of the databases: ranges of an index, nothing sorted, nothing read whole.

The plans are asked of a table with calls of many wallets, analysed, so that they are those of use.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import ApiKey, Tenant, UsageRecord
from billing.reports import (
    CallFilters,
    calls,
    daily_charges,
    first_token_series,
    pace_ubt,
    slots,
    speed,
)
from tests.billing.reports.conftest import new_key
from tests.billing.reports.making import second_key

NOW = datetime(2026, 3, 20, tzinfo=UTC)
SINCE = NOW - timedelta(days=7)
OTHERS = 40
ROWS = 60
ZONE = ZoneInfo("Asia/Shanghai")
WHOLE = re.compile(r"Seq Scan|\bSCAN usage_record\b")
SORTED = re.compile(r"Sort  \(cost|TEMP B-TREE")
RANGE = re.compile(r"wallet_id=\? AND id>\? AND id<\?|Index Cond: .*wallet_id = .* AND \(id >= ")

Report = Callable[[ApiKey], Any]


@pytest.fixture
def guest(anna: Tenant) -> ApiKey:
    """A guest's key among others, each with calls over two weeks."""
    guest = new_key()
    crowd = [(guest.wallet_id, guest.pk)] + [(10_000 + n, 10_000 + n) for n in range(OTHERS)]
    UsageRecord.objects.bulk_create(
        row(anna, wallet_id, key_id, n) for n in range(ROWS) for wallet_id, key_id in crowd
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return ApiKey.objects.select_related("wallet").get(pk=guest.pk)


def row(tenant: Tenant, wallet_id: int, key_id: int, n: int) -> UsageRecord:
    at = NOW - timedelta(hours=5 * n + 1)
    number = int(at.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | wallet_id
    return UsageRecord(
        id=f"{number:032x}",
        tenant=tenant,
        wallet_id=wallet_id,
        key_id=key_id,
        model_asked="m",
        stream=True,
        first_token_ms=n,
        created_at=at,
    )


PAGES: dict[str, Report] = {
    "first": lambda key: calls(key, CallFilters(since=SINCE), limit=10),
    "filtered": lambda key: calls(key, CallFilters(model="m", state="failed"), limit=10),
    "next": lambda key: calls(key, CallFilters(), after=some_call(key), limit=10),
    "back": lambda key: calls(key, CallFilters(), before=some_call(key), limit=10),
}
SUMS: dict[str, Report] = {
    "slots": lambda key: slots(key, since=SINCE, until=NOW, zone=ZONE),
    "speed": lambda key: speed(key, since=SINCE, until=NOW, found=()),
    "first token": lambda key: first_token_series(key, since=SINCE, until=NOW, step_s=10_800),
    "pace": lambda key: pace_ubt(key, now=NOW),
    "days": lambda key: daily_charges(key.pk, start=SINCE, end=NOW),
}


def test_a_page_of_calls_follows_an_index_and_sorts_nothing(
    guest: ApiKey, subtests: pytest.Subtests
) -> None:
    for name, report in PAGES.items():
        with subtests.test(name):
            asked = plans_of(report, guest)
            assert asked
            for plan in asked:
                assert "usage_wallet" in plan or "wallet_id_id" in plan, plan
                assert not SORTED.search(plan), plan
                assert not WHOLE.search(plan), plan


def test_a_sum_reads_its_range_of_an_index(guest: ApiKey, subtests: pytest.Subtests) -> None:
    for name, report in SUMS.items():
        with subtests.test(name):
            asked = plans_of(report, guest)
            assert asked
            for plan in asked:
                assert RANGE.search(plan) or "LIMIT" in plan.upper(), plan
                assert not WHOLE.search(plan), plan


def test_a_key_of_an_account_has_an_index_too(guest: ApiKey) -> None:
    [plan] = plans_of(PAGES["first"], second_key(guest))
    assert "usage_key" in plan or "key_id_id" in plan, plan
    assert not WHOLE.search(plan), plan


def test_a_page_reads_no_more_than_it_shows(guest: ApiKey) -> None:
    [statement] = statements(PAGES["first"], guest)
    assert statement.endswith("LIMIT 11")


def some_call(key: ApiKey) -> UUID:
    return UsageRecord.objects.filter(key_id=key.pk).order_by("id")[30].pk


def statements(report: Report, key: ApiKey) -> list[str]:
    """Return what a report asks of the table of usage."""
    with CaptureQueriesContext(connection) as asked:
        report(key)
    found = [query["sql"] for query in asked if 'FROM "usage_record"' in query["sql"]]
    return [sql for sql in found if "OFFSET 30" not in sql]


def plans_of(report: Report, key: ApiKey) -> list[str]:
    """Return the plans of a report's statements, where PostgreSQL may not sort or read it all.

    It would, as it should, with a table as small as this one.
    """
    explain = "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            explain = "EXPLAIN"
            cursor.execute("SET enable_seqscan = off; SET enable_sort = off")
        plans = []
        for statement in statements(report, key):
            cursor.execute(f"{explain} {statement}")
            plans.append("\n".join(str(line) for line in cursor.fetchall()))
    return plans
