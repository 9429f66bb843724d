"""Percentiles of first token and total: by model and over time, of what was answered."""

import random
import statistics
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from billing.models import ApiKey, Tenant
from billing.reports import Percentiles, Speeds, first_token_series, slots, speed
from billing.reports.speeds import percentile
from tests.billing.reports.conftest import new_key
from tests.billing.reports.making import failed, used

DAY = datetime(2026, 3, 1, tzinfo=UTC)
END = DAY + timedelta(days=1)


def speeds_of(key: ApiKey) -> Speeds:
    found = slots(key, since=DAY, until=END, zone=ZoneInfo("Asia/Shanghai"))
    return speed(key, since=DAY, until=END, found=found)


def streamed(key: ApiKey, first_token_ms: int, *, at: datetime = DAY, model: str = "m") -> None:
    facts = {"model_asked": model, "stream": True, "output_count": 50}
    used(key, 1, at=at, first_token_ms=first_token_ms, total_ms=first_token_ms + 1000, **facts)


def test_percentiles_are_exact_to_the_hundredth_of_a_second(anna: Tenant) -> None:
    key = new_key()
    for n in random.Random(1).sample(range(1, 101), 100):
        streamed(key, n * 10 + 4)
    [row] = speeds_of(key).models
    assert row.first_token == Percentiles(500, 900, 990)
    assert row.total == Percentiles(1500, 1900, 1990)
    assert (row.calls, row.failed, row.tokens_per_s) == (100, 0, 50)


def test_the_most_called_model_comes_first_and_all_have_a_median(anna: Tenant) -> None:
    key = new_key()
    for model in ("a", "b", "b"):
        streamed(key, 300 if model == "a" else 700, model=model)
    found = speeds_of(key)
    assert [row.model for row in found.models] == ["b", "a"]
    assert found.first_token and found.first_token.p50_ms == 700


def test_a_failed_call_counts_but_has_no_speed(key: ApiKey) -> None:
    failed(key, at=DAY, stream=True, first_token_ms=None, total_ms=30_000)
    [row] = speeds_of(key).models
    assert (row.calls, row.failed) == (1, 1)
    assert (row.first_token, row.total, row.tokens_per_s) == (None, None, None)


def test_an_answer_in_one_piece_has_no_first_token(key: ApiKey) -> None:
    used(key, 1, at=DAY, stream=False, first_token_ms=800, total_ms=800)
    found = speeds_of(key)
    assert found.first_token is None
    assert found.models[0].total == Percentiles(800, 800, 800)


def test_first_tokens_are_followed_over_time(anna: Tenant) -> None:
    key = new_key()
    for hour, ms in ((0, 300), (2, 500), (2, 900), (9, 100)):
        streamed(key, ms, at=DAY + timedelta(hours=hour))
    start = int(DAY.timestamp())
    series = first_token_series(key, since=DAY, until=END, step_s=10_800)
    assert series == [(start, 500, 900), (start + 3 * 10_800, 100, 100)]


def test_stretches_begin_at_the_midnight_of_the_zone(anna: Tenant) -> None:
    key = new_key()
    midnight = datetime(2026, 3, 1, tzinfo=ZoneInfo("Asia/Kathmandu"))
    streamed(key, 300, at=midnight - timedelta(seconds=1))
    streamed(key, 500, at=midnight)
    streamed(key, 700, at=midnight + timedelta(hours=3))
    series = first_token_series(key, since=midnight, until=END, step_s=10_800)
    assert [moment.start - midnight.timestamp() for moment in series] == [0, 10_800]


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=200), st.sampled_from([50, 90, 99]))
def test_a_percentile_is_the_least_time_that_enough_calls_stayed_below(
    times: list[int], percent: int
) -> None:
    steps = [ms // 10 for ms in times]
    found = percentile({step: steps.count(step) for step in steps}, percent) // 10
    assert 100 * sum(step <= found for step in steps) >= percent * len(steps)
    assert 100 * sum(step < found for step in steps) < percent * len(steps)
    if percent == 50:
        assert found == statistics.median_low(steps)
