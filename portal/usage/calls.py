"""The calls of the usage page, each with its bill; and which calls are asked for.

Called by the page and by the exports, which take the same filters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.utils import timezone

from billing import units
from billing.ledger.giving_back import JOB_ENDPOINTS
from billing.models import UsageRecord
from billing.pricing import input_total
from billing.reports import Bill, Page, bills, charges
from portal.usage import words
from portal.usage.words import State

PAGE_LENGTH = 50


@dataclass(frozen=True)
class Line:
    """A line of a bill: 180 x 1.666667 = 300.00006."""

    what: Any
    count: int
    each: str
    amount: str


@dataclass(frozen=True)
class Call:
    """One call as a row, and everything that its bill says."""

    row: UsageRecord
    bill: Bill
    began_at: datetime
    is_today: bool
    line_name: str

    @property
    def state(self) -> State:
        """How it ended."""
        return words.state_of_call(self.row)

    @property
    def input_count(self) -> int:
        """Its whole input in tokens."""
        return input_total(charges.counts_of(self.row))

    @property
    def output_count(self) -> int:
        """Its whole output in tokens, what the model thought included."""
        return self.row.output_count + self.row.reasoning_count + self.row.audio_out_count

    @property
    def first_token_ms(self) -> int | None:
        """When its first token came; an answer in one piece has none."""
        return self.row.first_token_ms if self.row.stream else None

    @property
    def tokens_per_s(self) -> int | None:
        """How fast its output came."""
        return charges.tokens_per_s(self.row)

    @property
    def lines(self) -> list[Line]:
        """What it was charged for."""
        return [
            Line(
                words.BUCKETS[line.bucket],
                line.count,
                units.exact_base_tokens(line.each_ubt),
                exact(line.amount_ubt),
            )
            for line in self.bill.lines
        ]

    @property
    def source(self) -> Any:
        """Where its counts came from."""
        return words.SOURCES.get(self.row.usage_source, self.row.usage_source)

    @property
    def endpoint(self) -> str:
        """The address that it was sent to, without /v1/."""
        return words.endpoint(self.row.endpoint)

    @property
    def charged(self) -> str:
        """The charge, exactly."""
        return exact(self.bill.charged_ubt)

    @property
    def absorbed(self) -> str:
        """What the balance could not pay and the shop has borne."""
        return exact(-self.bill.absorbed_ubt)

    @property
    def corrected(self) -> str:
        """What was charged or given back later."""
        return exact(self.bill.corrected_ubt)

    @property
    def is_given_back(self) -> bool:
        """Whether it was a job that has failed after it was charged."""
        return self.bill.corrected_ubt < 0 and self.row.endpoint in JOB_ENDPOINTS


def exact(amount_ubt: int) -> str:
    """Return an amount with all its digits: "2,746.666804", a minus for what is taken off."""
    whole, _point, fraction = units.exact_base_tokens(abs(amount_ubt)).partition(".")
    sign = "\N{MINUS SIGN}" if amount_ubt < 0 else ""
    return f"{sign}{int(whole):,}" + (f".{fraction}" if fraction else "")


def began_at(row: UsageRecord) -> datetime:
    """Return when a call began, which its id tells."""
    return datetime.fromtimestamp((row.pk.int >> 80) / 1000, UTC)


def shown(
    records: Iterable[UsageRecord], *, zone: ZoneInfo, lines: Mapping[int, str]
) -> list[Call]:
    """Return calls with their bills, in a fixed number of queries; `lines` are names by id."""
    records = list(records)
    today = timezone.now().astimezone(zone).date()
    made = []
    for row, bill in zip(records, bills(records), strict=True):
        began = began_at(row)
        is_today = began.astimezone(zone).date() == today
        made.append(Call(row, bill, began, is_today, lines.get(row.line_id or 0, "")))
    return made


def queries(page: Page, asked: dict[str, str]) -> dict[str, str]:
    """Return the query strings of the pages around one: `newer` and `older`, "" where none is."""
    return {
        "newer": urlencode({**asked, "before": page.newer}) if page.newer else "",
        "older": urlencode({**asked, "after": page.older}) if page.older else "",
        "same": urlencode(asked),
    }
