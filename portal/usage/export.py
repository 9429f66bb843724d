"""The calls of a key as CSV and JSON, streamed: one page of calls per hop into a thread.

Called by `portal.views.usage_export`. The body of a response is made after the view has returned,
without its scope, so each hop opens the shop's scope for itself.
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from asgiref.sync import sync_to_async

from billing import units
from billing.models import ApiKey, UsageRecord
from billing.pricing import BUCKETS
from billing.reports import CallFilters, bills, calls, charges
from billing.scoping import tenant_scope
from portal.spreadsheets import BYTE_ORDER_MARK, Value, lines
from portal.usage.calls import began_at

PAGE_LENGTH = 1_000

COLUMNS = (
    *("request_id", "began_at", "ended_at", "endpoint", "model", "served_by", "stream"),
    *("status", "error", "charged_base_tokens", "absorbed_base_tokens", "counted_by"),
    *("first_token_ms", "total_ms", "tokens_per_s", "attempts"),
    *BUCKETS,
)

Row = dict[str, Value]


@dataclass(frozen=True)
class Form:
    """A kind of file: how it begins and ends, and how rows are written after so many others."""

    begin: str
    write: Callable[[Sequence[Row], int], str]
    end: str


async def stream(
    key: ApiKey, filters: CallFilters, *, zone: ZoneInfo, form: Form
) -> AsyncIterator[bytes]:
    """Write the calls that are asked for, newest first, times in a zone."""
    read = sync_to_async(_read)
    after: UUID | None = None
    written = 0
    yield form.begin.encode()
    while True:
        rows, after = await read(key, filters, after, zone)
        yield form.write(rows, written).encode()
        written += len(rows)
        if after is None:
            break
    yield form.end.encode()


def _read(
    key: ApiKey, filters: CallFilters, after: UUID | None, zone: ZoneInfo
) -> tuple[list[Row], UUID | None]:
    with tenant_scope(key.tenant_id):
        page = calls(key, filters, after=after, limit=PAGE_LENGTH)
        found = zip(page.records, bills(page.records), strict=True)
        return [_row(row, bill.charged_ubt, zone) for row, bill in found], page.older


def _row(row: UsageRecord, charged_ubt: int, zone: ZoneInfo) -> Row:
    """Return what is exported of a call; amounts are decimal texts of base tokens."""
    values = (
        str(row.pk),
        began_at(row).astimezone(zone).isoformat(timespec="milliseconds"),
        row.created_at.astimezone(zone).isoformat(timespec="milliseconds"),
        row.endpoint,
        row.model_asked,
        row.model_served,
        row.stream,
        row.status,
        row.error_type,
        units.exact_base_tokens(charged_ubt),
        units.exact_base_tokens(row.absorbed_ubt),
        row.usage_source,
        row.first_token_ms,
        row.total_ms,
        charges.tokens_per_s(row),
        row.attempts,
        *(getattr(row, f"{bucket}_count") for bucket in BUCKETS),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _csv(rows: Sequence[Row], _written: int) -> str:
    return lines(list(row.values()) for row in rows)


def _json(rows: Sequence[Row], written: int) -> str:
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    comma = ",\n" if written and texts else "\n"
    return comma + ",\n".join(texts) if texts else ""


CSV = Form(begin=BYTE_ORDER_MARK + lines([COLUMNS]), write=_csv, end="")
JSON = Form(begin="[", write=_json, end="\n]\n")
