"""How a call's charge comes about: count x multiplier, line by line. For the usage page.

The multipliers are those of the price that the call was admitted with, in the tier that its whole
input has reached; all amounts are exact.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from billing import catalogue
from billing.ledger.decide import LATE_SETTLE
from billing.ledger.giving_back import JOB_ENDPOINTS, JOB_FAILED
from billing.models import Transfer, UsageRecord
from billing.pricing import BUCKETS, Counts, input_total, rates


@dataclass(frozen=True)
class BillLine:
    """So many units of a bucket at so much each; `amount_ubt` is their product."""

    bucket: str
    count: int
    each_ubt: int
    amount_ubt: int


@dataclass(frozen=True)
class Bill:
    """What a call was charged: the sum of its lines, less what its balance could not pay.

    `corrected_ubt` was charged (or, below zero, given back) later, when what a crash had left
    behind was known exactly, or when a job had failed: then nothing of its charge is left. Without
    a known price there are counts but no lines.
    """

    lines: tuple[BillLine, ...]
    absorbed_ubt: int
    corrected_ubt: int
    charged_ubt: int
    priced_at: datetime | None


def bills(records: Iterable[UsageRecord]) -> list[Bill]:
    """Return the bills of calls, in their order, by three queries at most."""
    records = list(records)
    prices = catalogue.pinned({row.retail_price_id for row in records if row.retail_price_id})
    corrections = _corrections(records)
    made = []
    for row in records:
        price, valid_from = prices.get(row.retail_price_id or 0, (None, None))
        counts = counts_of(row)
        each = rates(price, input_total(counts)) if price else ()
        made.append(
            Bill(
                lines=tuple(_lines(counts, each)),
                absorbed_ubt=row.absorbed_ubt,
                corrected_ubt=corrections.get(row.pk.hex, 0),
                charged_ubt=row.charged_ubt + corrections.get(row.pk.hex, 0),
                priced_at=valid_from,
            )
        )
    return made


def counts_of(row: UsageRecord) -> Counts:
    """Return what a call used, bucket by bucket."""
    return Counts(*(getattr(row, f"{bucket}_count") for bucket in BUCKETS))


def tokens_per_s(row: UsageRecord) -> int | None:
    """Return how many tokens a call's output had per second; None where that means nothing.

    A stream writes from its first token on, but what a model thinks comes before that.
    """
    written = row.output_count + row.reasoning_count
    starts_ms = row.first_token_ms or 0 if row.stream and not row.reasoning_count else 0
    writing_ms = row.total_ms - starts_ms
    return written * 1000 // writing_ms if row.output_count and writing_ms > 0 else None


def _lines(counts: Counts, each_ubt: Iterable[int]) -> Iterable[BillLine]:
    for bucket, rate in zip(BUCKETS, each_ubt, strict=False):
        count = getattr(counts, bucket)
        if count:
            yield BillLine(bucket, count, rate, count * rate)


def _corrections(records: Iterable[UsageRecord]) -> dict[str, int]:
    """Return what was charged later, or given back, by the request id's hex form."""
    ids = [
        row.pk.hex for row in records if row.resolution == "reaped" or row.endpoint in JOB_ENDPOINTS
    ]
    sums: dict[str, int] = {}
    if ids:
        found = Transfer.objects.filter(source__in=(LATE_SETTLE, JOB_FAILED), source_id__in=ids)
        for source_id, direction, amount_ubt in found.values_list(
            "source_id", "direction", "amount_ubt"
        ):
            sums[source_id] = sums.get(source_id, 0) - direction * amount_ubt
    return sums
