"""An upstream's connection without a network: bytes in, an answer or an error out."""

import asyncio
import logging
from collections.abc import Iterable
from typing import NamedTuple

from relay.wire.addresses import AddressPolicy
from relay.wire.connection import Connection, logger
from relay.wire.errors import UpstreamError
from relay.wire.exchange import Exchange
from relay.wire.messages import Timeouts
from relay.wire.origin import Origin
from relay.wire.pool import Pool, PoolLimits
from relay.wire.sweeper import Sweeper

NEVER = 1e12
_TIMEOUTS = Timeouts()
_ORIGIN = Origin("http", "127.0.0.1", 80)


class Outcome(NamedTuple):
    """What a reader of the answer gets; `error` is the class of what ended it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    error: str


class Line(asyncio.Transport):
    """The other side of a connection: takes what is written and notes when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take it."""

    def abort(self) -> None:
        """Note the end."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Say whether it has ended."""
        return self.is_closed

    def pause_reading(self) -> None:
        """Go on: all that is fed has been read already."""

    def resume_reading(self) -> None:
        """Go on."""


class Faults(logging.Handler):
    """Raises when our own code fails in a callback, which the connection logs and survives."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise."""
        raise AssertionError(record.getMessage()) from (record.exc_info or (None, None))[1]


_FAULTS = Faults()


class Upstream:
    """Makes connections whose answers are fed by hand, on a loop that never waits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._sweeper = Sweeper(self._loop, lambda _: False)

    def close(self) -> None:
        """Close the loop."""
        self._sweeper.stop()
        self._loop.close()

    def answer(self, pieces: Iterable[bytes]) -> Outcome:
        """Feed an answer piece by piece, close, and return what its reader gets."""
        pool = Pool(
            _ORIGIN,
            policy=AddressPolicy(allow_private=True),
            limits=PoolLimits(),
            tls=None,
            sweeper=self._sweeper,
            loop=self._loop,
        )
        connection, line = Connection(pool), Line()
        connection.connection_made(line)
        pool.count, connection.counted, connection.opened_at = 1, True, self._loop.time()
        exchange = Exchange(
            connection,
            loop=self._loop,
            timeouts=_TIMEOUTS,
            now=0.0,
            total_at=NEVER,
            stream=True,
            without_body=False,
        )
        self._sweeper.watched.add(exchange)
        connection.start(exchange, b"POST / HTTP/1.1\r\n\r\n", b"")
        logger.addHandler(_FAULTS)
        try:
            for piece in pieces:
                if line.is_closed:
                    break
                connection.data_received(piece)
        finally:
            logger.removeHandler(_FAULTS)
        connection.eof_received()
        connection.connection_lost(None)
        outcome = self._loop.run_until_complete(_read(exchange))
        assert not self._sweeper.watched
        assert pool.count == 0
        assert pool.idle == []
        return outcome


async def _read(exchange: Exchange) -> Outcome:
    body, error = b"", ""
    try:
        await exchange.arrived
        while piece := await exchange.next_chunk():
            body += piece
    except UpstreamError as failed:
        error = type(failed).__name__
        assert failed.request_sent
    headers = tuple(exchange.headers) if exchange.status else ()
    return Outcome(exchange.status, headers, body, error)
