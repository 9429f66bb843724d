"""One request and its answer: what has arrived and not been read, and the reader's face of it.

Made by the client, filled by the connection's parser callbacks, read by the relay. When the answer
is complete and read, or given up, the exchange lets go of its connection for good.
"""

import asyncio
from typing import TYPE_CHECKING

from relay.wire.encoding import BodyDecoder, decoder_for
from relay.wire.errors import (
    ConnectionLost,
    FirstByteTimeout,
    IdleTimeout,
    TotalTimeout,
    UpstreamError,
    UpstreamTimeout,
    WriteTimeout,
)
from relay.wire.messages import Header, Timeouts
from relay.wire.whole import read_whole

if TYPE_CHECKING:
    from relay.wire.connection import Connection


class Exchange:
    """An UpstreamResponse in the making. Private names belong to this module and `connection`."""

    __slots__ = (
        "_decoder",
        "_loop",
        "_overdue",
        "_timeouts",
        "arrived",
        "chunks",
        "coding",
        "complete",
        "connection",
        "deadline",
        "error",
        "headers",
        "size",
        "started",
        "status",
        "stream",
        "total_at",
        "waiter",
        "without_body",
    )

    def __init__(
        self,
        connection: "Connection",
        *,
        loop: asyncio.AbstractEventLoop,
        timeouts: Timeouts,
        now: float,
        total_at: float,
        stream: bool,
        without_body: bool,
    ) -> None:
        self.connection: Connection | None = connection
        self.status = 0
        self.headers: list[Header] = []
        self.chunks: list[bytes] = []
        self.size = 0
        self.complete = False
        self.started = False
        self.stream = stream
        self.without_body = without_body
        self.coding = b""
        self.error: UpstreamError | None = None
        self.arrived: asyncio.Future[None] = loop.create_future()
        self.waiter: asyncio.Future[None] | None = None
        self.total_at = total_at
        self.deadline = min(now + timeouts.first_byte_s, total_at)
        self._overdue: type[UpstreamTimeout] = FirstByteTimeout
        self._timeouts = timeouts
        self._decoder: BodyDecoder | None = None
        self._loop = loop

    # What the relay calls.

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of this lower-case name."""
        for found, value in self.headers:
            if found == name:
                return value
        return None

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body; raises BodyTooLarge beyond the limit, ConnectionLost if cut."""
        if self.complete and self._decoder is None and self.size <= limit_bytes:
            return self._take()
        return await read_whole(self, limit_bytes)

    async def next_chunk(self) -> bytes:
        """Return what has arrived since the last call, waiting for at least a byte; b"" at the end.

        Raises ConnectionLost, IdleTimeout, TotalTimeout or ProtocolViolation if the body is cut.
        Only one task may read; cancelling it gives the exchange up.
        """
        if self._decoder is None:
            return await self._next_raw()
        return await self._next_decoded(self._decoder)

    def close(self) -> None:
        """Give the answer up: an incomplete one closes its connection at once. Idempotent."""
        connection = self.connection
        if connection is None:
            return
        if self.complete:
            connection.release(self)
        else:
            self.chunks.clear()
            self.size = 0
            self.fail(ConnectionLost("given up by us"))
            connection.drop()

    # What the connection and the sweeper call.

    def head_arrived(self, status: int) -> None:
        """The head is complete: from now on silence is measured as idleness."""
        if self.coding and not self.without_body:
            self._decoder = decoder_for(self.coding)
            if self._decoder is not None:
                self.headers = [
                    header
                    for header in self.headers
                    if header[0] not in (b"content-encoding", b"content-length")
                ]
        self.status = status
        self._overdue = IdleTimeout
        if self.stream:
            self.arrive()

    def finish(self) -> None:
        """The answer is complete."""
        self.complete = True
        self.arrive()
        if self.waiter is not None:
            self.wake()

    def fail(self, error: UpstreamError) -> None:
        """End the exchange with an error; what has arrived before can still be read."""
        if self.complete or self.error is not None:
            return
        error.request_sent = True
        error.response_started = self.started
        self.error = error
        if not self.arrived.done():
            self.arrived.set_exception(error)
        self.wake()

    def arrive(self) -> None:
        """Let the sender have the response; nobody waits for data now, so nothing is late."""
        if not self.arrived.done():
            self.deadline = self.total_at
            self.arrived.set_result(None)

    def wake(self) -> None:
        """Let the waiting reader look again."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def writing(self, *, unfinished: bool) -> None:
        """A piece of a big request body has been taken; the rest, or the answer, is due."""
        timeouts = self._timeouts
        self._overdue = WriteTimeout if unfinished else FirstByteTimeout
        due_s = timeouts.write_s if unfinished else timeouts.first_byte_s
        self.deadline = min(self._loop.time() + due_s, self.total_at)

    def progress(self) -> None:
        """More of a body that is collected for its sender has arrived."""
        self.deadline = min(self._loop.time() + self._timeouts.idle_s, self.total_at)

    def expire(self, now: float) -> None:
        """End what is overdue; a complete answer nobody fetches only loses its connection."""
        connection = self.connection
        if connection is None:
            return
        if self.complete:
            connection.release(self)
            return
        overdue = TotalTimeout if now >= self.total_at else self._overdue
        self.fail(overdue("the upstream is overdue"))
        connection.drop()

    # Reading.

    async def _next_raw(self) -> bytes:
        while not self.chunks:
            if self.complete:
                if self.connection is not None:
                    self.connection.release(self)
                return b""
            if self.error is not None:
                raise self.error
            await self._more()
        return self._take()

    async def _next_decoded(self, decoder: BodyDecoder) -> bytes:
        try:
            while not (plain := decoder.take()):
                raw = await self._next_raw()
                if not raw:
                    decoder.finish()
                    return b""
                decoder.feed(raw)
        except UpstreamError as error:
            error.request_sent = error.response_started = True
            self.close()
            raise
        return plain

    async def _more(self) -> None:
        if self.waiter is not None:
            raise RuntimeError("only one task may read a response")
        self.waiter = self._loop.create_future()
        self.progress()
        try:
            await self.waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self.waiter = None
            self.deadline = self.total_at

    def _take(self) -> bytes:
        chunks = self.chunks
        self.chunks = []
        self.size = 0
        connection = self.connection
        if connection is not None:
            if self.complete:
                connection.release(self)
            elif connection.reading_paused:
                connection.resume_reading()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
