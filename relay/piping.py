"""An answer of bytes that are nobody's to read, speech or a video: passed on as they come.

What it costs is known before it begins. It is charged once its first bytes are on their way, for
the upstream has made all of it by then. Called by `exchange`; `watch` gives up on stalled readers.
"""

import time
from typing import TYPE_CHECKING

from relay.errors import ClientGone
from relay.forwarding import Piped
from relay.headers import Header, passed_to_client
from relay.providers.base import transport_failure
from relay.upstream import UpstreamError

if TYPE_CHECKING:
    from relay.exchange import Exchange

_NEVER = float("inf")


class Pipe:
    """One such answer. `checkpoint_due_at` and `pushing_since` are for `watch`."""

    __slots__ = ("_answer", "_exchange", "call", "checkpoint_due_at", "pushing_since")

    def __init__(self, exchange: "Exchange", answer: Piped) -> None:
        self.call = exchange.call
        self.checkpoint_due_at = _NEVER
        self.pushing_since = 0.0
        self._exchange = exchange
        self._answer = answer

    async def run(self) -> None:
        """Deliver the answer to its end, clean or cut."""
        watch = self._exchange.services.watch
        watch.follow(self)
        try:
            await self._deliver()
        finally:
            watch.streams.discard(self)
            self._answer.response.close()

    async def checkpoint(self) -> None:
        """Do nothing: the charge is known, and a hold covers it."""

    async def _deliver(self) -> None:
        exchange, response = self._exchange, self._answer.response
        await exchange.count_prompt()
        self._look_for_client()
        self.call.is_opaque = True
        await self.call.start(response.status, self._headers())
        exchange.status = response.status
        exchange.first_content_at = time.monotonic()
        exchange.charge(exchange.counted(0), source="counted")
        chunk = self._answer.first
        try:
            while chunk:
                await self._push(chunk)
                chunk = await response.next_chunk()
        except UpstreamError as broken:
            exchange.error_type = transport_failure(broken).error_type
            self.call.drop()
            return
        await self.call.end()

    def _look_for_client(self) -> None:
        """Raise ClientGone for a client that has left; charged only if its answer was to be made.

        From here on it is what was delivered that counts, and nothing is read for nobody.
        """
        exchange, is_wanted = self._exchange, self.call.keeps_going
        self.call.keeps_going = False
        if self.call.has_gone():
            if is_wanted:
                exchange.charge(exchange.counted(0), source="counted")
            else:
                exchange.services.abandoned.note(exchange.key.id)
            raise ClientGone

    async def _push(self, chunk: bytes) -> None:
        self.pushing_since = time.monotonic()
        await self.call.push(chunk)
        self.pushing_since = 0.0

    def _headers(self) -> list[Header]:
        response = self._answer.response
        headers = passed_to_client(response.headers)
        length = response.header(b"content-length")
        return headers if length is None else [*headers, (b"content-length", length)]
