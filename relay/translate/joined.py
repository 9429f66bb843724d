"""Two endpoints joined by the functions that translate between them. Used by `__init__.py`."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from billing.pricing import Counts
from relay.protocols.base import Endpoint, RequestFacts
from relay.translate.base import EventTranslator, Responder


class RequestWriter(Protocol):
    """Makes the upstream's body of a client's; see Translation."""

    def __call__(self, body: bytes, facts: RequestFacts, *, most_output: int) -> bytes: ...


AnswerWriter = Callable[[bytes, Counts | None, RequestFacts], bytes]
"""Makes the client's whole answer of the upstream's, of what it has used and what was asked."""


class Joined(msgspec.Struct, frozen=True, gc=False, eq=False, kw_only=True):
    """A translation; see there."""

    endpoint: Endpoint
    requests: RequestWriter
    answers: AnswerWriter
    translators: Callable[[RequestFacts], EventTranslator]

    @property
    def needs(self) -> Endpoint:
        """Return the endpoint that a provider must serve."""
        return self.endpoint

    @property
    def local(self) -> Responder | None:
        """Return none: an upstream answers."""
        return None

    def request(self, body: bytes, facts: RequestFacts, *, most_output: int) -> bytes:
        """Return the body for the upstream."""
        return self.requests(body, facts, most_output=most_output)

    def answer(self, body: bytes, facts: RequestFacts) -> bytes:
        """Return a whole answer for the client; its usage is what the dialect has read."""
        said = self.endpoint.dialect.answer(body, facts, b"application/json")
        return self.answers(body, said.usage, facts)

    def events(self, facts: RequestFacts) -> EventTranslator:
        """Return a translator for one stream."""
        return self.translators(facts)
