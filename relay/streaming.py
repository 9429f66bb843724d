"""A stream on its way to the client: pass whole events on, meter them, grow the hold, end fairly.

Two numbers per stream. The bound (bytes not yet counted, plus tokens counted) decides when the hold
must grow; nothing is delivered, and nothing more read, beyond what is held. The count (tokens, in
blocks, off the loop) is what a checkpoint stores and what an interrupted stream is charged. Never
the bound: a chunk is not a token. Called by `exchange`; `watch` asks for checkpoints.
"""

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from billing.ledger.ops import Growth, ProgressAnswer, ProgressOp
from billing.pricing import Counts, charge, input_total
from relay import tokens
from relay.admission import LOOK_AGAIN_S, UNLIMITED_TOKENS, WAIT_S
from relay.booking import progress_op
from relay.errors import InsufficientQuota, RelayError, UpstreamFailed
from relay.forwarding import Started, last_event
from relay.headers import EVENT_STREAM, Header, passed_to_client
from relay.protocols.base import EventFacts
from relay.providers.base import transport_failure
from relay.tokens import TokenMeter
from relay.upstream import UpstreamError
from relay.watch import CHECKPOINT_S

if TYPE_CHECKING:
    from relay.exchange import Exchange

LEAST_GROWTH_TOKENS = 1_024
MOST_GROWTH_TOKENS = 8_192
# The hold is looked after while there is still so much of it left, but not before 3/4 are used.
AHEAD_TOKENS = 384
# So much uncounted text may bound a stream far too high: it is counted before more is held.
WORTH_COUNTING_BYTES = 256
ASK_AGAIN_S = 1.0


class UpstreamBroke(Exception):
    """The upstream has said in mid-stream that it failed."""


