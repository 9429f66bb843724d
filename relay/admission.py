"""What a request may cost at most, and the hold that reserves it (R3).

Bytes are a cheap strict upper bound of text tokens. Only when the balance can't afford that bound
is the text counted, off the loop. A request that nothing but running requests keeps out waits a
little for one of them to end. Called by `exchange`.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from operator import mul
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import astuple

from billing.ledger.ops import Grant, HoldAnswer, HoldOp, Window
from billing.pricing import BUCKETS, Price
from relay import tokens
from relay.errors import (
    InsufficientQuota,
    KeyDisabled,
    KeyExpired,
    LedgerUnavailable,
    NoChannel,
    QuotaHeld,
    RelayError,
)
from relay.keyring import KeyEntry
from relay.ledger_batch import LedgerBatch, void_of
from relay.protocols.base import RequestFacts

LEAST_OUTPUT_TOKENS = 16
FIRST_STREAM_TOKENS = 1_024
UNKNOWN_CAP_TOKENS = 16_384
UNLIMITED_TOKENS = 1 << 50
# On the whole of a text; single tokens of white space are longer.
MOST_BYTES_PER_TOKEN = 12
WAIT_S = 5.0
LOOK_AGAIN_S = 0.25

# Where a price row has no figure for what is not text.
_IMAGE_TOKENS = 2_000
_AUDIO_BYTES_PER_SECOND = 2_000
_AUDIO_SECOND_TOKENS = 25

_WRITE_5M, _WRITE_1H = BUCKETS.index("cache_write_5m"), BUCKETS.index("cache_write_1h")
_INPUT, _CACHED, _OUTPUT, _REASONING, _AUDIO_IN, _AUDIO_OUT, _IMAGE, _REQUEST, _SEARCH = (
    BUCKETS.index(name)
    for name in (
        "input",
        "cached_input",
        "output",
        "reasoning",
        "audio_in",
        "audio_out",
        "image",
        "request",
        "search",
    )
)


class Bound(NamedTuple):
    """The most that a request can cost, in parts. `output_tokens` counts all choices together.

    `wanted_tokens` is what the hold should cover at first, `cap_tokens` what the answer can come
    to without a limit of ours.
    """

    text_tokens: int
    input_rate_ubt: int
    fixed_ubt: int
    output_rate_ubt: int
    wanted_tokens: int
    cap_tokens: int
    least_tokens: int
    shares: bool

    @property
    def input_ubt(self) -> int:
        """The input part."""
        return self.text_tokens * self.input_rate_ubt + self.fixed_ubt


class Admitted(msgspec.Struct, gc=False):
    """A granted hold: what it covers and what the wallet could still give."""

    op: HoldOp
    bound: Bound
    held_ubt: int
    available_ubt: int
    is_limitable: bool = True
    counted_input: int | None = None

    def output_limit(self) -> int | None:
        """Return the tokens of output to limit the upstream to, None if credit affords it all.

        An answer in one piece is limited to its own hold; a stream may grow into what is left.
        """
        bound = self.bound
        if not bound.output_rate_ubt or not self.is_limitable:
            return None
        output_ubt = self.held_ubt - self.op.input_ubt
        if output_ubt + self.available_ubt >= bound.cap_tokens * bound.output_rate_ubt:
            return None
        if self.op.stream:
            output_ubt += self.available_ubt
        return output_ubt // bound.output_rate_ubt


def bound_of(facts: RequestFacts, price: Price) -> Bound:
    """Return what a request can cost at most, its text bounded by bytes."""
    text_tokens = facts.text_bytes + facts.token_ids
    item_tokens = 0
    if facts.images or facts.files:
        item_tokens = facts.images * (price.image_input_tokens or _IMAGE_TOKENS)
        item_tokens += facts.files * price.file_input_tokens or facts.file_bytes
    audio_tokens = 0
    if facts.audio:
        seconds = facts.audio_bytes // _AUDIO_BYTES_PER_SECOND + facts.audio
        audio_tokens = seconds * (price.audio_second_tokens or _AUDIO_SECOND_TOKENS)
    ubt = price.ubt
    if price.tiers:
        ubt = _worst_rates(price, text_tokens + item_tokens + audio_tokens)
    input_rate = max(ubt[_INPUT], ubt[_CACHED])
    if facts.cache_write:
        written_1h = ubt[_WRITE_1H] if facts.cache_write == "1h" else 0
        input_rate = max(input_rate, ubt[_WRITE_5M], written_1h)
    fixed = item_tokens * input_rate + audio_tokens * ubt[_AUDIO_IN] + ubt[_REQUEST]
    fixed += facts.searches * ubt[_SEARCH] + facts.drawings * ubt[_IMAGE]
    if facts.units is not None:
        fixed += sum(map(mul, astuple(facts.units), ubt))
    output_rate = max(ubt[_OUTPUT], ubt[_REASONING])
    if facts.wants_audio:
        output_rate = max(output_rate, ubt[_AUDIO_OUT])
    wanted, cap = _output_tokens(facts, price)
    is_limitable = facts.endpoint.takes_limit
    return Bound(
        text_tokens=text_tokens,
        input_rate_ubt=input_rate,
        fixed_ubt=fixed,
        output_rate_ubt=output_rate if cap else 0,
        wanted_tokens=wanted,
        cap_tokens=cap,
        least_tokens=min(LEAST_OUTPUT_TOKENS * facts.choices, cap) if is_limitable else wanted,
        shares=is_limitable and facts.output_limit is None,
    )


def _worst_rates(price: Price, input_tokens: int) -> tuple[int, ...]:
    """Return the highest rates that any input up to this bound can meet."""
    reached = [tier.ubt for tier in price.tiers if tier.min_input <= input_tokens]
    return tuple(map(max, price.ubt, *reached)) if reached else price.ubt


def _output_tokens(facts: RequestFacts, price: Price) -> tuple[int, int]:
    """Return the output tokens to hold at first, and the most there can be."""
    if not facts.endpoint.writes:
        return 0, 0
    cap = price.output_limit or max(UNKNOWN_CAP_TOKENS, 4 * price.usual_output)
    wanted = price.usual_output
    if facts.output_limit is not None:
        wanted = min(facts.output_limit, price.output_limit or facts.output_limit)
        cap = wanted
    wanted = min(wanted, cap)
    if not facts.endpoint.takes_limit:
        wanted = cap
    elif facts.stream and not price.is_reasoning:
        wanted = min(wanted, FIRST_STREAM_TOKENS)
    return wanted * facts.choices + facts.echoed_bytes, cap * facts.choices + facts.echoed_bytes


class Room:
    """Who runs and who waits for a hold to end, by wallet."""

    def __init__(self) -> None:
        self._waiters: dict[int, list[asyncio.Future[None]]] = {}
        self._running: dict[int, int] = {}

    def enter(self, wallet_id: int) -> None:
        """A request of this wallet has been granted its hold."""
        self._running[wallet_id] = self._running.get(wallet_id, 0) + 1

    def leave(self, wallet_id: int) -> None:
        """It has ended."""
        left = self._running[wallet_id] - 1
        if left:
            self._running[wallet_id] = left
        else:
            del self._running[wallet_id]

    def is_shared(self, wallet_id: int) -> bool:
        """Say whether several requests of a wallet run in this process."""
        return self._running.get(wallet_id, 0) > 1

    def wake(self, wallet_id: int) -> None:
        """Something of this wallet has been given back."""
        for waiter in self._waiters.pop(wallet_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, wallet_id: int, *, timeout_s: float) -> None:
        """Wait for the next wake of a wallet; other processes' holds are only found by time."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(wallet_id, [])
        waiters.append(waiter)
        try:
            await asyncio.wait([waiter], timeout=timeout_s)
        finally:
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters and self._waiters.get(wallet_id) is waiters:
                del self._waiters[wallet_id]


