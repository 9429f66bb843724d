"""What was used over hours and days: one scan by an index, summed up in many ways. For pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import BigIntegerField, Case, Count, F, Func, Q, QuerySet, Sum, When

from billing.models import ApiKey, UsageRecord
from billing.partitions import first_id
from billing.reports.reach import records_of

MAX_DAYS = 400
HOUR_S, DAY_S = 3_600, 86_400
PACE_DAYS = 7

_SLACK = timedelta(days=1)
"""More than a request can last and clocks can differ: ids say when it began, rows when it ended."""
_FINEST_S = 900  # no zone's clock differs from UTC by another fraction of an hour

FAILED = ~Q(error_type="") & Q(charged_ubt=0)
"""What ended in an error and cost nothing. What was cut short and charged was delivered in part."""
INTERRUPTED = ~Q(error_type="") & Q(charged_ubt__gt=0)
DONE = Q(error_type="")

_WRITTEN = F("output_count") + F("reasoning_count")
_WRITING_MS = Case(
    When(stream=True, reasoning_count=0, then=F("total_ms") - F("first_token_ms")),
    default=F("total_ms"),
    output_field=BigIntegerField(),
)
_WRITES = Q(output_count__gt=0, first_token_ms__isnull=False) & ~FAILED


class DailyCharge(NamedTuple):
    """What one model cost on one UTC day; `day` is its first second since the epoch."""

    day: int
    model: str
    charged_ubt: int


class Slot(NamedTuple):
    """What one model did in one stretch of time that begins at `start`, in epoch seconds.

    `failed` calls cost nothing; `written` counts output tokens of `writing_ms`.
    """

    start: int
    model: str
    calls: int
    failed: int
    charged_ubt: int
    written: int
    writing_ms: int


@dataclass(frozen=True)
class Totals:
    """What a period amounts to."""

    calls: int
    failed: int
    charged_ubt: int


class _Number(Func):
    """The number of a moment's stretch of time, counted from `ahead_s` before the epoch."""

    output_field = BigIntegerField()

    def __init__(self, column: str, length_s: int, ahead_s: int) -> None:
        super().__init__(column)
        self.length_s, self.ahead_s = int(length_s), int(ahead_s)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        epoch = "CAST(strftime('%%%%s', %(expressions)s) AS INTEGER)"
        template = f"({epoch} + {self.ahead_s}) / {self.length_s}"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        epoch = "EXTRACT(EPOCH FROM %(expressions)s)"
        template = f"FLOOR(({epoch} + {self.ahead_s}) / {self.length_s})::bigint"
        return self.as_sql(compiler, connection, template=template, **context)


def charged_by_key(key_ids: Iterable[int], *, since: datetime, until: datetime) -> dict[int, int]:
    """Return what each of these keys was charged, in ubt; those without calls are left out."""
    used = within(UsageRecord.objects.filter(key_id__in=list(key_ids)), since, until)
    return dict(used.order_by().values_list("key_id").annotate(Sum("charged_ubt")))


def within(records: QuerySet[UsageRecord], start: datetime, end: datetime) -> QuerySet[UsageRecord]:
    """Return the calls that ended in start <= time < end, by a range of ids."""
    return records.filter(
        id__gte=first_id(start - _SLACK),
        id__lt=first_id(end + _SLACK),
        created_at__gte=start,
        created_at__lt=end,
    )


def numbered(length_s: int, *, ahead_s: int = 0) -> Func:
    """Return the number of the stretch of time in which a call ended.

    `ahead_s` is how far a zone is ahead of UTC, so that stretches of hours begin at its midnight.
    """
    return _Number("created_at", length_s, ahead_s)


def daily_charges(key_id: int, *, start: datetime, end: datetime) -> list[DailyCharge]:
    """Return what a key's models cost per UTC day, for start <= time < end, oldest first.

    At most MAX_DAYS days are looked at. Days and models without a charge are left out.
    """
    key = ApiKey.objects.select_related("wallet").filter(pk=key_id).first()
    if key is None:
        return []
    end = min(end, start + timedelta(days=MAX_DAYS))
    rows = (
        within(records_of(key), start, end)
        .filter(charged_ubt__gt=0)
        .values_list(numbered(DAY_S), "model_asked")
        .annotate(charged=Sum("charged_ubt"))
    )
    return sorted(DailyCharge(day * DAY_S, model, int(ubt)) for day, model, ubt in rows)


def slots(key: ApiKey, *, since: datetime, until: datetime, zone: ZoneInfo) -> list[Slot]:
    """Return what a key's models did from `since` to `until`, by hours of a zone or finer."""
    length_s = _slot_s(zone, since, until)
    rows = (
        within(records_of(key), since, until)
        .values_list(numbered(length_s), "model_asked")
        .annotate(
            calls=Count("id"),
            failed=Count("id", filter=FAILED),
            charged=Sum("charged_ubt"),
            written=Sum(_WRITTEN, filter=_WRITES, default=0),
            writing_ms=Sum(_WRITING_MS, filter=_WRITES, default=0),
        )
    )
    return sorted(
        Slot(number * length_s, model, calls, failed, int(ubt), int(written), int(writing_ms))
        for number, model, calls, failed, ubt, written, writing_ms in rows
    )


def totals(found: Iterable[Slot]) -> Totals:
    """Return the sums of slots."""
    found = list(found)
    return Totals(
        calls=sum(slot.calls for slot in found),
        failed=sum(slot.failed for slot in found),
        charged_ubt=sum(slot.charged_ubt for slot in found),
    )


def per_day(found: Iterable[Slot], *, zone: ZoneInfo) -> dict[date, dict[str, int]]:
    """Return the charges in ubt by day of the zone and by model; days without calls are absent."""
    days: dict[date, dict[str, int]] = {}
    for slot in found:
        models = days.setdefault(datetime.fromtimestamp(slot.start, zone).date(), {})
        models[slot.model] = models.get(slot.model, 0) + slot.charged_ubt
    return days


def per_hour(found: Iterable[Slot], *, zone: ZoneInfo) -> dict[int, list[Slot]]:
    """Return the slots by the hour of the zone in which they lie; empty hours are absent.

    Hours are told in epoch seconds: a clock that is put back shows one of them twice.
    """
    hours: dict[int, list[Slot]] = {}
    for slot in found:
        hour = datetime.fromtimestamp(slot.start, zone).replace(minute=0)
        hours.setdefault(int(hour.timestamp()), []).append(slot)
    return hours


def pace_ubt(key: ApiKey, *, now: datetime) -> int:
    """Return what a key uses in a day: the mean of its last week, or of its days if it is younger.

    Zero if it has used nothing in that time.
    """
    records = records_of(key)
    since = now - timedelta(days=PACE_DAYS)
    charged = within(records, since, now).aggregate(sum=Sum("charged_ubt"))["sum"] or 0
    if not charged:
        return 0
    first = records.order_by("id").values_list("created_at", flat=True).first()
    used_s = int((now - max(since, first or since)).total_seconds())
    return int(charged) * DAY_S // max(used_s, DAY_S)


def days_left(left_ubt: int, *, a_day_ubt: int) -> int | None:
    """Return for how many whole days a balance lasts at a pace; None if nothing is used."""
    return left_ubt // a_day_ubt if a_day_ubt > 0 else None


def _slot_s(zone: ZoneInfo, *moments: datetime) -> int:
    """Return the longest stretch of which both hours and days of a zone are made."""
    offsets = [moment.astimezone(zone).utcoffset() or timedelta() for moment in moments]
    is_whole = all(not offset % timedelta(hours=1) for offset in offsets)
    return HOUR_S if is_whole else _FINEST_S
