"""One request of a client, as ASGI gives it to us: headers, body, answer, and whether it has gone.

The HTTP side of an exchange, and nothing else: no key, no price, no ledger. A client that leaves is
noticed by `watch`, which only calls that take longer than a moment need; a short one looks once,
before it delivers (`has_gone`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from billing.ids import uuid7_bytes
from relay.errors import BadRequest, BodyTooLarge, ClientGone, EncodingRefused, RelayError, Stopping
from relay.headers import CORS, JSON, Header

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_ONCE = (b"host", b"authorization", b"content-length", b"content-type", b"x-api-key")
_LINGER_BYTES = 10 * 1024 * 1024
_LINGER_S = 5.0
_BODY = "http.response.body"


class Call:
    """A client's request and our answer to it."""

    __slots__ = (
        "_gone",
        "_receive",
        "_send",
        "_watcher",
        "entered_at",
        "extra_headers",
        "headers",
        "id",
        "is_answered",
        "is_received",
        "is_started",
        "keeps_going",
        "received_at",
        "scope",
        "task",
        "verdict",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.id = uuid7_bytes()
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.entered_at = self.received_at = time.monotonic()
        self.is_received = False
        self.is_started = False
        self.is_answered = False
        self.keeps_going = False
        self.extra_headers: Sequence[Header] = ()
        self.task: asyncio.Task[Any] | None = asyncio.current_task()
        self.verdict: RelayError | None = None
        self._gone = False
        self._watcher: asyncio.Task[None] | None = None
        self._receive = receive
        self._send = send

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
        """Return the whole body; raises BodyTooLarge, EncodingRefused, ClientGone."""
        headers = self.headers
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise EncodingRefused
        declared = headers.get(b"content-length")
        if declared is not None and (len(declared) > 18 or int(declared) > limit_bytes):
            raise BodyTooLarge
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body") or message["type"] != "http.request":
            body = await self._rest(message, body, limit_bytes)
        elif len(body) > limit_bytes:
            self.is_received = True
            raise BodyTooLarge
        self.is_received = True
        self.received_at = time.monotonic()
        return body

    async def _rest(self, message: dict[str, Any], first: bytes, limit_bytes: int) -> bytes:
        pieces, size = [first], len(first)
        while True:
            if message["type"] != "http.request":
                self._gone = True
                raise ClientGone
            if size > limit_bytes:
                raise BodyTooLarge
            if not message.get("more_body"):
                return b"".join(pieces)
            message = await self._receive()
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])

    # The answer.

    async def answer(
        self, status: int, headers: Sequence[Header], body: bytes, *, lingers: bool = False
    ) -> None:
        """Send a whole answer. With `lingers` the client may first finish what it is sending."""
        self.is_started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, (b"content-length", b"%d" % len(body)), *self._own()],
            }
        )
        if lingers:
            await self._send({"type": _BODY, "body": body, "more_body": True})
            await self._linger()
            body = b""
        self.is_answered = True
        await self._send({"type": _BODY, "body": body})

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
        """Send the head of a streamed answer."""
        self.is_started = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, *self._own()],
            }
        )

    async def push(self, body: bytes) -> None:
        """Send a piece of a streamed answer; waits for a slow client."""
        await self._send({"type": _BODY, "body": body, "more_body": True})

    async def end(self) -> None:
        """End a streamed answer cleanly. Without it the connection is dropped, as after a cut."""
        self.is_answered = True
        await self._send({"type": _BODY, "body": b""})

    def drop(self) -> None:
        """End a streamed answer by leaving it unfinished: the server closes the connection."""
        self.is_answered = True

    def _own(self) -> list[Header]:
        own = [(b"x-request-id", self.request_id.encode()), *self.extra_headers]
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
                    message = await self._receive()
                    left -= len(message.get("body", b"")) + 1
                    if not message.get("more_body"):
                        return
        except TimeoutError:
            return

    # Has the client gone?

    def has_gone(self) -> bool:
        """Say whether the client has left, by a look at what the server has received."""
        if self._gone or self._watcher is not None:
            return self._gone
        waiting: Any = self._receive()
        try:
            waiting.send(None)
        except StopIteration as result:
            self._gone = result.value["type"] == "http.disconnect"
        else:
            waiting.close()
        return self._gone

    def watch(self) -> None:
        """From now on cancel the task when the client leaves (`verdict` tells why)."""
        if self._watcher is None and not self.is_answered:
            self._watcher = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self.is_answered:
            return
        self._gone = True
        if not self.keeps_going:
            self.interrupt(ClientGone())

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