async def reserve(
    ledger: LedgerBatch, room: Room, op: HoldOp, *, bound: Bound, body: bytes, facts: RequestFacts
) -> Admitted:
    """Hold what the request may cost at most; raises the error that a refusal means.

    `op` comes without amounts.
    """
    op.shares = bound.shares
    op.input_ubt = bound.input_ubt
    op.output_ubt = bound.wanted_tokens * bound.output_rate_ubt
    op.least_output_ubt = bound.least_tokens * bound.output_rate_ubt
    admitted = Admitted(op, bound, 0, 0, facts.endpoint.takes_limit)
    answer = await _ask(ledger, op)
    if answer.grant is not Grant.GRANTED:
        answer = await _insist(ledger, room, admitted, answer, body=body, facts=facts)
    admitted.held_ubt, admitted.available_ubt = answer.amount_ubt, answer.available_ubt
    return admitted


async def _insist(
    ledger: LedgerBatch,
    room: Room,
    admitted: Admitted,
    answer: HoldAnswer,
    *,
    body: bytes,
    facts: RequestFacts,
) -> HoldAnswer:
    """Return the answer to a hold that was refused at first: counted exactly, or after a wait."""
    op, bound = admitted.op, admitted.bound
    if _may_count(answer, op, bound) and not facts.is_token_ids:
        counted = await asyncio.to_thread(counted_prompt, body, facts, is_bound=True)
        if counted < bound.text_tokens:
            admitted.counted_input = counted
            admitted.bound = bound._replace(text_tokens=counted)
            op.input_ubt = admitted.bound.input_ubt
            answer = await _ask(ledger, op)
    if answer.grant is Grant.HELD_BY_OTHERS:
        answer = await _ask_patiently(ledger, room, op)
    if answer.grant is not Grant.GRANTED:
        raise _REFUSALS[answer.grant]()
    return answer


