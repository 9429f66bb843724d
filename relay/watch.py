"""What happens slowly: clients leave, bodies trickle, readers stall; checkpoints and comments.

One timer for all calls and streams of the process instead of one for each; it rests while nothing
runs. A call that ends within a tick never costs more than a place in a list.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from relay.call import Call
from relay.errors import BodyTimeout
from relay.protocols.base import RequestFacts
from relay.pulse import Pulse

TICK_S = 0.1
CHECKPOINT_S = 2.0
_QUIETLY = nullcontext()


class Watched(Protocol):
    """An answer under way: since when its client has not taken what was pushed (0.0: it has)."""

    call: Call
    checkpoint_due_at: float
    pushing_since: float

    async def checkpoint(self) -> None:
        """Store what has been delivered so far."""


class Watch:
    """Looks after the calls and streams that are under way."""

    def __init__(
        self, *, receive_s: float, stalled_reader_s: float, keepalive_s: float = 0.0
    ) -> None:
        self.streams: set[Watched] = set()
        self.pulses: set[Pulse] = set()
        self._receive_s = receive_s
        self._stalled_reader_s = stalled_reader_s
        self._keepalive_s = keepalive_s
        self._young: list[Call] = []
        self._receiving: list[Call] = []
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, call: Call) -> None:
        """Watch a call from the next tick but one, unless it has been answered by then."""
        self._young.append(call)
        if self._timer is None:
            self._wake()

    def follow(self, stream: Watched) -> None:
        """Look after a stream until it is taken out of `streams`."""
        self.streams.add(stream)
        self._wake()  # its call may be older than a tick, and the timer asleep

    def keeping_alive(self, call: Call, facts: RequestFacts) -> AbstractContextManager[None]:
        """Send comments into the silence of an answer, if it is of events and that is wanted."""
        is_wanted = self._keepalive_s and facts.stream and facts.shape is None
        return self._beating(call, facts.endpoint.filler) if is_wanted else _QUIETLY

    @contextmanager
    def _beating(self, call: Call, filler: bytes) -> Iterator[None]:
        pulse = Pulse(call, filler=filler, period_s=self._keepalive_s, now=time.monotonic())
        self.pulses.add(pulse)
        self._wake()
        try:
            yield
        finally:
            self.pulses.discard(pulse)
            pulse.end()

    def stop(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        young, self._young = self._young, []
        receiving, self._receiving = self._receiving, []
        for call in (*young, *receiving):
            if call.is_answered:
                continue
            if call.is_received:
                call.watch()
            elif now - call.entered_at > self._receive_s:
                call.interrupt(BodyTimeout())
            else:
                self._receiving.append(call)
        for stream in self.streams:
            self._look_at(stream, now)
        for pulse in self.pulses:
            if pulse.is_due(now):
                self._start(pulse.beat())
        if self._young or self._receiving or self.streams or self.pulses:
            self._timer = self._loop.call_later(TICK_S, self._tick)
        else:
            self._timer = None

    def _look_at(self, stream: Watched, now: float) -> None:
        if stream.pushing_since and now - stream.pushing_since > self._stalled_reader_s:
            stream.call.abandon()
        elif now >= stream.checkpoint_due_at:
            stream.checkpoint_due_at = now + CHECKPOINT_S
            self._start(stream.checkpoint())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
