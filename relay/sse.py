"""Server-sent events as bytes: cut a stream into whole events, find the data inside one.

Events are never rebuilt: what is forwarded is what came, separators included. Called by the
exchange and by the protocols. Free of Django.
"""

import re

from relay.wire.errors import ProtocolViolation

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""A picture of the largest size in base64 fits."""

_BOM = b"\xef\xbb\xbf"
# The end of a line and a whole line end after it. That is a CR alone only once the byte after it is
# known: it may be half a CRLF.
_BLANK_LINE = re.compile(rb"(?:\n|\r(?!\n))(?:\n|\r\n|\r(?=[^\n]))")
_LONGEST_BLANK_LINE = 3
_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventSplitter:
    """Cuts the byte stream of one answer into whole events, wherever the network cut it.

    Raises ProtocolViolation for an event longer than `limit_bytes`.
    """

    __slots__ = ("_limit_bytes", "_pending", "_searched")

    def __init__(self, *, limit_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._pending = bytearray()
        self._searched = 0

    @property
    def rest(self) -> bytes:
        """Return what has arrived since the last whole event."""
        return bytes(self._pending)

    @property
    def pending_bytes(self) -> int:
        """Return how much that is."""
        return len(self._pending)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the events that this chunk completes, untouched, each with its separator."""
        ends_at = chunk.find(b"\n\n") + 2
        is_event = 2 <= ends_at == len(chunk) <= self._limit_bytes
        if is_event and not self._pending and b"\r" not in chunk:
            return [chunk]
        self._pending += chunk
        events = self._take_whole_events()
        if max(map(len, (self._pending, *events))) > self._limit_bytes:
            raise ProtocolViolation(
                "an event of the upstream is too long", request_sent=True, response_started=True
            )
        return events

    def _take_whole_events(self) -> list[bytes]:
        pending, events, start = self._pending, [], 0
        end = _BLANK_LINE.search(pending, self._searched)
        while end:
            events.append(bytes(pending[start : end.end()]))
            start = end.end()
            end = _BLANK_LINE.search(pending, start)
        del pending[:start]
        self._searched = max(0, len(pending) - _LONGEST_BLANK_LINE)
        return events


def event_data(event: bytes) -> bytes | None:
    """Return the data of an event, its lines joined by LF; None when it has none (a comment)."""
    if event.startswith(b"data:") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2] if event[5] == 0x20 else event[5:-2]
    lines = []
    for line in _LINE_END.split(event.removeprefix(_BOM)):
        name, colon, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" ") if colon else b"")
    return b"\n".join(lines) if lines else None
