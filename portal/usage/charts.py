"""The charts of the usage page, as the tables that a script draws and everybody can read.

Called by `portal.usage.page`. Series go from the accent to grey: the models that cost most, then
all others as one. Labels are made here, in the active language and the shop's zone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing import units
from billing.reports import Moment, Slot, per_day, per_hour
from portal import amounts
from portal.usage.period import HOUR_S, Period

SERIES = 3
HOURS = 24


@dataclass(frozen=True)
class Row:
    """One point or bar: its name in full, its name on the axis, a number for each series."""

    name: str
    tick: str
    values: Sequence[int | None]
    texts: Sequence[str]

    @property
    def numbers(self) -> str:
        """The numbers as the script reads them, nothing for a gap: "3,,5"."""
        return ",".join("" if value is None else str(value) for value in self.values)


@dataclass(frozen=True)
class Chart:
    """A chart as a table. `unit` is what its numbers are: count or seconds (in hundredths)."""

    title: str
    note: str
    kind: str
    unit: str
    series: Sequence[str]
    rows: Sequence[Row]
    has_sum: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for row in self.rows for value in row.values)


def days(found: Sequence[Slot], period: Period) -> Chart:
    """Return the charges by day and model."""
    first, last = period.since.date(), period.now.astimezone(period.zone).date()
    charged = per_day(found, zone=period.zone)
    series, others = _series(found)
    dates = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    rows = []
    for place, day in enumerate(dates):
        form = _("j M") if place == 0 or day.day == 1 else "j"
        tick = _("today") if day == last else date_format(day, form)
        values = _parts(charged.get(day, {}), series, has_others=bool(others))
        rows.append(_amounts(date_format(day, _("j M")), tick, values))
    return _stacked(_("Base tokens used a day"), series, others, rows)


def hours(found: Sequence[Slot], period: Period) -> Chart:
    """Return the charges of the last 24 hours by hour and model."""
    charged = per_hour(found, zone=period.zone)
    series, others = _series(found)
    rows = []
    for hour in _last_hours(period):
        models: Counter[str] = Counter()
        for slot in charged.get(int(hour.timestamp()), ()):
            models[slot.model] += slot.charged_ubt
        values = _parts(models, series, has_others=bool(others))
        rows.append(_amounts(_hour_name(hour), _hour_tick(hour, period), values))
    return _stacked(_("Base tokens used an hour"), series, others, rows)


def calls(found: Iterable[Slot], period: Period) -> Chart:
    """Return how many calls ended in each of the last 24 hours."""
    counted = per_hour(found, zone=period.zone)
    rows = []
    for hour in _last_hours(period):
        number = sum(slot.calls for slot in counted.get(int(hour.timestamp()), ()))
        rows.append(Row(_hour_name(hour), _hour_tick(hour, period), [number], [f"{number:,}"]))
    return Chart(_("Calls an hour"), _("last 24 hours"), "bars", "count", [_("Calls")], rows)


def first_tokens(series: Iterable[Moment], period: Period) -> Chart:
    """Return the first-token times over a period; a stretch without calls is a gap."""
    known = {moment.start: moment for moment in series}
    step_s = period.step_s
    begin = int(period.since.timestamp())
    rows = []
    for start in range(begin, int(period.now.timestamp()) + 1, step_s):
        at = datetime.fromtimestamp(start, period.zone)
        moment = known.get(start)
        times = [moment.p50_ms, moment.p90_ms] if moment else [None, None]
        texts = ["–" if ms is None else amounts.seconds_text(ms) for ms in times]
        tick = f"{at:%H:%M}" if step_s <= HOUR_S else date_format(at, _("j M"))
        hundredths = [None if ms is None else ms // 10 for ms in times]
        rows.append(Row(_hour_name(at), tick, hundredths, texts))
    return Chart(_("Time to the first token"), "", "lines", "seconds", ["p50", "p90"], rows)


def _series(found: Iterable[Slot]) -> tuple[list[str], int]:
    """Return the models that cost most, and how many others there are."""
    charged: Counter[str] = Counter()
    for slot in found:
        charged[slot.model] += slot.charged_ubt
    names = [model for model, ubt in charged.most_common() if ubt]
    if len(names) <= SERIES + 1:
        return names, 0
    return names[:SERIES], len(names) - SERIES


def _parts(models: dict[str, int], series: Sequence[str], *, has_others: bool) -> list[int]:
    parts = [models.get(name, 0) for name in series]
    if has_others:
        parts.append(sum(models.values()) - sum(parts))
    return parts


def _amounts(name: str, tick: str, parts_ubt: Sequence[int]) -> Row:
    values = [units.ceil_base_tokens(ubt) for ubt in parts_ubt]
    texts = [f"{value:,}" for value in values]
    return Row(name, tick, values, [*texts, amounts.used_base_tokens(sum(parts_ubt))])


def _stacked(title: str, series: Sequence[str], others: int, rows: Sequence[Row]) -> Chart:
    named = list(series)
    if others:
        named.append(ngettext("%(number)d other", "%(number)d others", others) % {"number": others})
    return Chart(title, "", "stack", "count", named, rows, has_sum=True)


def _last_hours(period: Period) -> list[datetime]:
    zone = period.zone
    this = int(period.now.astimezone(zone).replace(minute=0, second=0).timestamp())
    return [datetime.fromtimestamp(this - n * HOUR_S, zone) for n in reversed(range(HOURS))]


def _hour_tick(hour: datetime, period: Period) -> str:
    is_running = period.now - hour < timedelta(hours=1)
    return _("now") if is_running else f"{hour:%H:%M}"


def _hour_name(at: datetime) -> str:
    return date_format(at, _("j M, H:i"))
