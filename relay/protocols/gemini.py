"""Gemini's dialect: content generated whole or streamed, tokens counted, texts embedded.

The face of `gemini_request.py`, `gemini_content.py`, `gemini_splice.py`, `gemini_answer.py`,
`gemini_usage.py`, `gemini_array.py` and `gemini_errors.py`. Free of Django. The address says
whether an answer is to stream, so one name stands for two endpoints.
"""

from relay.protocols.base import AnswerFacts, Asked, Endpoint, RequestFacts
from relay.protocols.gemini_answer import StreamReader, answer_facts
from relay.protocols.gemini_content import prompt_text
from relay.protocols.gemini_errors import GEMINI_ERRORS
from relay.protocols.gemini_request import most_searches, read_request
from relay.protocols.gemini_splice import with_model, with_output_limit

__all__ = [
    "BATCH_EMBED",
    "COUNT_TOKENS",
    "EMBED",
    "ENDPOINTS",
    "GEMINI_ERRORS",
    "GENERATE",
    "STREAM_GENERATE",
]


class GeminiDialect:
    """What is asked of one of Gemini's models, as Google defines it."""

    def read(self, endpoint: Endpoint, asked: Asked) -> RequestFacts:
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
        """Return the body for an upstream; see Dialect. The model travels in the address."""
        if served != facts.model:
            body = with_model(body, served)
        if output_limit is not None:
            body = with_output_limit(body, output_limit)
        return body

    def reader(self, facts: RequestFacts) -> StreamReader:
        """Return a reader of events; see Dialect."""
        return StreamReader(is_speech=facts.wants_audio, most_searches=most_searches(facts.model))

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect."""
        return answer_facts(
            body, is_speech=facts.wants_audio, most_searches=most_searches(facts.model)
        )

    def prompt(self, body: bytes) -> list[str]:
        """Return the texts of a request; see Dialect."""
        return prompt_text(body)


_DIALECT = GeminiDialect()
_MODEL = "/v1beta/models/{model}:"

GENERATE = Endpoint(
    name="gemini_generate",
    path=_MODEL + "generateContent",
    dialect=_DIALECT,
    errors=GEMINI_ERRORS,
    streams=True,
    writes=True,
    takes_limit=True,
)
STREAM_GENERATE = Endpoint(
    name="gemini_generate",
    path=_MODEL + "streamGenerateContent",
    dialect=_DIALECT,
    errors=GEMINI_ERRORS,
    filler=b"\n",  # Google's own library takes a comment for a broken answer
    streams=True,
    writes=True,
    takes_limit=True,
)
COUNT_TOKENS = Endpoint(
    name="gemini_count_tokens",
    path=_MODEL + "countTokens",
    dialect=_DIALECT,
    errors=GEMINI_ERRORS,
    is_free=True,
)
EMBED = Endpoint(
    name="gemini_embed", path=_MODEL + "embedContent", dialect=_DIALECT, errors=GEMINI_ERRORS
)
BATCH_EMBED = Endpoint(
    name="gemini_embed", path=_MODEL + "batchEmbedContents", dialect=_DIALECT, errors=GEMINI_ERRORS
)
ENDPOINTS = {
    endpoint.path: endpoint
    for endpoint in (GENERATE, STREAM_GENERATE, COUNT_TOKENS, EMBED, BATCH_EMBED)
}
