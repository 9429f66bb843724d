"""Usage by months: every record has a place, old months go, the next ones are made in time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
from django.db import connection

from billing.ids import uuid7
from billing.models import UsageRecord
from billing.partitions import first_id, make_partitions, partitions
from billing.scoping import all_tenants
from tests.databases import Database

DECEMBER = datetime(2035, 12, 31, tzinfo=UTC)


@pytest.fixture(autouse=True)
def everyone() -> Iterator[None]:
    with all_tenants():
        yield


def store(record_id: str | UUID) -> None:
    now = datetime.now(UTC)
    UsageRecord.objects.create(id=record_id, tenant_id=1, wallet_id=1, key_id=1, created_at=now)


def places() -> list[str]:
    """Return the partition of each record."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM usage_record ORDER BY id")
        return [name for (name,) in cursor.fetchall()]


def test_months_follow_each_other_over_the_end_of_a_year() -> None:
    default, *months = partitions(DECEMBER).items()
    assert default == ("usage_record_default", "DEFAULT")
    assert [name[-7:] for name, _ in months] == ["2035_12", "2036_01", "2036_02"]
    assert all(
        earlier.split(" TO ")[1] == later.split("FROM ")[1].split(" TO ")[0]
        for (_, earlier), (_, later) in pairwise(months)
    )


def test_the_smallest_id_of_a_moment_is_not_above_any_id_made_then() -> None:
    before = datetime.now(UTC)
    made = str(uuid7())
    assert first_id(before) <= made


def test_the_id_of_a_moment_is_exact_to_the_millisecond() -> None:
    moments = [datetime(2026, 1, 1, microsecond=1_000 * ms, tzinfo=UTC) for ms in range(1_000)]
    milliseconds = [int(first_id(moment).replace("-", "")[:12], 16) for moment in moments]
    assert milliseconds == [1_767_225_600_000 + ms for ms in range(1_000)]


def test_usage_lands_in_the_partition_of_its_month(postgres_database: Database) -> None:
    store(uuid7())
    assert places() == [f"usage_record_{datetime.now(UTC):%Y_%m}"]


def test_usage_of_a_month_without_a_partition_is_not_lost(postgres_database: Database) -> None:
    store(first_id(datetime(2001, 1, 1, tzinfo=UTC)))
    store(first_id(datetime(2101, 1, 1, tzinfo=UTC)))
    assert places() == ["usage_record_default"] * 2


def test_the_next_months_are_made_once(postgres_database: Database) -> None:
    assert [name[-7:] for name in make_partitions(DECEMBER)] == ["2035_12", "2036_01", "2036_02"]
    assert make_partitions(DECEMBER) == []
    store(first_id(datetime(2036, 1, 15, tzinfo=UTC)))
    assert places() == ["usage_record_2036_01"]


def test_a_month_whose_usage_came_first_does_not_stop_the_next_ones(
    postgres_database: Database,
) -> None:
    store(first_id(datetime(2036, 1, 15, tzinfo=UTC)))
    for _ in range(2):
        make_partitions(DECEMBER)
    store(first_id(datetime(2036, 2, 15, tzinfo=UTC)))
    assert places() == ["usage_record_default", "usage_record_2036_02"]


def test_an_old_month_can_be_dropped(postgres_database: Database) -> None:
    make_partitions(DECEMBER)
    store(first_id(DECEMBER))
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE usage_record_2035_12")
    assert not UsageRecord.objects.exists()


def test_sqlite_has_one_plain_table(sqlite_database: Database) -> None:
    assert make_partitions(DECEMBER) == []
    store(first_id(DECEMBER))
    assert UsageRecord.objects.count() == 1
