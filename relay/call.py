"""One request of a client, as ASGI gives it to us: headers, body, answer, and whether it has gone.

The HTTP side of an exchange, and nothing else: no key, no price, no ledger. A client that leaves is
noticed by `watch`, which only calls that take longer than a moment need; a short one looks once,
before it delivers (`has_gone`).
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from billing.ids import uuid7_bytes
from relay.bodies import Bodies
from relay.errors import BadRequest, BodyTooLarge, ClientGone, EncodingRefused, RelayError, Stopping
from relay.headers import CORS, JSON, Header
from relay.protocols.base import ErrorStyle
from relay.protocols.openai import OPENAI_ERRORS

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_ONCE = (b"host", b"authorization", b"content-length", b"content-type", b"x-api-key")
_LINGER_BYTES = 10 * 1024 * 1024
_LINGER_S = 5.0
STALLED_S = 60.0
_ENDLESS_BYTES = 2**62
_BODY = "http.response.body"
UNBOUNDED = Bodies(sys.maxsize)


class Cork:
    """Has uvicorn write the head and the body of an answer in one system call instead of two.

    Two small writes are two packets, and wake the client twice. A server that does not let us look
    at its transport answers as it does.
    """

    __slots__ = ("_connection", "_pieces", "_transport")

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._transport: Any = getattr(connection, "transport", None)
        self._pieces: list[bytes] = []
        if self._transport is not None:
            connection.transport = self

    def write(self, data: bytes) -> None:
        """Keep what the server writes."""
        self._pieces.append(data)

    def close(self) -> None:
        """Write what was kept and close, as the server wants it."""
        self.pull()
        self._transport.close()

    def is_closing(self) -> bool:
        """Say what the transport says."""
        return bool(self._transport.is_closing())

    def pull(self) -> None:
        """Write what was kept, and give the transport back. Idempotent."""
        if self._transport is None:
            return
        self._connection.transport = self._transport
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            self._transport.write(b"".join(pieces))


def call_of(scope: Scope, receive: Receive, send: Send) -> "Call":
    """Return the call of the task that runs."""
    now = time.monotonic()
    return Call(
        id=uuid7_bytes(),
        scope=scope,
        headers=dict(scope["headers"]),
        entered_at=now,
        received_at=now,
        task=asyncio.current_task(),
        receive=receive,
        send=send,
        connection=getattr(receive, "__self__", None),
    )


class Call(msgspec.Struct, gc=True, weakref=False, eq=False, kw_only=True):
    """A client's request and our answer to it. Made by `call_of`."""

    id: bytes
    scope: Scope
    headers: dict[bytes, bytes]
    entered_at: float
    received_at: float
    task: "asyncio.Task[Any] | None"
    receive: Receive
    send: Send
    # What the server knows of the connection, where it lets us look (uvicorn does).
    connection: Any = None
    is_received: bool = False
    is_started: bool = False
    is_streaming: bool = False
    # Bytes that nobody looks into: an error can't be told among them.
    is_opaque: bool = False
    pushes: int = 0
    is_answered: bool = False
    keeps_going: bool = False
    is_gone: bool = False
    bodies: Bodies = UNBOUNDED
    body_bytes: int = 0
    errors: ErrorStyle = OPENAI_ERRORS
    extra_headers: Sequence[Header] = ()
    verdict: RelayError | None = None
    watcher: "asyncio.Task[None] | None" = None

    @property
    def request_id(self) -> str:
        """The id as clients and operators see it."""
        text = self.id.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def check_headers(self) -> None:
        """Raise BadRequest for a header that must not be repeated; two readers may pick two."""
        if len(self.headers) == len(self.scope["headers"]):
            return
        names = [name for name, _ in self.scope["headers"]]
        for name in _ONCE:
            if names.count(name) > 1:
                raise BadRequest(f"The header {name.decode()} must not be repeated.")

    # The request's body.

    async def body(self, limit_bytes: int) -> bytes:
        """Return the whole body; raises BodyTooLarge, EncodingRefused, Overloaded, ClientGone."""
        headers = self.headers
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise EncodingRefused
        declared = headers.get(b"content-length")
        if declared is not None and (len(declared) > 18 or int(declared) > limit_bytes):
            raise BodyTooLarge
        if declared is not None:
            self.bodies.check_room(int(declared))
        message = await self.receive()
        body: bytes = message.get("body", b"")
        self._count(len(body))
        if message.get("more_body") or message["type"] != "http.request":
            body = await self._rest(message, body, limit_bytes)
        elif len(body) > limit_bytes:
            self.is_received = True
            raise BodyTooLarge
        self.is_received = True
        self.received_at = time.monotonic()
        return body

    async def _rest(self, message: dict[str, Any], first: bytes, limit_bytes: int) -> bytes:
        pieces = [first]
        while True:
            if message["type"] != "http.request":
                self.is_gone = True
                raise ClientGone
            if self.body_bytes > limit_bytes:
                raise BodyTooLarge
            if not message.get("more_body"):
                return b"".join(pieces)
            self.bodies.check_room(0)
            message = await self.receive()
            pieces.append(message.get("body", b""))
            self._count(len(pieces[-1]))

    def _count(self, size_bytes: int) -> None:
        self.body_bytes += size_bytes
        self.bodies.held_bytes += size_bytes

    # The answer.

    async def answer(
        self, status: int, headers: Sequence[Header], body: bytes, *, lingers: bool = False
    ) -> None:
        """Send a whole answer. With `lingers` the client may first finish what it is sending."""
        await self._has_room()
        self.is_started = True
        own = [*headers, (b"content-length", b"%d" % len(body)), *self._own()]
        start = {"type": "http.response.start", "status": status, "headers": own}
        if lingers:
            await self.send(start)
            await self.send({"type": _BODY, "body": body, "more_body": True})
            await self._linger()
            self.is_answered = True
            await self.send({"type": _BODY, "body": b""})
            return
        cork = Cork(self.connection)
        try:
            await self.send(start)
            self.is_answered = True
            await self.send({"type": _BODY, "body": body})
        finally:
            cork.pull()

    async def answer_json(
        self, status: int, body: bytes, *, headers: Sequence[Header] = ()
    ) -> None:
        """Send a JSON document; one that comes before the body was read closes the connection."""
        if self.is_received or not self._has_body():
            await self.answer(status, (JSON, *headers), body)
        else:
            closing = (JSON, (b"connection", b"close"), *headers)
            await self.answer(status, closing, body, lingers=True)

    async def start(self, status: int, headers: Sequence[Header]) -> None:
        """Send the head of a streamed answer, unless a comment has sent one."""
        if self.is_streaming:
            return
        await self._has_room()
        self.is_started = self.is_streaming = True
        if self.scope.get("http_version") == "1.0":
            self._promise(_ENDLESS_BYTES)
        await self.send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, *self._own()],
            }
        )

    async def push(self, body: bytes) -> None:
        """Send a piece of a streamed answer; waits for a slow client."""
        self.pushes += 1
        await self.send({"type": _BODY, "body": body, "more_body": True})

    async def end(self) -> None:
        """End a streamed answer cleanly. Without it the connection is dropped, as after a cut."""
        self.is_answered = True
        if self.scope.get("http_version") == "1.0":
            self._promise(0)
        await self.send({"type": _BODY, "body": b""})

    def drop(self) -> None:
        """End a streamed answer by leaving it unfinished: the server closes the connection."""
        self.is_answered = True

    @property
    def is_clogged(self) -> bool:
        """Whether the client has not read what it was sent."""
        flow: Any = getattr(self.connection, "flow", None)
        return flow is not None and flow.write_paused

    def _promise(self, more_bytes: int) -> None:
        """Have uvicorn frame a stream by the end of the connection: HTTP/1.0 knows no chunks."""
        cycle = self.connection
        if hasattr(cycle, "chunked_encoding") and hasattr(cycle, "expected_content_length"):
            cycle.chunked_encoding = False
            cycle.expected_content_length = more_bytes

    async def _has_room(self) -> None:
        """Wait for a client that has not read its earlier answers, but not for ever."""
        if not self.is_clogged:
            return
        try:
            async with asyncio.timeout(STALLED_S):
                await self.connection.flow.drain()
        except TimeoutError:
            self.abandon()

    def _own(self) -> list[Header]:
        own = [(b"x-request-id", self.request_id.encode()), *self.extra_headers]
        if self.errors.repeats_id:
            own.append((b"request-id", self.request_id.encode()))
        if b"origin" in self.headers:
            own += CORS
        return own

    def _has_body(self) -> bool:
        headers = self.headers
        return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers

    async def _linger(self) -> None:
        """Read and drop what the client still sends, for a while: a reset would eat our answer."""
        left = _LINGER_BYTES
        try:
            async with asyncio.timeout(_LINGER_S):
                while left > 0:
                    message = await self.receive()
                    left -= len(message.get("body", b"")) + 1
                    if not message.get("more_body"):
                        return
        except TimeoutError:
            return

    # Has the client gone?

    def has_gone(self) -> bool:
        """Say whether the client has left, by a look at what the server has received."""
        if self.is_gone or self.watcher is not None:
            return self.is_gone
        known: bool | None = getattr(self.connection, "disconnected", None)
        if known is not None:
            self.is_gone = known
            return known
        waiting: Any = self.receive()
        try:
            waiting.send(None)
        except StopIteration as result:
            self.is_gone = result.value["type"] == "http.disconnect"
        else:
            waiting.close()
        return self.is_gone

    def watch(self) -> None:
        """From now on cancel the task when the client leaves (`verdict` tells why)."""
        if self.watcher is None and not self.is_answered:
            self.watcher = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        if self.is_answered:
            return
        self.is_gone = True
        if not self.keeps_going:
            self.interrupt(ClientGone())

    def abandon(self) -> None:
        """Give up on a client that does not read: it has gone, and its connection goes too."""
        self.interrupt(ClientGone())
        transport = getattr(self.connection, "transport", None)
        if transport is not None:
            transport.abort()

    def interrupted(self) -> RelayError:
        """Return why the task was cancelled, and take the cancellation back."""
        if self.task is not None:
            self.task.uncancel()
        return self.verdict or Stopping()

    def interrupt(self, verdict: RelayError) -> None:
        """Cancel the task for a reason that it finds in `verdict`."""
        if self.verdict is None and self.task is not None and not self.is_answered:
            self.verdict = verdict
            self.task.cancel()
