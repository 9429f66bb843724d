"""One connection to an upstream: writes a request, parses the answer into its exchange.

Used by the pool and the client. Strict where leniency could mix up two answers: conflicting
framing, bytes nobody asked for and over-long heads end the connection.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

import httptools

from relay.wire.errors import ConnectionLost, ProtocolViolation, UpstreamError, translate

if TYPE_CHECKING:
    from relay.wire.exchange import Exchange
    from relay.wire.pool import Pool

logger = logging.getLogger(__name__)

# Unread bytes at which we stop reading from the upstream.
HIGH_WATER_BYTES = 256 * 1024
# Pieces in which a big request body is handed to the transport.
WRITE_BYTES = 64 * 1024
# Bytes of head, chunk framing and trailers without a body byte in between.
MAX_OVERHEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
MAX_INTERIM_RESPONSES = 16

_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})


class Connection(asyncio.Protocol):
    """A keep-alive connection; serves one exchange at a time."""

    __slots__ = (
        "_closed_by_end",
        "_interim",
        "_interims",
        "_keep",
        "_overhead",
        "_parser",
        "_pool",
        "_read_bytes",
        "_unsent",
        "_write_paused",
        "counted",
        "exchange",
        "idle_since",
        "open",
        "opened_at",
        "reading_paused",
        "served",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self.exchange: Exchange | None = None
        self.open = False
        # True from when the pool has it until it closes; a failed try never counts.
        self.counted = False
        self.served = 0
        self.opened_at = self.idle_since = 0.0
        self.reading_paused = False
        self._parser: httptools.HttpResponseParser | None = None
        self._unsent: memoryview | None = None
        self._write_paused = False
        self._keep = False
        self._closed_by_end = True
        self._interim = False
        self._interims = 0
        self._overhead = 0
        self._read_bytes = 0

    # What the client and the exchange call.

    def start(self, exchange: "Exchange", head: bytes, body: bytes) -> None:
        """Send a request whose answer goes to this exchange."""
        self.exchange = exchange
        self._closed_by_end = True
        self._keep = False
        self._interims = 0
        self._overhead = 0
        if len(body) <= WRITE_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self._unsent = memoryview(body)
            self._write_more(exchange)

    def release(self, exchange: "Exchange") -> None:
        """The answer is complete and its reader has what it wants: the connection is free again."""
        if self.exchange is not exchange:
            return
        pool = self._pool
        self.exchange = exchange.connection = None
        pool.sweeper.watched.discard(exchange)
        if not (self._keep and self.open) or self._unsent is not None:
            self.drop()
            return
        if self.reading_paused:
            self.resume_reading()
        self.served += 1
        pool.give_back(self)

    def drop(self) -> None:
        """Close at once, whatever is under way. Idempotent."""
        self._let_go()
        self.transport.abort()

    def resume_reading(self) -> None:
        """The reader has caught up."""
        self.reading_paused = False
        if self.open:
            self.transport.resume_reading()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)
        self.open = True

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        parser = self._parser
        if exchange is None or exchange.complete or parser is None:
            # Bytes nobody asked for; a complete answer stays readable.
            self.drop()
            return
        exchange.started = True
        self._read_bytes = len(data)
        size = exchange.size
        try:
            parser.feed_data(data)
        except Exception as error:  # a callback's fault must end this exchange only
            self._broken(exchange, error)
            return
        if exchange.complete:
            return
        if exchange.size == size:
            self._count_overhead(exchange, len(data))
        elif exchange.size > HIGH_WATER_BYTES:
            self._pause(exchange)
        elif exchange.waiter is not None:
            exchange.wake()
        if exchange.status and not exchange.arrived.done():
            exchange.progress()

    def eof_received(self) -> bool:
        self._ended(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        self._parser = None

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._unsent is not None and self.exchange is not None:
            self._write_more(self.exchange)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self.exchange is None or self.exchange.complete:
            raise ProtocolViolation("data after the end of the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self.exchange
        if exchange is None or exchange.status:
            return  # trailers
        name, value = name.lower(), value.rstrip(b" \t")
        exchange.headers.append((name, value))
        if name in _FRAMING:
            self._note_framing(exchange, name, value)

    def on_headers_complete(self) -> None:
        exchange, parser = self.exchange, self._parser
        if exchange is None or parser is None:
            return
        status = parser.get_status_code()
        if status < 200:
            self._skip_interim(exchange, status)
            return
        keep = parser.should_keep_alive()
        if not keep and parser.get_http_version() not in ("1.0", "1.1"):
            raise ProtocolViolation("not an HTTP/1.1 response")
        if len(exchange.headers) > MAX_HEADERS:
            raise ProtocolViolation("too many response headers")
        if self._read_bytes > MAX_OVERHEAD_BYTES:
            # Smaller reads are counted one by one until the head is complete.
            self._check_head_size(exchange)
        self._overhead = 0
        exchange.head_arrived(status)
        if exchange.without_body:
            # The parser can't know that no body follows: the connection ends here.
            exchange.finish()
            return
        self._keep = keep

    def on_body(self, body: bytes) -> None:
        exchange = self.exchange
        if exchange is not None and not exchange.without_body:
            exchange.chunks.append(body)
            exchange.size += len(body)

    def on_message_complete(self) -> None:
        exchange = self.exchange
        if self._interim:
            self._interim = False
        elif exchange is not None and not exchange.complete:
            exchange.finish()

    # Leaves.

    def _note_framing(self, exchange: "Exchange", name: bytes, value: bytes) -> None:
        if name == b"content-encoding":
            exchange.coding = exchange.coding + b"," + value if exchange.coding else value
            return
        if not self._closed_by_end:
            raise ProtocolViolation("conflicting content-length or transfer-encoding")
        if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise ProtocolViolation("transfer-encoding other than chunked")
        self._closed_by_end = False

    def _skip_interim(self, exchange: "Exchange", status: int) -> None:
        self._interims += 1
        if status < 100 or status == 101 or self._interims > MAX_INTERIM_RESPONSES:
            raise ProtocolViolation(f"unexpected status {status}")
        self._interim = True
        self._closed_by_end = True
        exchange.headers.clear()
        exchange.coding = b""

    def _check_head_size(self, exchange: "Exchange") -> None:
        size = sum(len(name) + len(value) + 4 for name, value in exchange.headers)
        if size > MAX_OVERHEAD_BYTES:
            raise ProtocolViolation("the response head is too large")

    def _count_overhead(self, exchange: "Exchange", size: int) -> None:
        """Bound what the parser may collect in a head, in chunk framing or in trailers."""
        self._overhead += size
        if self._overhead > MAX_OVERHEAD_BYTES:
            self._broken(exchange, ProtocolViolation("the response head is too large"))

    def _pause(self, exchange: "Exchange") -> None:
        if not self.reading_paused:
            self.reading_paused = True
            self.transport.pause_reading()
        exchange.arrive()
        exchange.wake()

    def _write_more(self, exchange: "Exchange") -> None:
        unsent = self._unsent
        while unsent and not self._write_paused:
            self.transport.write(unsent[:WRITE_BYTES])
            unsent = unsent[WRITE_BYTES:]
        self._unsent = unsent or None
        if not exchange.status:
            exchange.writing(unfinished=bool(unsent))

    def _broken(self, exchange: "Exchange", error: Exception) -> None:
        """End the exchange for an error in its bytes, or in our code that reads them."""
        is_callback = isinstance(error, httptools.HttpParserCallbackError)
        cause = error.__context__ if is_callback else error
        if not isinstance(cause, UpstreamError | httptools.HttpParserError):
            logger.error("fault while reading a response", exc_info=cause)
        exchange.fail(translate(error))
        self.drop()

    def _ended(self, exc: Exception | None) -> None:
        """The upstream has closed: the proper end of a body without length, else a cut."""
        exchange = self.exchange
        if exchange is not None and not exchange.complete:
            if exc is None and exchange.status and self._closed_by_end:
                exchange.finish()
            else:
                reason = f"lost: {exc}" if exc else "closed by the upstream"
                exchange.fail(ConnectionLost(reason))
        self.drop()

    def _let_go(self) -> None:
        exchange = self.exchange
        self._unsent = None
        if exchange is not None:
            self.exchange = exchange.connection = None
            exchange.fail(ConnectionLost("closed by us"))
            self._pool.sweeper.watched.discard(exchange)
        if self.open:
            self.open = False
            if self.counted:
                self._pool.forget(self)
