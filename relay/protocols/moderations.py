"""OpenAI's dialect of moderation. What it costs is mostly nothing, but its price row says so.

Free of Django.
"""

from typing import Any

import msgspec
from msgspec import Raw

from relay.protocols.base import AnswerFacts, Asked, Endpoint, RequestFacts
from relay.protocols.decoding import wrong_type
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
from relay.protocols.openai_usage import usage_counts

USUAL_MODEL = "omni-moderation-latest"
"""What the vendor takes when the client names none."""


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    image_url: Raw = ABSENT


class _Request(msgspec.Struct, gc=False):
    input: str | list[str | _Part]
    model: str | None = None


class _Answer(msgspec.Struct, gc=False):
    results: list[Raw] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)


class ModerationsDialect(MediaDialect):
    """Texts and pictures in, verdicts out."""

    def read(self, endpoint: Endpoint, asked: Asked) -> RequestFacts:
        """Return what a request asks for; see Dialect."""
        request = read_json(_REQUEST, asked.body, known=_Request.__struct_fields__)
        if not request.input and isinstance(request.input, list):
            raise wrong_type("input", "a string or an array that is not empty")
        pictures = [part.image_url for part in _parts(request) if part.image_url]
        size = sum(map(len, pictures))
        model = named_model(request.model, usual=USUAL_MODEL)
        facts = RequestFacts(endpoint, model, len(asked.body) - size)
        facts.images, facts.image_bytes = len(pictures), size
        return facts

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect."""
        said = None if is_page(content_type) else decoded(_ANSWER, body)
        if failure := error_or(said, body, said.error if said else ABSENT):
            return failure
        if said is None or not said.results:
            return AnswerFacts(error=MALFORMED)
        usage = usage_counts(said.usage) if said.usage else None
        return AnswerFacts(usage=usage, finished=True, has_content=True)

    def prompt(self, body: bytes) -> list[str]:
        """Return the texts; see Dialect."""
        request = decoded(_REQUEST, body)
        if request is None:
            return []
        if isinstance(request.input, str):
            return [request.input]
        return [item if isinstance(item, str) else item.text or "" for item in request.input]


def _parts(request: _Request) -> list[_Part]:
    items: Any = request.input if isinstance(request.input, list) else ()
    return [item for item in items if isinstance(item, _Part)]


MODERATIONS = Endpoint(
    name="moderations",
    path="/v1/moderations",
    dialect=ModerationsDialect(),
    errors=OPENAI_ERRORS,
)
ENDPOINTS = {MODERATIONS.path: MODERATIONS}
