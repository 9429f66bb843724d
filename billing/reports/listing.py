"""Single calls, newest first, a page at a time. For the usage page, its exports and the API.

A request id tells the time, so it is the cursor and its index gives the order: nothing is sorted.
A filter is applied to what that index yields, a stretch at a time: a page reads at most SCAN calls,
and where that was not enough to fill it, its cursor says where to read on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet

from billing.models import ApiKey, UsageRecord
from billing.partitions import first_id
from billing.reports.periods import DONE, FAILED, INTERRUPTED
from billing.reports.reach import records_of

SCAN = 20_000
ENDPOINTS_SEEN = 500
STATES: dict[str, Q] = {"done": DONE, "interrupted": INTERRUPTED, "failed": FAILED}

Records = QuerySet[UsageRecord]


@dataclass(frozen=True)
class CallFilters:
    """Which calls are looked for; what is empty or None does not narrow.

    `state` is one of STATES. `since` and `before` are moments in which calls began.
    """

    model: str = ""
    state: str = ""
    endpoint: str = ""
    stream: bool | None = None
    since: datetime | None = None
    before: datetime | None = None

    @property
    def picks(self) -> Q:
        """What the index by time can't answer."""
        wanted = Q()
        if self.model:
            wanted &= Q(model_asked=self.model)
        if self.endpoint:
            wanted &= Q(endpoint=self.endpoint)
        if self.stream is not None:
            wanted &= Q(stream=self.stream)
        return wanted & STATES[self.state] if self.state else wanted


class Page(NamedTuple):
    """Some calls, newest first, and the cursors of the pages around them; None where none is.

    A page can be empty and yet have an older one: nothing was found in the stretch it looked at.
    """

    records: Sequence[UsageRecord]
    newer: UUID | None
    older: UUID | None


def calls(
    key: ApiKey,
    filters: CallFilters,
    *,
    after: UUID | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Page:
    """Return the calls that follow the cursor `after`, or lead up to the cursor `before`.

    Both cursors are request ids, and need not be those of calls of this key.
    """
    records = _since(records_of(key), filters)
    if before is not None:
        return _newer(records, filters, before=before, limit=limit)
    if after is not None:
        records = records.filter(id__lt=after)
    records = records.order_by("-id")
    edge = _edge(records, filters)
    found = records.filter(filters.picks)
    if edge is not None:
        found = found.filter(id__gte=edge)
    rows = list(found[: limit + 1])
    older = rows[limit - 1].pk if len(rows) > limit else edge
    return Page(rows[:limit], newer=rows[0].pk if after and rows else None, older=older)


def endpoints_of(key: ApiKey) -> list[str]:
    """Return the endpoints that a key has called of late, for a choice of filters."""
    newest = records_of(key).order_by("-id").values_list("endpoint", flat=True)
    return sorted(set(newest[:ENDPOINTS_SEEN]))


def _newer(records: Records, filters: CallFilters, *, before: UUID, limit: int) -> Page:
    """Return the page that ends where the page that began at `before` begins."""
    records = records.filter(id__gt=before).order_by("id")
    edge = _edge(records, filters)
    found = records.filter(filters.picks)
    if edge is not None:
        found = found.filter(id__lte=edge)
    rows = list(found[: limit + 1])
    newer = rows[limit - 1].pk if len(rows) > limit else edge
    rows = rows[:limit][::-1]
    return Page(rows, newer=newer, older=rows[-1].pk if rows else None)


def _since(records: Records, filters: CallFilters) -> Records:
    if filters.since is not None:
        records = records.filter(id__gte=first_id(filters.since))
    if filters.before is not None:
        records = records.filter(id__lt=first_id(filters.before))
    return records


def _edge(records: Records, filters: CallFilters) -> UUID | None:
    """Return the last call that a page may look at, None if it may look at all.

    Only a filter can make a page look at more than it shows.
    """
    if not filters.picks:
        return None
    return records.values_list("id", flat=True)[SCAN - 1 : SCAN].first()
