"""OpenAI's newer dialect: responses, as its Agents library and Codex speak it.

The face of `responses_request.py`, `responses_answer.py` and `responses_usage.py`. Free of Django.
"""

from relay.protocols.base import AnswerFacts, Asked, Endpoint, RequestFacts
from relay.protocols.responses_answer import RESPONSES_ERRORS, ResponseReader, answer_facts
from relay.protocols.responses_request import (
    LIMIT_FIELD,
    ResponsesFacts,
    prompt_text,
    read_request,
)
from relay.protocols.splicing import with_model, with_output_limit

__all__ = ["ENDPOINTS", "RESPONSES", "RESPONSES_ERRORS", "ResponsesFacts"]


class ResponsesDialect:
    """Responses, whole and streamed."""

    def read(self, endpoint: Endpoint, asked: Asked) -> ResponsesFacts:
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
        """Return the body for an upstream; see Dialect. The limit has one name only."""
        if served != facts.model:
            body = with_model(body, facts, served)
        if output_limit is not None:
            body = with_output_limit(body, facts, output_limit, LIMIT_FIELD)
        return body

    def reader(self, facts: RequestFacts) -> ResponseReader:
        """Return a reader of events; see Dialect."""
        return ResponseReader(keeps=_keeps(facts))

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect."""
        return answer_facts(body, keeps=_keeps(facts))

    def prompt(self, body: bytes) -> list[str]:
        """Return the texts of a request; see Dialect."""
        return prompt_text(body)


def _keeps(facts: RequestFacts) -> bool:
    return isinstance(facts, ResponsesFacts) and facts.keeps


RESPONSES = Endpoint(
    name="responses",
    path="/v1/responses",
    dialect=ResponsesDialect(),
    errors=RESPONSES_ERRORS,
    streams=True,
    writes=True,
    takes_limit=True,
)

ENDPOINTS: dict[str, Endpoint] = {RESPONSES.path: RESPONSES}