class Stream:
    """One stream. `checkpoint_due_at` and `pushing_since` are for `watch`."""

    __slots__ = (
        "_ahead_at_tokens",
        "_ask_again_at",
        "_counting",
        "_covered_tokens",
        "_exchange",
        "_growth",
        "_has_delivered",
        "_has_pushed",
        "_is_latest",
        "_is_whole",
        "_meter",
        "_started",
        "_usage",
        "call",
        "checkpoint_due_at",
        "pushing_since",
    )

    def __init__(self, exchange: "Exchange", started: Started) -> None:
        self.call = exchange.call
        self.checkpoint_due_at = time.monotonic() + CHECKPOINT_S
        self.pushing_since = 0.0
        self._exchange = exchange
        self._started = started
        self._meter = TokenMeter(exchange.facts.model)
        self._covered_tokens = self._ahead_at_tokens = 0
        self._cover()
        self._counting: asyncio.Task[None] | None = None
        self._growth: asyncio.Future[ProgressAnswer] | None = None
        self._ask_again_at = 0.0
        self._has_pushed = False
        self._has_delivered = False
        # Of what has been passed on; text that follows makes both usage and end a passing matter.
        self._usage: Counts | None = None
        self._is_latest = False
        self._is_whole = False

    async def run(self) -> None:
        """Deliver the stream to its end, clean or not, and charge what has been delivered."""
        watch = self._exchange.services.watch
        watch.follow(self)
        try:
            await self._conclude(await self._deliver_and_charge())
        finally:
            watch.streams.discard(self)
        await self.charge_counted()

    async def _deliver_and_charge(self) -> RelayError | None:
        try:
            return await self._deliver()
        finally:
            self._started.response.close()
            self._charge()

    async def _conclude(self, error: RelayError | None) -> None:
        """End the answer; `watch` gives up on a client that does not even read its end."""
        self.pushing_since = time.monotonic()
        if error is None:
            await self.call.end()
        else:
            # The event, and then no clean end: to an SDK that would look like a whole answer.
            await self.call.push(self.call.errors.event(error, self.call.request_id))
            self.call.drop()

    async def _deliver(self) -> RelayError | None:
        """Pass everything on; return what the client must be told in the end, None if all is well.

        Anything else that ends a stream (the client has gone, the relay stops) is raised.
        """
        exchange = self._exchange
        await self.call.start(200, self._headers())
        exchange.status = 200
        try:
            await self._pump()
        except InsufficientQuota as used_up:
            exchange.error_type = used_up.error_type
            return used_up
        except UpstreamBroke:
            exchange.error_type = "upstream_error_event"
        except UpstreamError as broken:
            exchange.error_type = transport_failure(broken).error_type
        else:
            exchange.error_type = "upstream_cut"
        if not self._is_whole:
            return UpstreamFailed()
        exchange.error_type = ""
        if self._started.translator is not None:
            await self.call.push(self._started.translator.end())
        return None

    def _headers(self) -> list[Header]:
        passed = passed_to_client(self._started.response.headers)
        kept = [header for header in passed if header[0] != b"content-type"]
        shape = self._exchange.facts.shape
        if shape is None:
            return [*EVENT_STREAM, *kept]
        return [(b"content-type", shape.content_type), *EVENT_STREAM[1:], *kept]

    # Passing on.

    async def _pump(self) -> None:
        started = self._started
        response, read, feed = started.response, started.reader.read, started.splitter.feed
        await self._pass_on(started.events)
        started.events = []
        while not started.has_ended:
            chunk = await response.next_chunk()
            if chunk:
                events = feed(chunk)
            else:
                started.has_ended = True
                events = last_event(started.splitter)
            await self._pass_on([(event, read(event)) for event in events])

    async def _pass_on(self, events: list[tuple[bytes, EventFacts]]) -> None:
        """Push whole events as they are, as far as the hold covers them."""
        out: list[bytes] = []
        has_content = False
        wants_usage = self._exchange.facts.wants_usage
        meter, translator = self._meter, self._started.translator
        for event, facts in events:
            if facts.error is not None:
                await self._push(out, has_content)
                raise UpstreamBroke
            if facts.is_usage_only and not wants_usage and translator is None:
                self._usage = facts.usage
                self._is_latest = self._is_whole = True
                continue
            text = facts.text
            if text:
                size = len(text) if text.isascii() else len(text.encode())
                if meter.bound + size > self._ahead_at_tokens:
                    self._look_ahead()
                    if meter.bound + size > self._covered_tokens:
                        await self._push(out, has_content)
                        out = []
                        await self._make_room(text, size)
                meter.add(text)
                self._is_latest = self._is_whole = False
            if facts.usage is not None:
                self._usage = facts.usage
                self._is_latest = True
            if facts.finished or facts.done or facts.is_usage_only:
                self._is_whole = True
            has_content = has_content or facts.has_content
            told = event if translator is None else translator.feed(event, facts)
            if told:
                out.append(told)
        await self._push(out, has_content)

    async def _push(self, events: list[bytes], has_content: bool) -> None:
        if not events:
            return
        if has_content and not self._has_delivered:
            self._has_delivered = True
            self._exchange.first_content_at = time.monotonic()
        self._has_pushed = True
        self.pushing_since = time.monotonic()
        await self.call.push(b"".join(events) if len(events) > 1 else events[0])
        self.pushing_since = 0.0

    # The hold grows.

    def _look_ahead(self) -> None:
        """Count, or ask the hold to grow, without waiting for it; take over a growth that came."""
        if self._growth is not None:
            if self._growth.done():
                self._take_growth()
        elif self._counting is not None and not self._counting.done():
            return
        elif self._meter.pending_bytes >= WORTH_COUNTING_BYTES:
            self._counting = asyncio.create_task(self._count_exactly())
        elif self._covered_tokens < self._exchange.admitted.bound.cap_tokens:
            self._ask_growth()

    def _ask_growth(self, *, lacking_tokens: int = 0) -> None:
        now = time.monotonic()
        if now < self._ask_again_at:
            return
        admitted = self._exchange.admitted
        step = min(max(self._meter.bound, LEAST_GROWTH_TOKENS), MOST_GROWTH_TOKENS)
        more_ubt = max(step, lacking_tokens) * admitted.bound.output_rate_ubt
        self._growth = self._exchange.services.ledger.progress(
            self._progress(wanted_ubt=admitted.held_ubt + more_ubt)
        )

    def _take_growth(self) -> None:
        """Note what a growth has brought."""
        growth, self._growth = self._growth, None
        if growth is None or growth.exception() is not None:
            return
        answer = growth.result()
        if answer.growth is Growth.RECORDED:
            self._exchange.admitted.held_ubt = answer.amount_ubt
            self._cover()
        else:
            self._ask_again_at = time.monotonic() + ASK_AGAIN_S

    def _cover(self) -> None:
        """Work out what the hold covers, with the prompt's own count where it is known."""
        admitted, prompt = self._exchange.admitted, self._exchange.prompt_tokens
        bound, input_ubt = admitted.bound, admitted.op.input_ubt
        if prompt is not None:
            input_ubt = min(input_ubt, prompt * bound.input_rate_ubt + bound.fixed_ubt)
        rate = bound.output_rate_ubt
        covered = (admitted.held_ubt - input_ubt) // rate if rate else UNLIMITED_TOKENS
        self._covered_tokens = covered
        self._ahead_at_tokens = covered - min(AHEAD_TOKENS, covered // 4)

    async def _make_room(self, text: str, size: int) -> None:
        """Return once the hold covers this text; raises InsufficientQuota if it can't.

        What was delivered is counted first, for its bytes may have bounded it far too high.
        """
        await self._count_exactly()
        if self._fits(size) or await self._grow(size):
            return
        # What others of the wallet hold may come back in a moment.
        room, wallet_id = self._exchange.services.room, self._exchange.key.wallet_id
        give_up_at = time.monotonic() + WAIT_S
        while room.is_shared(wallet_id) and time.monotonic() < give_up_at:
            await room.wait(wallet_id, timeout_s=LOOK_AGAIN_S)
            self._ask_again_at = 0.0
            if await self._grow(size):
                return
        if not self._fits(await asyncio.to_thread(tokens.count, text, self._exchange.facts.model)):
            raise InsufficientQuota

    def _fits(self, more_tokens: int) -> bool:
        return self._meter.bound + more_tokens <= self._covered_tokens

    async def _grow(self, size: int) -> bool:
        """Wait for the growth that is under way, ask for what still lacks; say if that will do."""
        if self._growth is not None:
            await asyncio.wait([self._growth])
            self._take_growth()
        if not self._fits(size):
            self._ask_growth(lacking_tokens=self._meter.bound + size - self._covered_tokens)
            if self._growth is not None:
                await asyncio.wait([self._growth])
                self._take_growth()
        return self._fits(size)

    async def _count_exactly(self) -> None:
        await self._exchange.count_prompt()
        await self._meter.count_pending()
        self._cover()

    # What is charged, and what a crash would be charged.

    async def checkpoint(self) -> None:
        """Store what has been delivered so far."""
        await self._count_exactly()
        if self in self._exchange.services.watch.streams:
            self._exchange.services.ledger.progress(self._progress(wanted_ubt=0))

    def _progress(self, *, wanted_ubt: int) -> ProgressOp:
        exchange = self._exchange
        # A hold has no place for anything else that was delivered; a crash forgoes it.
        counted = self._counted()
        counts = Counts(input=counted.input, output=counted.output)
        return progress_op(
            exchange,
            counted_input=counts.input,
            counted_output=counts.output,
            delivered_ubt=charge(exchange.price, counts) if self._has_delivered else 0,
            wanted_ubt=wanted_ubt,
        )

    def _counted(self) -> Counts:
        return self._exchange.counted(self._meter.counted)

    def _charge(self) -> bool:
        """Charge what is known now; say whether that is final."""
        usage, exchange = self._usage, self._exchange
        if usage is not None and self._is_whole and self._is_latest and self._has_pushed:
            exchange.charge(usage, source="upstream")
            return True
        if not self._has_delivered:
            return True
        counts, source = _more_of(usage, self._counted())
        exchange.charge(counts, source=source)
        return False

    async def charge_counted(self) -> None:
        """Charge by the count, unless a final usage is there to go by."""
        if not self._charge():
            await self._count_exactly()
            self._charge()


def _more_of(usage: Counts | None, counted: Counts) -> tuple[Counts, str]:
    """Return what an answer without a final usage has come to, and who says so.

    A running usage knows the prompt best, and output that we can't see; of the text that was
    delivered after it, it knows nothing. Some know only what is no token.
    """
    if usage is None:
        return counted, "counted"
    if not input_total(usage):
        units = max(counted.search, usage.search), max(counted.image, usage.image)
        return msgspec.structs.replace(counted, search=units[0], image=units[1]), "counted"
    unseen = counted.output - (usage.output + usage.reasoning + usage.audio_out)
    if unseen <= 0:
        return usage, "upstream"
    return msgspec.structs.replace(usage, output=usage.output + unseen), "counted"
