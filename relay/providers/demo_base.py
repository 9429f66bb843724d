"""What all answers of the demo provider have in common: their shape, and how they fail as told.

Used by the `demo_*` files, one for each dialect. Free of Django.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from relay.providers.demo_text import Directives
from relay.wire.errors import BodyTooLarge, ConnectionLost, FirstByteTimeout, IdleTimeout
from relay.wire.messages import Header, Timeouts

JSON_HEADERS: Sequence[Header] = ((b"content-type", b"application/json"),)
SSE_HEADERS: Sequence[Header] = ((b"content-type", b"text/event-stream; charset=utf-8"),)


class DemoResponse:
    """An UpstreamResponse made here, piece by piece."""

    def __init__(
        self, status: int, headers: Sequence[Header], pieces: AsyncIterator[bytes]
    ) -> None:
        self.status = status
        self.headers = list(headers)
        self.complete = False
        self._pieces = pieces
        self._closed = False

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of this lower-case name."""
        return next((value for found, value in self.headers if found == name), None)

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body; raises BodyTooLarge beyond the limit."""
        body = b""
        while piece := await self.next_chunk():
            body += piece
            if len(body) > limit_bytes:
                self.close()
                raise BodyTooLarge("the answer is too long", request_sent=True)
        return body

    async def next_chunk(self) -> bytes:
        """Return the next piece, b"" at the end; raises ConnectionLost when told to."""
        if self._closed:
            raise ConnectionLost("given up by us", request_sent=True, response_started=True)
        piece = await anext(self._pieces, b"")
        self.complete = not piece
        return piece

    def close(self) -> None:
        """Give the answer up. Idempotent."""
        self._closed = not self.complete


async def whole(answer: bytes, told: Directives, timeouts: Timeouts) -> AsyncIterator[bytes]:
    """Yield an answer that does not stream: late, or only half of it, when told so."""
    await wait(told.silent_ms, timeouts.idle_s, IdleTimeout)
    if told.cut >= 0:
        yield answer[: len(answer) // 2]
        raise ConnectionLost("told to", request_sent=True, response_started=True)
    yield answer


async def paced(
    events: Iterable[bytes], told: Directives, timeouts: Timeouts, *, error: bytes
) -> AsyncIterator[bytes]:
    """Yield events, as slow and as broken as told; `error` is the event of a failure."""
    for sent, event in enumerate(events):
        if sent == told.cut:
            raise ConnectionLost("told to", request_sent=True, response_started=True)
        if sent == told.error_event:
            yield error
            return
        if sent:
            pause_ms = told.silent_ms if sent == 1 else 0
            await wait(max(told.chunk_delay_ms, pause_ms), timeouts.idle_s, IdleTimeout)
        yield event


async def once(body: bytes) -> AsyncIterator[bytes]:
    """Yield an answer at once."""
    yield body


async def wait(
    wait_ms: int, patience_s: float, late: type[FirstByteTimeout] | type[IdleTimeout]
) -> None:
    """Wait as told, or raise `late` when the channel's patience is over before."""
    if not wait_ms:
        return
    await asyncio.sleep(min(wait_ms / 1000, patience_s))
    if wait_ms / 1000 > patience_s:
        raise late("told to", request_sent=True, response_started=late is IdleTimeout)


def refused(status: int, body: bytes, *, retry_after: int = 0) -> DemoResponse:
    """Return an error answer."""
    headers = list(JSON_HEADERS)
    if retry_after:
        headers.append((b"retry-after", b"%d" % retry_after))
    return DemoResponse(status, headers, once(body))


def json_answer(answer: Any, told: Directives, timeouts: Timeouts) -> DemoResponse:
    """Return an answer in one piece."""
    return DemoResponse(200, JSON_HEADERS, whole(msgspec.json.encode(answer), told, timeouts))
