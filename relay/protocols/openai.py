"""OpenAI's dialect: chats, completions, embeddings, and how OpenAI's clients are told of errors.

The face of `openai_request.py`, `openai_content.py`, `openai_splice.py` and `openai_answer.py`.
Free of Django.
"""

from relay.protocols.base import AnswerFacts, Asked, Endpoint, EventFacts, RequestFacts
from relay.protocols.openai_answer import (
    OPENAI_ERRORS,
    StreamReader,
    answer_facts,
    error_body,
    error_event,
    usage_of_answer,
)
from relay.protocols.openai_content import prompt_text
from relay.protocols.openai_request import read_request
from relay.protocols.openai_splice import with_usage_asked
from relay.protocols.splicing import with_model, with_output_limit

__all__ = [
    "CHAT",
    "COMPLETIONS",
    "EMBEDDINGS",
    "ENDPOINTS",
    "OPENAI_ERRORS",
    "AnswerFacts",
    "Endpoint",
    "EventFacts",
    "RequestFacts",
    "StreamReader",
    "answer_facts",
    "error_body",
    "error_event",
    "prompt_text",
    "read_request",
    "usage_of_answer",
    "with_model",
    "with_output_limit",
    "with_usage_asked",
]


class OpenAIDialect:
    """Chats, completions and embeddings as OpenAI defines them."""

    def read(self, endpoint: Endpoint, asked: Asked) -> RequestFacts:
        """Return what a request asks for; see Dialect."""
        return read_request(endpoint, asked.body)

    def rewritten(
        self,
        body: bytes,
        facts: RequestFacts,
        *,
        served: str,
        output_limit: int | None,
        limit_field: str,
    ) -> bytes:
        """Return the body for an upstream; see Dialect."""
        if served != facts.model:
            body = with_model(body, facts, served)
        if facts.stream and not facts.wants_usage:
            body = with_usage_asked(body, facts)
        if output_limit is not None:
            body = with_output_limit(body, facts, output_limit, limit_field)
        return body

    def reader(self, facts: RequestFacts) -> StreamReader:
        """Return a reader of events; see Dialect."""
        return StreamReader(choices=facts.choices, searches=_searches(facts))

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect."""
        return answer_facts(body, searches=_searches(facts))

    def prompt(self, body: bytes) -> list[str]:
        """Return the texts of a request; see Dialect."""
        return prompt_text(body)


def _searches(facts: RequestFacts) -> int:
    """Return the searches of a request; one in another dialect has asked for its own."""
    return facts.units.search if facts.units and facts.endpoint is CHAT else 0


_DIALECT = OpenAIDialect()

CHAT = Endpoint(
    name="chat_completions",
    path="/v1/chat/completions",
    dialect=_DIALECT,
    errors=OPENAI_ERRORS,
    streams=True,
    writes=True,
    takes_limit=True,
)
COMPLETIONS = Endpoint(
    name="completions",
    path="/v1/completions",
    dialect=_DIALECT,
    errors=OPENAI_ERRORS,
    streams=True,
    writes=True,
    takes_limit=True,
)
EMBEDDINGS = Endpoint(
    name="embeddings", path="/v1/embeddings", dialect=_DIALECT, errors=OPENAI_ERRORS
)
ENDPOINTS = {endpoint.path: endpoint for endpoint in (CHAT, COMPLETIONS, EMBEDDINGS)}
