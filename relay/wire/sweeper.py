"""One coarse timer for all deadlines of a client, instead of a timer object per request.

Runs only while something is watched (every 0.25 s) or idle connections must be closed (every 5 s).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.wire.exchange import Exchange

logger = logging.getLogger(__name__)

TICK_S = 0.25
IDLE_TICK_S = 5.0


class Sweeper:
    """Ends overdue exchanges; `prune(now)` closes stale connections and says if more are idle."""

    __slots__ = ("_busy", "_handle", "_loop", "_prune", "_prune_at", "watched")

    def __init__(self, loop: asyncio.AbstractEventLoop, prune: Callable[[float], bool]) -> None:
        self.watched: set[Exchange] = set()
        self._loop = loop
        self._prune = prune
        self._prune_at = 0.0
        self._busy = False
        self._handle: asyncio.TimerHandle | None = None

    def watch(self, exchange: "Exchange") -> None:
        """Watch an exchange's deadline until it is discarded from `watched`."""
        self.watched.add(exchange)
        if not self._busy:
            self._busy = True
            self._arm(TICK_S)

    def stop(self) -> None:
        """Stop for good."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, delay_s: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._handle = None
        now = self._loop.time()
        for exchange in [each for each in self.watched if each.deadline <= now]:
            self._expire(exchange, now)
        some_idle = True
        if now >= self._prune_at or not self.watched:
            self._prune_at = now + IDLE_TICK_S
            some_idle = self._prune(now)
        self._busy = bool(self.watched)
        if self._busy:
            self._arm(TICK_S)
        elif some_idle:
            self._arm(IDLE_TICK_S)

    def _expire(self, exchange: "Exchange", now: float) -> None:
        try:
            exchange.expire(now)
        except Exception:  # one exchange's fault must not leave the others without time-outs
            logger.exception("fault while ending an overdue exchange")
            self.watched.discard(exchange)
