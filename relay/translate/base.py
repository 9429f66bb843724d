"""What it takes to have one dialect answered by an upstream that speaks another.

A translation is one file beside this one; `relay/translate/__init__.py` names them by the two
endpoints that they join. What can't be carried over is refused, never dropped. Free of Django.
"""

from typing import Protocol

from relay.protocols.base import Endpoint, EventFacts, RequestFacts
from relay.providers.base import LocalCall
from relay.wire.messages import UpstreamResponse

LIMIT_FIELD = "max_tokens"
"""Where a body that is to be translated takes a limit of the output, in every client's dialect."""


class EventTranslator(Protocol):
    """Turns the events of one stream into those of the client's dialect, as they come."""

    def feed(self, event: bytes, facts: EventFacts) -> bytes:
        """Return whole events for the client, none or more, for an upstream's event."""

    def end(self) -> bytes:
        """Return the events that end the stream, after the upstream's has ended well."""


class Responder(Protocol):
    """Answers in this process what would else be sent to an upstream."""

    async def respond(self, call: LocalCall) -> UpstreamResponse:
        """Return the answer; raises the leaves of UpstreamError like a real upstream."""


class Translation(Protocol):
    """How requests at one endpoint are asked at another, and its answers brought back. Stateless.

    `endpoint` is the upstream's, `needs` what a provider must serve for it. `local` is set for
    one that needs no upstream in the end.
    """

    @property
    def endpoint(self) -> Endpoint: ...

    @property
    def needs(self) -> Endpoint: ...

    @property
    def local(self) -> Responder | None: ...

    def request(self, body: bytes, facts: RequestFacts, *, most_output: int) -> bytes:
        """Return the body for the upstream, made from a body that is ready for its own dialect.

        `most_output` is how many tokens the answer may have, for vendors who must be told. Raises
        BadRequest, with `param`, for what can't be carried over.
        """

    def answer(self, body: bytes, facts: RequestFacts) -> bytes:
        """Return a whole answer of the upstream as the client's dialect has it."""

    def events(self, facts: RequestFacts) -> EventTranslator:
        """Return a translator for one stream."""
