"""Anthropic's dialect: messages, the counting of their tokens, and how its clients hear of errors.

The face of `anthropic_request.py`, `anthropic_content.py`, `anthropic_splice.py`,
`anthropic_answer.py`, `anthropic_usage.py` and `anthropic_errors.py`. Free of Django.
"""

from relay.protocols.anthropic_answer import EventReader, answer_facts, count_facts
from relay.protocols.anthropic_content import prompt_text
from relay.protocols.anthropic_errors import ANTHROPIC_ERRORS, error_body, error_event
from relay.protocols.anthropic_request import MessagesFacts, read_request
from relay.protocols.anthropic_splice import with_limit
from relay.protocols.base import AnswerFacts, Asked, Endpoint, RequestFacts
from relay.protocols.splicing import with_model

__all__ = [
    "ANTHROPIC_ERRORS",
    "COUNT_TOKENS",
    "ENDPOINTS",
    "MESSAGES",
    "EventReader",
    "MessagesFacts",
    "answer_facts",
    "error_body",
    "error_event",
    "prompt_text",
    "read_request",
    "with_limit",
]


class AnthropicDialect:
    """Messages as Anthropic defines them."""

    def read(self, endpoint: Endpoint, asked: Asked) -> MessagesFacts:
        """Return what a request asks for; see Dialect."""
        return read_request(endpoint, asked)

    def rewritten(
        self,
        body: bytes,
        facts: RequestFacts,
        *,
        served: str,
        output_limit: int | None,
        limit_field: str,
    ) -> bytes:
        """Return the body for an upstream; see Dialect. Raises InsufficientQuota.

        A limit always stands in the request, in the dialect's only field for it.
        """
        if served != facts.model:
            body = with_model(body, facts, served)
        if output_limit is not None and isinstance(facts, MessagesFacts):
            body = with_limit(body, facts, output_limit)
        return body

    def reader(self, facts: RequestFacts) -> EventReader:
        """Return a reader of events; see Dialect."""
        return EventReader(keeps_thread=_keeps_thread(facts))

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect."""
        if facts.endpoint is COUNT_TOKENS:
            return count_facts(body)
        return answer_facts(body, keeps_thread=_keeps_thread(facts))

    def prompt(self, body: bytes) -> list[str]:
        """Return the texts of a request; see Dialect."""
        return prompt_text(body)


def _keeps_thread(facts: RequestFacts) -> bool:
    return isinstance(facts, MessagesFacts) and facts.keeps_thread


_DIALECT = AnthropicDialect()

MESSAGES = Endpoint(
    name="messages",
    path="/v1/messages",
    dialect=_DIALECT,
    errors=ANTHROPIC_ERRORS,
    streams=True,
    writes=True,
    takes_limit=True,
)
COUNT_TOKENS = Endpoint(
    name="count_tokens",
    path="/v1/messages/count_tokens",
    dialect=_DIALECT,
    errors=ANTHROPIC_ERRORS,
    is_free=True,
)
ENDPOINTS = {endpoint.path: endpoint for endpoint in (MESSAGES, COUNT_TOKENS)}
