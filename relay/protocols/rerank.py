"""The dialect in which Cohere, Jina and their imitators order documents by a question.

Some bill the tokens that they have read, some a search for each hundred documents; both are
counted, and the price decides. Free of Django.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.base import AnswerFacts, Asked, Endpoint, RequestFacts
from relay.protocols.media import (
    OPENAI_ERRORS,
    MediaDialect,
    decoded,
    error_or,
    is_page,
    named_model,
    read_json,
)
from relay.protocols.openai_answer import MALFORMED
from relay.protocols.openai_content import ABSENT
from relay.protocols.strings import strings_in
from relay.protocols.usage_reading import read_usage

MOST_DOCUMENTS = 10_000
DOCUMENTS_OF_A_SEARCH = 100

_Tokens = Annotated[int, Meta(ge=0, le=2**40)]


class _Request(msgspec.Struct, gc=False):
    query: Any
    documents: list[Any]
    model: str | None = None


class _Usage(msgspec.Struct, gc=False):
    total_tokens: _Tokens | None = None
    prompt_tokens: _Tokens | None = None


class _Billed(msgspec.Struct, gc=False):
    search_units: _Tokens | None = None
    input_tokens: _Tokens | None = None


class _Meta(msgspec.Struct, gc=False):
    billed_units: _Billed | None = None
    tokens: _Billed | None = None


class _Answer(msgspec.Struct, gc=False):
    results: list[Raw] | None = None
    data: list[Raw] | None = None
    usage: Raw = ABSENT
    meta: Raw = ABSENT
    error: Raw = ABSENT


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_USAGE = msgspec.json.Decoder(_Usage)
_META = msgspec.json.Decoder(_Meta)


class RerankDialect(MediaDialect):
    """A question and documents in, their order out."""

    def read(self, endpoint: Endpoint, asked: Asked) -> RequestFacts:
        """Return what a request asks for; see Dialect."""
        request = read_json(_REQUEST, asked.body, known=_Request.__struct_fields__)
        if not 1 <= len(request.documents) <= MOST_DOCUMENTS:
            raise BadRequest(f"Expected 1 to {MOST_DOCUMENTS} documents.", param="documents")
        # Every document is read together with the question.
        again = len(msgspec.json.encode(request.query)) * (len(request.documents) - 1)
        facts = RequestFacts(endpoint, named_model(request.model), len(asked.body) + again)
        facts.units = Counts(search=-(-len(request.documents) // DOCUMENTS_OF_A_SEARCH))
        return facts

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect."""
        said = None if is_page(content_type) else decoded(_ANSWER, body)
        if failure := error_or(said, body, said.error if said else ABSENT):
            return failure
        if said is None or (said.results is None and said.data is None):
            return AnswerFacts(error=MALFORMED)
        asked = facts.units.search if facts.units else 0
        return AnswerFacts(usage=_usage(said, asked), finished=True, has_content=True)

    def prompt(self, body: bytes) -> list[str]:
        """Return the question and the documents; see Dialect."""
        request = decoded(_REQUEST, body)
        return list(strings_in([request.query, *request.documents])) if request else []


def _usage(said: _Answer, searches: int) -> Counts | None:
    """Return what an answer has cost; without any figure of the upstream's, None."""
    usage = read_usage(_USAGE, said.usage) or _Usage()
    meta = read_usage(_META, said.meta) or _Meta()
    billed, read = meta.billed_units or _Billed(), meta.tokens or _Billed()
    told = (usage.total_tokens, usage.prompt_tokens, billed.input_tokens, read.input_tokens)
    tokens = next((count for count in told if count is not None), None)
    if tokens is None and billed.search_units is None:
        return None
    if billed.search_units is not None:
        searches = billed.search_units
    return Counts(input=tokens or 0, search=searches)


RERANK = Endpoint(name="rerank", path="/v1/rerank", dialect=RerankDialect(), errors=OPENAI_ERRORS)
ENDPOINTS = {RERANK.path: RERANK}
