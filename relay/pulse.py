"""Comments that keep the connection of a quiet stream alive, where an operator wants them.

Some proxies close what says nothing for a minute, and some models think longer. A comment is no
event and no content: clients skip it, and another channel may still be tried after it. But the
first one sends the head of the answer, so that what fails later can only be told by an event.
Made by `exchange` for streams alone, looked at by `watch`.
"""

from relay.call import Call
from relay.headers import EVENT_STREAM


class Pulse:
    """One stream, silent or not."""

    __slots__ = ("_call", "_filler", "_is_over", "_period_s", "_pushes", "_quiet_since")

    def __init__(self, call: Call, *, filler: bytes, period_s: float, now: float) -> None:
        self._call = call
        self._filler = filler
        self._period_s = period_s
        self._pushes = call.pushes
        self._quiet_since = now
        self._is_over = False

    def end(self) -> None:
        """Send nothing any more: the answer is complete, or is to be an error of its own."""
        self._is_over = True

    def is_due(self, now: float) -> bool:
        """Say whether it is time for a comment; asked a few times a second."""
        call = self._call
        if call.pushes != self._pushes:
            self._pushes, self._quiet_since = call.pushes, now
        return now - self._quiet_since >= self._period_s and not call.is_clogged

    async def beat(self) -> None:
        """Send a comment, between two events."""
        call = self._call
        if self._is_over or call.is_answered or call.is_gone:
            return
        if not call.is_started:
            await call.start(200, EVENT_STREAM)
        await call.push(self._filler)
