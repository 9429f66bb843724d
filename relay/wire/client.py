"""The upstream client: one call in, one response out. `relay/upstream.py` is its only user."""

import asyncio
import ssl

from relay.wire.addresses import AddressPolicy
from relay.wire.connection import Connection
from relay.wire.dialing import default_tls
from relay.wire.errors import ConnectionLost, TotalTimeout
from relay.wire.exchange import Exchange
from relay.wire.messages import Timeouts, UpstreamRequest, render_head
from relay.wire.origin import Origin
from relay.wire.pool import Pool, PoolLimits
from relay.wire.sweeper import Sweeper

_DEFAULT_LIMITS = PoolLimits()


class WireClient:
    """HTTP/1.1 to any number of origins. Belongs to one event loop, bound at the first call."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, limits: PoolLimits = _DEFAULT_LIMITS
    ) -> None:
        self._tls = tls
        self._limits = limits
        self._pools: dict[tuple[Origin, AddressPolicy], Pool] = {}
        self._sweeper: Sweeper | None = None
        self._closed = False

    async def send(
        self,
        request: UpstreamRequest,
        timeouts: Timeouts,
        policy: AddressPolicy,
        *,
        stream: bool = False,
    ) -> Exchange:
        """Send a request and return its response: at its head if `stream`, else with its body.

        A body of more than 256 KiB is handed out before it has arrived whole even if not `stream`.
        A reused connection that turns out dead before any answer is replaced by a new one, once.
        Raises the leaves of `errors.UpstreamError`. Cancelling closes the connection at once.
        """
        head = render_head(request)
        pool = self._pool(request.origin, policy)
        now = pool.loop.time()
        total_at = now + timeouts.total_s
        connection = pool.take(now)
        if connection is None:
            connection = await self._connected(pool, timeouts, total_at)
        try:
            return await self._perform(
                pool, connection, request, head, timeouts, total_at=total_at, stream=stream
            )
        except ConnectionLost as lost:
            if lost.response_started or connection.served == 0 or self._closed:
                raise
        pool = self._pool(request.origin, policy)
        connection = await self._connected(pool, timeouts, total_at)
        return await self._perform(
            pool, connection, request, head, timeouts, total_at=total_at, stream=stream
        )

    @property
    def running(self) -> int:
        """Number of exchanges under way."""
        return len(self._sweeper.watched) if self._sweeper is not None else 0

    @property
    def open_connections(self) -> int:
        """Number of connections, idle ones included."""
        return sum(pool.count for pool in self._pools.values())

    @property
    def idle_connections(self) -> int:
        """Number of connections that wait for their next request."""
        return sum(len(pool.idle) for pool in self._pools.values())

    async def aclose(self) -> None:
        """Close every connection; calls under way fail with ConnectionLost."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.stop()
            for exchange in list(self._sweeper.watched):
                if exchange.connection is not None:
                    exchange.connection.drop()
        for pool in self._pools.values():
            pool.close()
        # Transports close in the loop's next turns.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _connected(self, pool: Pool, timeouts: Timeouts, total_at: float) -> Connection:
        left_s = total_at - pool.loop.time()
        if left_s <= 0:
            raise TotalTimeout("no time left to connect")
        connection = await pool.open(min(timeouts.connect_s, left_s))
        if self._closed:
            connection.drop()
            raise ConnectionLost("the client is closed")
        return connection

    async def _perform(
        self,
        pool: Pool,
        connection: Connection,
        request: UpstreamRequest,
        head: bytes,
        timeouts: Timeouts,
        *,
        total_at: float,
        stream: bool,
    ) -> Exchange:
        exchange = Exchange(
            connection,
            loop=pool.loop,
            timeouts=timeouts,
            now=pool.loop.time(),
            total_at=total_at,
            stream=stream,
            without_body=request.method == "HEAD",
        )
        pool.sweeper.watch(exchange)
        try:
            connection.start(exchange, head, request.body)
            await exchange.arrived
        except BaseException:  # cancelled, mostly: nothing may stay under way
            exchange.close()
            raise
        return exchange

    def _pool(self, origin: Origin, policy: AddressPolicy) -> Pool:
        if self._closed:
            raise ConnectionLost("the client is closed")
        return self._pools.get((origin, policy)) or self._open_pool(origin, policy)

    def _open_pool(self, origin: Origin, policy: AddressPolicy) -> Pool:
        """Make a pool; raises AddressRefused for a scheme the policy forbids."""
        policy.check_scheme(origin)
        loop = asyncio.get_running_loop()
        if self._sweeper is None:
            self._sweeper = Sweeper(loop, self._prune)
        tls = self._tls_context() if origin.scheme == "https" else None
        pool = Pool(
            origin,
            policy=policy,
            limits=self._limits,
            tls=tls,
            sweeper=self._sweeper,
            loop=loop,
        )
        self._pools[origin, policy] = pool
        return pool

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = default_tls()
        return self._tls

    def _prune(self, now: float) -> bool:
        """Close stale connections and forget unused origins; say whether any pool is left."""
        for key, pool in list(self._pools.items()):
            pool.prune(now)
            if pool.unused:
                del self._pools[key]
        return bool(self._pools)
