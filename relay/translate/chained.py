"""Two translations one after the other, with chats in between. Used by `__init__.py`."""

import msgspec

from relay.protocols.base import Asked, Endpoint, EventFacts, EventReader, RequestFacts
from relay.sse import EventSplitter
from relay.translate.base import EventTranslator, Responder
from relay.translate.joined import Joined


class Chained(msgspec.Struct, frozen=True, gc=False, eq=False, kw_only=True):
    """A translation made of two; see Translation. `first` is the client's, `second` the upstream's.

    The second must join at the endpoint that the first leads to.
    """

    first: Joined
    second: Joined

    @property
    def endpoint(self) -> Endpoint:
        """Return the upstream's endpoint."""
        return self.second.endpoint

    @property
    def needs(self) -> Endpoint:
        """Return the endpoint that a provider must serve."""
        return self.second.endpoint

    @property
    def local(self) -> Responder | None:
        """Return none: an upstream answers."""
        return None

    def request(self, body: bytes, facts: RequestFacts, *, most_output: int) -> bytes:
        """Return the body for the upstream."""
        between = self.first.request(body, facts, most_output=most_output)
        middle = self.first.endpoint
        read = middle.dialect.read(middle, Asked(between))
        return self.second.request(between, read, most_output=most_output)

    def answer(self, body: bytes, facts: RequestFacts) -> bytes:
        """Return a whole answer for the client."""
        return self.first.answer(self.second.answer(body, facts), facts)

    def events(self, facts: RequestFacts) -> EventTranslator:
        """Return a translator for one stream."""
        asking = msgspec.structs.replace(facts, wants_usage=True)
        reader = self.first.endpoint.dialect.reader(facts)
        return _Events(self.second.events(asking), reader, self.first.events(facts))


class _Events:
    """Gives what one translator has made to the other."""

    __slots__ = ("_first", "_reader", "_second", "_splitter")

    def __init__(
        self, second: EventTranslator, reader: EventReader, first: EventTranslator
    ) -> None:
        self._second = second
        self._reader = reader
        self._first = first
        self._splitter = EventSplitter()

    def feed(self, event: bytes, facts: EventFacts) -> bytes:
        """Return the events for an upstream's event; see EventTranslator."""
        return self._passed(self._second.feed(event, facts))

    def end(self) -> bytes:
        """Return the events that end the stream."""
        return self._passed(self._second.end()) + self._first.end()

    def _passed(self, made: bytes) -> bytes:
        read, feed = self._reader.read, self._first.feed
        return b"".join(feed(event, read(event)) for event in self._splitter.feed(made))
