"""Sums over hours and days: by a zone's days, by model, at which pace; on both databases."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing.models import ApiKey, Tenant
from billing.reports import (
    DailyCharge,
    Slot,
    daily_charges,
    days_left,
    pace_ubt,
    per_day,
    per_hour,
    slots,
    totals,
)
from tests.billing.reports.conftest import new_key
from tests.billing.reports.making import failed, second_key, successor, used

DAY = datetime(2026, 3, 1, tzinfo=UTC)
SHANGHAI, KATHMANDU = ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Kathmandu")


def test_slots_sum_up_hours_by_model(anna: Tenant) -> None:
    key = new_key()
    at = DAY + timedelta(hours=5, minutes=59)
    facts = {"stream": True, "first_token_ms": 400, "total_ms": 2400}
    used(key, 5, at=at, output_count=30, **facts)
    used(key, 7, at=at - timedelta(minutes=59), output_count=10, **facts)
    used(key, 2, at=at + timedelta(minutes=1), model_asked="gpt-4o")
    failed(key, at=at)
    start = int((DAY + timedelta(hours=5)).timestamp())
    assert slots(key, since=DAY, until=DAY + timedelta(days=1), zone=SHANGHAI) == [
        Slot(start, "gpt-4", 3, 1, 12, 40, 4000),
        Slot(start + 3600, "gpt-4o", 1, 0, 2, 0, 0),
    ]


def test_reasoning_is_written_from_the_start_of_a_call(anna: Tenant) -> None:
    key = new_key()
    facts = {"stream": True, "first_token_ms": 900, "total_ms": 1000}
    used(key, 1, at=DAY, output_count=10, reasoning_count=90, **facts)
    used(key, 1, at=DAY, output_count=5, total_ms=500, first_token_ms=500)
    [slot] = slots(key, since=DAY, until=DAY + timedelta(hours=1), zone=SHANGHAI)
    assert (slot.written, slot.writing_ms) == (105, 1500)


def test_a_period_begins_and_ends_to_the_moment(anna: Tenant) -> None:
    key = new_key()
    for minutes in (-1, 0, 59, 60):
        used(key, 1, at=DAY + timedelta(minutes=minutes))
    [slot] = slots(key, since=DAY, until=DAY + timedelta(hours=1), zone=SHANGHAI)
    assert slot.calls == 2


@pytest.mark.parametrize("zone", [SHANGHAI, KATHMANDU, ZoneInfo("America/New_York")])
def test_days_are_those_of_the_zone(key: ApiKey, zone: ZoneInfo) -> None:
    midnight = datetime(2026, 3, 3, tzinfo=zone)
    used(key, 1, at=midnight - timedelta(seconds=1))
    used(key, 2, at=midnight)
    used(key, 4, at=midnight + timedelta(hours=23, minutes=59), model_asked="gpt-4o")
    found = slots(key, since=DAY, until=DAY + timedelta(days=9), zone=zone)
    assert per_day(found, zone=zone) == {
        date(2026, 3, 2): {"gpt-4": 1},
        date(2026, 3, 3): {"gpt-4": 2, "gpt-4o": 4},
    }


@pytest.mark.parametrize("zone", [SHANGHAI, KATHMANDU])
def test_hours_are_those_of_the_zone(key: ApiKey, zone: ZoneInfo) -> None:
    hour = datetime(2026, 3, 3, 8, tzinfo=zone)
    used(key, 1, at=hour)
    used(key, 2, at=hour + timedelta(minutes=59))
    used(key, 4, at=hour + timedelta(minutes=60))
    found = slots(key, since=DAY, until=DAY + timedelta(days=9), zone=zone)
    hours = per_hour(found, zone=zone)
    assert [totals(of).charged_ubt for of in hours.values()] == [3, 4]
    assert list(hours) == [int(hour.timestamp()), int(hour.timestamp()) + 3_600]


def test_an_hour_that_the_clock_shows_twice_is_two_hours(key: ApiKey) -> None:
    zone = ZoneInfo("America/New_York")
    first = datetime(2026, 11, 1, 1, 30, tzinfo=zone).astimezone(UTC)
    used(key, 1, at=first)
    used(key, 2, at=first + timedelta(hours=1))
    found = slots(key, since=first, until=first + timedelta(hours=2), zone=zone)
    hours = per_hour(found, zone=zone)
    assert [totals(of).charged_ubt for of in hours.values()] == [1, 2]


def test_totals_add_up(key: ApiKey) -> None:
    used(key, 5, at=DAY)
    failed(key, at=DAY + timedelta(hours=3))
    whole = totals(slots(key, since=DAY, until=DAY + timedelta(days=1), zone=SHANGHAI))
    assert (whole.calls, whole.failed, whole.charged_ubt) == (2, 1, 5)


def test_the_pace_is_the_mean_of_the_last_week(key: ApiKey) -> None:
    now = DAY + timedelta(days=30)
    for days in (1, 6, 8, 29):
        used(key, 700, at=now - timedelta(days=days))
    assert pace_ubt(key, now=now) == 200


def test_a_young_key_is_measured_by_its_own_days(key: ApiKey) -> None:
    now = DAY + timedelta(days=30)
    used(key, 300, at=now - timedelta(days=2))
    assert pace_ubt(key, now=now) == 150


def test_the_first_hour_does_not_foretell_a_day(key: ApiKey) -> None:
    now = DAY + timedelta(days=30)
    used(key, 300, at=now - timedelta(hours=1))
    assert pace_ubt(key, now=now) == 300


def test_who_uses_nothing_has_no_pace(key: ApiKey) -> None:
    assert pace_ubt(key, now=DAY) == 0
    assert days_left(5, a_day_ubt=0) is None
    assert days_left(500, a_day_ubt=150) == 3


def test_daily_charges_are_summed_by_day_and_model(anna: Tenant) -> None:
    key = new_key()
    used(key, 1, at=DAY)
    used(key, 2, at=DAY + timedelta(hours=23, minutes=59))
    used(key, 4, at=DAY + timedelta(hours=3), model_asked="gpt-4o")
    used(key, 8, at=DAY + timedelta(days=1))
    used(key, 16, at=DAY + timedelta(days=2))
    first, second = int(DAY.timestamp()), int(DAY.timestamp()) + 86_400
    assert daily_charges(key.pk, start=DAY, end=DAY + timedelta(days=2)) == [
        DailyCharge(first, "gpt-4", 3),
        DailyCharge(first, "gpt-4o", 4),
        DailyCharge(second, "gpt-4", 8),
    ]


def test_a_request_that_ran_over_midnight_is_charged_to_the_day_it_ended(anna: Tenant) -> None:
    key = new_key()
    used(key, 1, at=DAY - timedelta(minutes=5))
    used(key, 2, at=DAY + timedelta(minutes=1), began_at=DAY - timedelta(minutes=4))
    [row] = daily_charges(key.pk, start=DAY, end=DAY + timedelta(days=1))
    assert row.charged_ubt == 2


def test_another_keys_charges_are_not_told(anna: Tenant) -> None:
    first = new_key()
    second = second_key(first)
    used(first, 30, at=DAY)
    assert daily_charges(second.pk, start=DAY, end=DAY + timedelta(days=1)) == []


def test_a_key_is_told_what_the_key_before_it_cost(key: ApiKey) -> None:
    used(key, 30, at=DAY)
    [row] = daily_charges(successor(key).pk, start=DAY, end=DAY + timedelta(days=1))
    assert row.charged_ubt == 30
