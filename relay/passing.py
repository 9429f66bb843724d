"""An upstream's answer passed on as it comes: files, streams, documents that nobody reads here.

Nothing is kept: as much as the client takes is read from the upstream. For what costs nothing;
`piping` is for what is charged. Called by `objects_api` and `generic_calls`.
"""

import time

from relay.call import Call
from relay.headers import EVENT_STREAM, Header, passed_to_client
from relay.upstream import UpstreamError, UpstreamResponse
from relay.watch import Watch

_NEVER = float("inf")
_OF_FILES = (b"content-length", b"content-range", b"accept-ranges")


class Passage:
    """One such answer. `checkpoint_due_at` and `pushing_since` are for `watch`."""

    __slots__ = ("_response", "_watch", "call", "checkpoint_due_at", "pushing_since")

    def __init__(self, call: Call, response: UpstreamResponse, watch: Watch) -> None:
        self.call = call
        self.checkpoint_due_at = _NEVER
        self.pushing_since = 0.0
        self._response = response
        self._watch = watch

    async def run(self) -> None:
        """Deliver the answer to its end, clean or cut."""
        self._watch.follow(self)
        try:
            await self._deliver()
        finally:
            self._watch.streams.discard(self)
            self._response.close()

    async def checkpoint(self) -> None:
        """Do nothing: nothing is charged."""

    async def _deliver(self) -> None:
        response = self._response
        self.call.is_opaque = True
        await self.call.start(response.status, _headers(response))
        try:
            while chunk := await response.next_chunk():
                self.pushing_since = time.monotonic()
                await self.call.push(chunk)
                self.pushing_since = 0.0
        except UpstreamError:
            self.call.drop()
            return
        await self.call.end()


def _headers(response: UpstreamResponse) -> list[Header]:
    headers = passed_to_client(response.headers)
    headers += [header for header in response.headers if header[0] in _OF_FILES]
    if (response.header(b"content-type") or b"").startswith(b"text/event-stream"):
        headers += EVENT_STREAM[1:]
    return headers
