"""What each request of a mixed run must have cost, from what its upstream and its client saw.

Independent of the relay's own metering: the vendor's log of truth, the text that the client
received, and the price list, multiplied out in Decimal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from billing.models import UsageRecord
from relay import tokens
from relay.errors import LedgerUnavailable
from tests.fakes.vendor import Truth
from tests.system.mixed import CHAT, PRICES, Judged
from tests.system.sending import Received

UBT = 1_000_000
TOLERANCE = Decimal("0.05")
# What OpenAI's chat format adds to the text of one message.
CHAT_FRAME_TOKENS = 7


@dataclass
class Counts:
    """How many requests were found right, by how they are judged."""

    exact: int = 0
    estimated: int = 0
    free: int = 0
    refused: int = 0
    rows: int = 0


def wrong(got: Received, attempts: Sequence[Truth], record: UsageRecord | None) -> str:
    """Return what is wrong with one request, or nothing."""
    judged = judge(got, attempts)
    has_failed = got.case.may_fail and got.status >= 500
    is_planned = has_failed or was_refused(got, attempts) or judged is got.case.judged
    fault = _fault(got, attempts, record, judged)
    fault = fault or ("" if is_planned else f"judged by {judged.value}")
    return fault and f"{fault}: {_story(got, attempts, record)}"


def _fault(
    got: Received, attempts: Sequence[Truth], record: UsageRecord | None, judged: Judged
) -> str:
    charged = record.charged_ubt if record else 0
    if attempts and got.id and record is None:
        return "no usage record"
    if judged is Judged.NOTHING:
        return f"charged {charged} for nothing" if charged else ""
    if judged is Judged.USAGE:
        expected = by_usage(got, attempts[-1])
        return "" if charged == expected else f"charged {charged}, by its usage {expected}"
    expected = by_count(got)
    is_near = abs(charged - expected) <= TOLERANCE * expected
    return "" if is_near else f"charged {charged}, by what was delivered {expected}"


def _story(got: Received, attempts: Sequence[Truth], record: UsageRecord | None) -> str:
    case = got.case
    asked = f"{case.ref} {case.model} stream={case.stream} [{case.directive}]"
    seen = f"client: {got.status} {got.code} {got.pieces} pieces of {case.leaves_after}"
    sent = [f"{truth.status} {truth.pieces} pieces {truth.ended}" for truth in attempts]
    booked = record and {
        name: getattr(record, name)
        for name in ("input_count", "output_count", "usage_source", "resolution", "error_type")
    }
    return f"{asked}; {seen}; upstream: {sent}; record: {booked}"


def judge(got: Received, attempts: Sequence[Truth]) -> Judged:
    """Return by what a request is judged: its plan, corrected by what happened."""
    has_left = got.case.leaves_after is not None
    if got.status != 200 or not attempts or (not got.text and not _delivers_no_text(got)):
        return Judged.NOTHING
    last = attempts[-1]
    if last.finished and last.usage is not None and not has_left:
        return Judged.USAGE
    return Judged.COUNT


def was_refused(got: Received, attempts: Sequence[Truth]) -> bool:
    """Tell whether the ledger did not answer in time, so that no upstream was called (R9)."""
    return got.code == LedgerUnavailable.code and not attempts


def by_usage(got: Received, truth: Truth) -> int:
    """Return usage times price, in ubt; cached and reasoning tokens are inside their sums."""
    usage: dict[str, Any] = truth.usage or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    return _cost(
        got,
        input=usage["prompt_tokens"] - cached,
        cached_input=cached,
        output=usage.get("completion_tokens", 0) - reasoning,
        reasoning=reasoning,
    )


def by_count(got: Received) -> int:
    """Return the price of the prompt and of what the client received, in ubt."""
    case = got.case
    frame = CHAT_FRAME_TOKENS if case.path == CHAT else 0
    prompt = tokens.count(case.text, case.model) + frame
    return _cost(got, input=prompt, output=tokens.count(got.text, case.model))


def _delivers_no_text(got: Received) -> bool:
    return got.case.path.endswith("embeddings")


def _cost(got: Received, **counts: int) -> int:
    price = PRICES[got.case.model]
    cost = Decimal(0)
    for bucket, count in counts.items():
        cost += count * Decimal(price[bucket]) * UBT
    assert cost == int(cost)
    return int(cost)