def _may_count(answer: HoldAnswer, op: HoldOp, bound: Bound) -> bool:
    """Say whether counting the text could change the answer; refusals must stay cheap."""
    if answer.grant is Grant.HELD_BY_OTHERS:
        return True
    if answer.grant not in _USED_UP:
        return False
    least = bound.text_tokens // MOST_BYTES_PER_TOKEN * bound.input_rate_ubt + bound.fixed_ubt
    return least + op.least_output_ubt <= answer.available_ubt


async def _ask(ledger: LedgerBatch, op: HoldOp) -> HoldAnswer:
    future = ledger.hold(op)
    try:
        return await future
    except asyncio.CancelledError:
        # Cancelled in the very turn in which the answer came: the batch thinks that we have it.
        is_answered = future.done() and not future.cancelled() and future.exception() is None
        if is_answered and future.result().grant is Grant.GRANTED:
            ledger.settle(void_of(op, status=499, error_type="caller_gone"))
        raise


async def _ask_patiently(ledger: LedgerBatch, room: Room, op: HoldOp) -> HoldAnswer:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + WAIT_S
    while True:
        left_s = give_up_at - loop.time()
        await room.wait(op.wallet_id, timeout_s=max(0.001, min(LOOK_AGAIN_S, left_s)))
        answer = await _ask(ledger, op)
        if answer.grant is not Grant.HELD_BY_OTHERS or left_s <= LOOK_AGAIN_S:
            return answer


def counted_prompt(body: bytes, facts: RequestFacts, *, is_bound: bool = False) -> int:
    """Return the tokens of a request's text. For a worker thread."""
    return tokens.count_prompt(
        facts.endpoint.dialect.prompt(body),
        facts.model,
        messages=facts.messages,
        token_ids=facts.token_ids,
        is_bound=is_bound,
    )


_USED_UP = frozenset({Grant.INSUFFICIENT, Grant.CAP, Grant.BUDGET})

_REFUSALS: dict[Grant, type[RelayError]] = {
    Grant.INSUFFICIENT: InsufficientQuota,
    Grant.CAP: InsufficientQuota,
    Grant.BUDGET: InsufficientQuota,
    Grant.HELD_BY_OTHERS: QuotaHeld,
    Grant.WALLET_BLOCKED: KeyDisabled,
    Grant.KEY_DISABLED: KeyDisabled,
    Grant.WALLET_EXPIRED: KeyExpired,
    Grant.KEY_EXPIRED: KeyExpired,
    Grant.WHOLESALE: NoChannel,
    Grant.CONFLICT: RelayError,
    Grant.CLOSED: RelayError,
    Grant.FAILED: LedgerUnavailable,
}


def window_of(key: KeyEntry, time_zone: str) -> Window | None:
    """Return the budget window of a key at this moment, None without a budget."""
    if key.budget_ubt is None or not key.budget_period:
        return None
    today = datetime.now(ZoneInfo(time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    if key.budget_period == "week":
        today -= timedelta(days=today.weekday())
    elif key.budget_period == "month":
        today = today.replace(day=1)
    return Window(key.budget_period, int(today.astimezone(UTC).timestamp()), key.budget_ubt)
