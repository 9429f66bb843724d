"""A stream as one JSON array, the form that Gemini's clients get who don't ask for events.

Made of the events that the upstream is always asked for. Called through `gemini_request.py`.
"""

from relay.errors import RelayError
from relay.protocols.base import ErrorStyle, EventFacts
from relay.protocols.gemini_errors import GEMINI_ERRORS, error_body
from relay.sse import event_data


class JsonArray:
    """The array of one answer; see StreamShape. An error is its last element."""

    content_type = b"application/json"

    def __init__(self) -> None:
        self._has_begun = False
        self.errors = ErrorStyle(GEMINI_ERRORS.name, error_body, self._failed)

    def feed(self, event: bytes, facts: EventFacts) -> bytes:
        """Return the element that an event is; nothing for one without data."""
        data = event_data(event)
        return self._element(data) if data is not None and data.strip() and not facts.done else b""

    def end(self) -> bytes:
        """Return the end of the array."""
        return b"]" if self._has_begun else b"[]"

    def _element(self, data: bytes) -> bytes:
        start = b",\r\n" if self._has_begun else b"["
        self._has_begun = True
        return start + data

    def _failed(self, error: RelayError, request_id: str) -> bytes:
        return self._element(error_body(error, request_id)) + b"]"
