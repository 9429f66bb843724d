"""Idle and busy connections of one origin: newest first, bounded in number, age and idleness.

Used by the client only. One pool serves one origin under one address policy, so that a connection
made for an operator's private channel never serves a call that may use public addresses only.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from dataclasses import dataclass

from relay.wire.addresses import AddressPolicy
from relay.wire.connection import Connection
from relay.wire.dialing import dial
from relay.wire.errors import ConnectTimeout, PoolFull
from relay.wire.origin import Origin
from relay.wire.sweeper import Sweeper


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds per origin. Servers close idle connections after 60 s or more: we do it first."""

    connections: int = 4096
    idle: int = 256
    waiting: int = 4096
    idle_s: float = 50.0
    age_s: float = 900.0


class Pool:
    """Connections of one origin."""

    __slots__ = (
        "_limits",
        "_origin",
        "_policy",
        "_tls",
        "_waiting",
        "count",
        "idle",
        "loop",
        "sweeper",
    )

    def __init__(
        self,
        origin: Origin,
        *,
        policy: AddressPolicy,
        limits: PoolLimits,
        tls: ssl.SSLContext | None,
        sweeper: Sweeper,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._origin = origin
        self._policy = policy
        self._limits = limits
        self._tls = tls
        self.sweeper = sweeper
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self.loop = loop
        self.idle: list[Connection] = []
        self.count = 0

    def take(self, now: float) -> Connection | None:
        """Return the connection that was used last, None if there is no fresh enough one."""
        oldest = now - self._limits.idle_s
        while self.idle:
            connection = self.idle.pop()
            if connection.idle_since >= oldest and not connection.transport.is_closing():
                return connection
            connection.drop()
        return None

    async def open(self, timeout_s: float) -> Connection:
        """Return a new connection, or the next one that becomes free when all are busy.

        Raises ConnectTimeout, ConnectFailed (PoolFull, TlsFailed) or AddressRefused.
        """
        try:
            async with asyncio.timeout(timeout_s):
                handed_over = await self._place()
                return handed_over or await self._dial(timeout_s)
        except TimeoutError:
            raise ConnectTimeout(f"no connection within {timeout_s:g} s") from None

    async def _place(self) -> Connection | None:
        """Return a freed connection, or None once a place to open one on is counted for us."""
        while self.count >= self._limits.connections:
            handed_over = await self._wait_for_turn()
            if handed_over is None or handed_over.open:
                return handed_over
        self.count += 1
        return None

    async def _dial(self, timeout_s: float) -> Connection:
        """Open a connection on a place that is counted already."""
        try:
            connection = await dial(
                self._origin,
                lambda: Connection(self),
                policy=self._policy,
                tls=self._tls,
                timeout_s=timeout_s,
            )
        except BaseException:  # a cancelled try gives its place back too
            self._free_place()
            raise
        connection.counted = True
        connection.opened_at = self.loop.time()
        return connection

    async def _wait_for_turn(self) -> Connection | None:
        """Return a freed connection, or None for a place to open one on."""
        if len(self._waiting) >= self._limits.waiting:
            raise PoolFull("too many calls wait for a connection")
        turn: asyncio.Future[Connection | None] = self.loop.create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on(turn.result())
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            raise

    def give_back(self, connection: Connection) -> None:
        """Take a connection whose answer is complete and read."""
        now = self.loop.time()
        if now - connection.opened_at >= self._limits.age_s:
            connection.drop()
        elif not self._waiting or not self._hand_over(connection):
            if len(self.idle) >= self._limits.idle:
                connection.drop()
                return
            connection.idle_since = now
            self.idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection has closed."""
        if connection.exchange is None:
            with contextlib.suppress(ValueError):
                self.idle.remove(connection)
        self._free_place()

    def prune(self, now: float) -> None:
        """Close what has been idle too long; the oldest lie at the front."""
        oldest = now - self._limits.idle_s
        for connection in [idle for idle in self.idle if idle.idle_since < oldest]:
            connection.drop()

    def close(self) -> None:
        """Close idle connections and turn away who waits."""
        for connection in list(self.idle):
            connection.drop()
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(PoolFull("the client is closing"))

    @property
    def unused(self) -> bool:
        """True when nothing is open and nobody waits."""
        return self.count == 0 and not self._waiting

    def _pass_on(self, turn: Connection | None) -> None:
        if turn is None:
            self._free_place()
        else:
            self.give_back(turn)

    def _free_place(self) -> None:
        if not self._hand_over(None):
            self.count -= 1

    def _hand_over(self, turn: Connection | None) -> bool:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(turn)
                return True
        return False
