"""The ledger's thread: commits whole batches, repeats them through faults.

Owned by `ledger_batch`, which is the loop's side of it. The thread has the engine and with it the
only database connection that writes balances in this process.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from billing.ledger.engine import Engine
from billing.ledger.isolate import commit
from billing.ledger.ops import (
    Answers,
    Batch,
    HoldAnswer,
    HoldOp,
    ProgressAnswer,
    ProgressOp,
    SettleOp,
)

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5


class Parcel:
    """Operations on their way, and who waits for their answers."""

    __slots__ = (
        "heartbeats",
        "hold_futures",
        "holds",
        "progress_futures",
        "progresses",
        "settles",
    )

    def __init__(self) -> None:
        self.settles: list[SettleOp] = []
        self.progresses: list[ProgressOp] = []
        self.progress_futures: list[asyncio.Future[ProgressAnswer]] = []
        self.holds: list[HoldOp] = []
        self.hold_futures: list[asyncio.Future[HoldAnswer]] = []
        self.heartbeats: list[bytes] = []

    @property
    def count(self) -> int:
        """Number of operations, heartbeats apart."""
        return len(self.settles) + len(self.progresses) + len(self.holds)

    def piece(self, start: int, stop: int) -> "Parcel":
        """Return operations `start` to `stop`, counted in the order in which they are executed."""
        taken = Parcel()
        taken.settles = self.settles[start:stop]
        start, stop = max(0, start - len(self.settles)), max(0, stop - len(self.settles))
        taken.progresses = self.progresses[start:stop]
        taken.progress_futures = self.progress_futures[start:stop]
        start, stop = max(0, start - len(self.progresses)), max(0, stop - len(self.progresses))
        taken.holds = self.holds[start:stop]
        taken.hold_futures = self.hold_futures[start:stop]
        return taken

    def batch(self) -> Batch:
        """Return what the engine is given."""
        return Batch(
            settles=self.settles,
            progresses=self.progresses,
            holds=self.holds,
            heartbeats=self.heartbeats,
        )


class Committer:
    """A thread that turns parcels into answers, in their order."""

    def __init__(self, engine: Engine) -> None:
        self.is_dead = False
        self._engine = engine
        self._queue: queue.SimpleQueue[Parcel | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._stopping = threading.Event()
        self._open: Mapping[bytes, None] = {}
        self._soon: Callable[..., Any] = print
        self._ready: asyncio.Future[None]
        self._on_landed: Callable[[Parcel, Answers], None]
        self._on_died: Callable[[BaseException], None]

    async def start(
        self,
        loop: asyncio.AbstractEventLoop,
        open_ids: Mapping[bytes, None],
        *,
        on_landed: Callable[[Parcel, Answers], None],
        on_died: Callable[[BaseException], None],
    ) -> None:
        """Start the thread; returns when its connection is open, raises what opening raised."""
        self._open = open_ids
        self._soon = loop.call_soon_threadsafe
        self._on_landed, self._on_died = on_landed, on_died
        self._ready = loop.create_future()
        self._thread.start()
        await self._ready

    def send(self, parcel: Parcel) -> None:
        """Hand a parcel over; `on_landed` is called with it on the loop."""
        self._queue.put(parcel)

    async def stop(self, *, within_s: float) -> None:
        """End the thread after the parcel it is at, if that ends in time."""
        self._queue.put(None)
        self._stopping.set()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, within_s)

    # From here on: the thread.

    def _run(self) -> None:
        try:
            self._engine.open()
        # Whatever opening raises is the starter's business.
        except BaseException as error:
            self.is_dead = True
            self._soon(self._ready.set_exception, error)
            return
        self._soon(self._ready.set_result, None)
        try:
            while (parcel := self._queue.get()) is not None:
                answers = self._commit(parcel)
                if answers is None:
                    break
                self._soon(self._on_landed, parcel, answers)
            self._engine.close()
        # A thread that dies in silence would leave every request waiting: say so, refuse holds.
        except BaseException as error:
            self.is_dead = True
            log.critical("ledger thread died", exc_info=error)
            self._soon(self._on_died, error)

    def _commit(self, parcel: Parcel) -> Answers | None:
        """Commit, repeating through faults with the same ids; None if told to stop meanwhile."""
        batch = parcel.batch()
        pause_s, was_lost = FIRST_PAUSE_S, False
        while True:
            try:
                if was_lost:
                    self._engine.reopen()
                    # The reaper may be back before us: show life first, then settle (R11).
                    commit(self._engine, Batch(heartbeats=list(self._open)))
                return commit(self._engine, batch)
            # The engine knows which errors a repeat can cure; any other ends the thread.
            except Exception as error:
                if not self._engine.is_retryable(error):
                    raise
                log.warning("ledger batch repeated", error=type(error).__name__)
            was_lost = True
            if self._stopping.wait(pause_s):
                return None
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
