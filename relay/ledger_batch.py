"""Group commit: the one bridge from the event loop to the ledger.

While one batch is being committed the next one collects. A thread of its own owns the database
connection; the loop hands it whole batches and gets whole answers back. A settle is lazy: it rides
with the next hold, with the next tick, or with 64 of its kind, because its client waits for
nothing any more and the hold protects the money. While the database is away holds are refused at
once, settles wait in memory, and what lands late is given back (R9).

Everything but `_Committer` runs on the loop. Called by `admission`, `exchange` and `streaming`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from billing.ledger.ops import (
    Answers,
    Grant,
    HoldAnswer,
    HoldOp,
    ProgressAnswer,
    ProgressOp,
    SettleOp,
    UsageFacts,
)
from billing.pricing import Counts
from relay.committer import Committer, Parcel
from relay.errors import LedgerUnavailable, RelayError

MAX_BATCH = 512
MAX_WAITING_SETTLES = 64
TICK_S = 0.1
PATIENCE_S = 1.0

_NOTHING = Counts()


def void_of(op: HoldOp, *, status: int, error_type: str) -> SettleOp:
    """Return the settle that releases a hold and charges nothing."""
    return SettleOp(
        id=op.id,
        tenant_id=op.tenant_id,
        wallet_id=op.wallet_id,
        key_id=op.key_id,
        actual_ubt=0,
        facts=UsageFacts(
            counts=_NOTHING,
            model_asked=op.model_asked,
            model_served=op.model_served,
            endpoint=op.endpoint,
            retail_price_id=op.retail_price_id,
            resolution="voided",
            usage_source="none",
            status=status,
            error_type=error_type,
            stream=op.stream,
            line_id=op.line_id,
        ),
        wholesale_wallet_id=op.wholesale_wallet_id,
    )


class LedgerBatch:
    """Collects operations, hands them over, and gives each caller its answer.

    `open` holds the ids of every hold of this process, from before it is sent until its settle has
    landed; all of them heartbeat. `on_room(wallet_id)` is called when a settle has landed,
    `on_death()` when the thread has ended by a fault of ours.
    """

    def __init__(
        self,
        committer: Committer,
        *,
        heartbeat_period_s: float,
        on_room: Callable[[int], None] = lambda wallet_id: None,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self.open: dict[bytes, None] = {}
        self.is_away = False
        self._committer = committer
        self._on_room = on_room
        self._on_death = on_death
        self._heartbeat_period_s = heartbeat_period_s
        self._loop = asyncio.get_running_loop()
        self._next_heartbeat = self._loop.time() + heartbeat_period_s
        self._waiting = Parcel()
        self._sent: Parcel | None = None
        self._sent_at = 0.0
        self._is_kicked = False
        self._timer: asyncio.TimerHandle | None = None
        self._settled_count = 0
        self._landed_count = 0
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []

    async def start(self) -> None:
        """Start the thread and wait until it has its connection; raises what opening raised."""
        await self._committer.start(
            self._loop, self.open, on_landed=self._landed, on_died=self._died
        )

    async def stop(self, *, within_s: float) -> None:
        """Hand over what waits, wait until it has landed, and end the thread.

        What does not land in time is the reaper's.
        """
        try:
            async with asyncio.timeout(within_s):
                while self.waiting_count and not self._committer.is_dead:
                    await self._flushed_or_away()
        except TimeoutError:
            pass
        if self._timer is not None:
            self._timer.cancel()
        await self._committer.stop(within_s=1.0 if not self.is_away else 0.0)

    async def _flushed_or_away(self) -> None:
        """Wait until all has landed, or for a moment while the database is away."""
        try:
            await self.flushed()
        except LedgerUnavailable:
            await asyncio.sleep(TICK_S)

    # What a request calls.

    def hold(self, op: HoldOp) -> "asyncio.Future[HoldAnswer]":
        """Return the coming answer; raises LedgerUnavailable at once while the database is away.

        A caller that is cancelled need do nothing: a hold that nobody waits for is given back.
        """
        if self.is_away:
            raise LedgerUnavailable
        future: asyncio.Future[HoldAnswer] = self._loop.create_future()
        self.open[op.id] = None
        self._waiting.holds.append(op)
        self._waiting.hold_futures.append(future)
        if self._sent is None:
            self._kick()
        return future

    def progress(self, op: ProgressOp) -> "asyncio.Future[ProgressAnswer]":
        """Return the coming answer; while the database is away it keeps waiting."""
        future: asyncio.Future[ProgressAnswer] = self._loop.create_future()
        if self._committer.is_dead:
            future.set_exception(LedgerUnavailable())
            return future
        self._waiting.progresses.append(op)
        self._waiting.progress_futures.append(future)
        self._kick()
        return future

    def settle(self, op: SettleOp) -> None:
        """Resolve a hold, soon. Nobody waits; it is repeated until it has landed."""
        self._settled_count += 1
        self._waiting.settles.append(op)
        if len(self._waiting.settles) >= MAX_WAITING_SETTLES:
            self._kick()
        elif self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)

    async def flushed(self) -> None:
        """Wait until every settle of before has landed; raises LedgerUnavailable when away."""
        if self._landed_count >= self._settled_count:
            return
        if self.is_away:
            raise LedgerUnavailable
        future: asyncio.Future[None] = self._loop.create_future()
        self._flushes.append((self._settled_count, future))
        self._kick()
        await future

    @property
    def waiting_count(self) -> int:
        """Number of settles that have not landed."""
        return self._settled_count - self._landed_count

    # How batches come and go.

    def _kick(self) -> None:
        """Send a batch at the end of this turn of the loop, unless one is under way."""
        if self._sent is None and not self._is_kicked:
            self._is_kicked = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._is_kicked = False
        if self._sent is not None:
            return
        parcel = self._take()
        self._sent = parcel
        self._sent_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)
        self._committer.send(parcel)

    def _take(self) -> Parcel:
        waiting = self._waiting
        if waiting.count <= MAX_BATCH:
            self._waiting = Parcel()
            taken = waiting
        else:
            taken = waiting.piece(0, MAX_BATCH)
            self._waiting = waiting.piece(MAX_BATCH, waiting.count)
        now = self._loop.time()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + self._heartbeat_period_s
            taken.heartbeats = list(self.open)
        return taken

    def _tick(self) -> None:
        """Look after what is lazy or late, as long as there is anything."""
        self._timer = None
        now = self._loop.time()
        if self._sent is not None:
            if now - self._sent_at > PATIENCE_S:
                self._go_away()
        elif self._waiting.count or (self.open and now >= self._next_heartbeat):
            self._kick()
        if self.open or self._sent is not None or self._waiting.count:
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def _go_away(self) -> None:
        """Stop waiting: tell every waiting hold, and refuse new ones until the batch has landed."""
        self.is_away = True
        waiting = self._waiting
        for op in waiting.holds:
            self.open.pop(op.id, None)
        for future in (*(self._sent.hold_futures if self._sent else ()), *waiting.hold_futures):
            _fail(future)
        waiting.holds, waiting.hold_futures = [], []
        flushes, self._flushes = self._flushes, []
        for _, flush in flushes:
            _fail(flush)

    def _landed(self, parcel: Parcel, answers: Answers) -> None:
        """Give every caller its answer, then send what has collected meanwhile."""
        self._sent = None
        self.is_away = self._committer.is_dead
        try:
            self._deliver(parcel, answers)
            self._wake_flushes()
        finally:
            if self._waiting.holds or self._waiting.progresses or self._is_due():
                self._kick()

    def _is_due(self) -> bool:
        return bool(self._flushes) or len(self._waiting.settles) >= MAX_WAITING_SETTLES

    def _deliver(self, parcel: Parcel, answers: Answers) -> None:
        for settle in parcel.settles:
            self.open.pop(settle.id, None)
            self._landed_count += 1
            self._on_room(settle.wallet_id)
        for progress, growth in zip(parcel.progress_futures, answers.progresses, strict=True):
            if not progress.done():
                progress.set_result(growth)
        for op, waiter, held in zip(parcel.holds, parcel.hold_futures, answers.holds, strict=True):
            if held.grant is not Grant.GRANTED:
                self.open.pop(op.id, None)
            if not waiter.done():
                waiter.set_result(held)
            elif held.grant is Grant.GRANTED:
                self._give_back(op, told=None if waiter.cancelled() else waiter.exception())

    def _give_back(self, op: HoldOp, *, told: BaseException | None) -> None:
        """Void a hold that nobody waits for: its client has left or was told 503."""
        if isinstance(told, RelayError):
            self.settle(void_of(op, status=told.status, error_type=told.error_type))
        else:
            self.settle(void_of(op, status=499, error_type="caller_gone"))

    def _wake_flushes(self) -> None:
        while self._flushes and self._flushes[0][0] <= self._landed_count:
            future = self._flushes.pop(0)[1]
            if not future.done():
                future.set_result(None)

    def _died(self, error: BaseException) -> None:
        """Fail closed: without its thread this process can take no hold any more."""
        self._go_away()
        for parcel in (self._sent, self._waiting):
            for future in parcel.progress_futures if parcel else ():
                _fail(future)
        self._on_death()


def _fail(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_exception(LedgerUnavailable())
