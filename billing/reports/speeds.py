"""How fast calls were: percentiles to the hundredth of a second, as they are shown. For pages.

The database counts how many calls took how many hundredths, which it does without sorting the
calls; the percentiles are read off these counts. First tokens are those of streams: another answer
arrives in one piece.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, F, QuerySet

from billing.models import ApiKey, UsageRecord
from billing.reports.periods import FAILED, Slot, numbered, within
from billing.reports.reach import records_of

PERCENTS = (50, 90, 99)

_STEP_MS = 10

Histogram = dict[int, int]


class Percentiles(NamedTuple):
    """Times in ms below which a half, nine of ten and all but one of a hundred calls stayed."""

    p50_ms: int
    p90_ms: int
    p99_ms: int


@dataclass(frozen=True)
class ModelSpeed:
    """How a model has answered. None where no call tells."""

    model: str
    calls: int
    failed: int
    first_token: Percentiles | None
    total: Percentiles | None
    tokens_per_s: int | None


@dataclass(frozen=True)
class Speeds:
    """How all models together reached their first token, and how each has answered."""

    first_token: Percentiles | None
    models: list[ModelSpeed]


class Moment(NamedTuple):
    """The first-token time of the calls in a stretch of time that begins at `start` (epoch s)."""

    start: int
    p50_ms: int
    p90_ms: int


def speed(key: ApiKey, *, since: datetime, until: datetime, found: Iterable[Slot]) -> Speeds:
    """Return how fast the models that a key has called were, the most called first.

    `found` are the period's slots. What failed is counted, but has no speed.
    """
    answered = within(records_of(key), since, until).exclude(FAILED)
    streams = answered.filter(stream=True, first_token_ms__isnull=False)
    first, total = _counted(streams, "first_token_ms"), _counted(answered, "total_ms")
    models: dict[str, list[Slot]] = {}
    for slot in found:
        models.setdefault(slot.model, []).append(slot)
    speeds = [
        _speed(model, slots, first=first.get(model), total=total.get(model))
        for model, slots in models.items()
    ]
    every: Counter[int] = Counter()
    for counts in first.values():
        every.update(counts)
    return Speeds(_percentiles(every), sorted(speeds, key=lambda row: (-row.calls, row.model)))


def first_token_series(
    key: ApiKey, *, since: datetime, until: datetime, step_s: int
) -> list[Moment]:
    """Return the first-token times over a period, oldest first, without stretches that had none.

    Stretches are counted from the midnight of the zone that `since` is in.
    """
    ahead_s = int((since.utcoffset() or timedelta()).total_seconds())
    streams = within(records_of(key), since, until).exclude(FAILED)
    streams = streams.filter(stream=True, first_token_ms__isnull=False)
    counted: dict[int, Histogram] = {}
    for number, step, count in streams.values_list(
        numbered(step_s, ahead_s=ahead_s), F("first_token_ms") / _STEP_MS
    ).annotate(count=Count("id")):
        counted.setdefault(number, {})[step] = count
    return [
        Moment(number * step_s - ahead_s, *(percentile(counts, one) for one in PERCENTS[:2]))
        for number, counts in sorted(counted.items())
    ]


def percentile(counts: Mapping[int, int], percent: int) -> int:
    """Return the least time in ms that `percent` of the counted calls did not exceed."""
    rank = -(-sum(counts.values()) * percent // 100)
    for step in sorted(counts):
        rank -= counts[step]
        if rank <= 0:
            return step * _STEP_MS
    return 0


def _counted(records: QuerySet[UsageRecord], column: str) -> dict[str, Histogram]:
    """Return, by model, how many calls took how many hundredths of a second."""
    models: dict[str, Histogram] = {}
    steps = records.values_list("model_asked", F(column) / _STEP_MS).annotate(count=Count("id"))
    for model, step, count in steps:
        models.setdefault(model, {})[step] = count
    return models


def _speed(
    model: str, slots: list[Slot], *, first: Histogram | None, total: Histogram | None
) -> ModelSpeed:
    writing_ms = sum(slot.writing_ms for slot in slots)
    written = sum(slot.written for slot in slots)
    return ModelSpeed(
        model=model,
        calls=sum(slot.calls for slot in slots),
        failed=sum(slot.failed for slot in slots),
        first_token=_percentiles(first),
        total=_percentiles(total),
        tokens_per_s=written * 1000 // writing_ms if writing_ms > 0 else None,
    )


def _percentiles(counts: Histogram | None) -> Percentiles | None:
    if not counts:
        return None
    return Percentiles(*(percentile(counts, percent) for percent in PERCENTS))
