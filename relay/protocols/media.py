"""What the dialects of pictures, sound, moderation and ranking have in common.

Their requests are JSON or forms, read once and changed in their model only; most of their answers
are in one piece. Called by `images`, `audio`, `moderations` and `rerank`. Free of Django.
"""

from collections.abc import Callable, Collection
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.base import AnswerFacts, EventFacts, RequestFacts
from relay.protocols.decoding import decode
from relay.protocols.json_text import check_text, members
from relay.protocols.leniency import UNREADABLE, is_given
from relay.protocols.multipart import Form, reread, with_field
from relay.protocols.openai import OPENAI_ERRORS as OPENAI_ERRORS
from relay.protocols.openai_answer import MALFORMED
from relay.protocols.openai_content import ABSENT
from relay.protocols.splicing import appended
from relay.protocols.usage_reading import read_usage
from relay.sse import event_data

T = TypeVar("T")

MAX_MODEL_CHARS = 64

_Tokens = Annotated[int, Meta(ge=0, le=2**40)]
_NOTHING = EventFacts()
_DONE = EventFacts(done=True)


class _Details(msgspec.Struct, gc=False):
    cached_tokens: _Tokens | None = None
    audio_tokens: _Tokens | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: _Tokens
    output_tokens: _Tokens | None = None
    input_tokens_details: _Details | None = None
    input_token_details: _Details | None = None


class Event(msgspec.Struct, gc=False):
    """What any event of these dialects says; each has some of it."""

    type: str = ""
    delta: str = ""
    text: str = ""
    usage: Raw = ABSENT
    error: Raw = ABSENT


_USAGE = msgspec.json.Decoder(_Usage)
_EVENT = msgspec.json.Decoder(Event)


def read_json(decoder: msgspec.json.Decoder[T], body: bytes, *, known: Collection[str]) -> T:
    """Return what a JSON request says; raises BadRequest for what could be read in two ways."""
    check_text(body)
    asked: T = decode(decoder, body)
    members(body, known=known)
    return asked


def whole_number(form: Form, name: str, *, most: int) -> int | None:
    """Return the number in a field of a form, None if it is absent or empty."""
    text = (form.text(name) or "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 0 <= int(text) <= most):
        raise BadRequest(f"Invalid value for '{name}': expected a number up to {most}.", param=name)
    return int(text)


def yes_or_no(form: Form, name: str) -> bool:
    """Return the truth value in a field of a form; absent or empty is no."""
    text = (form.text(name) or "").strip().lower()
    if text not in {"", "true", "false", "1", "0"}:
        raise BadRequest(f"Invalid type for '{name}': expected a boolean.", param=name)
    return text in {"true", "1"}


def named_model(name: str | None, *, usual: str = "") -> str:
    """Return the model that is asked for; raises BadRequest if there is none, or no such name."""
    name = name or usual
    if not name:
        raise BadRequest("Missing required parameter: 'model'.", param="model")
    if len(name) > MAX_MODEL_CHARS or not name.isprintable():
        raise BadRequest("Invalid value for 'model'.", param="model")
    return name


def token_counts(raw: bytes | Raw) -> Counts | None:
    """Return the counts of a `usage` with input and output tokens; None for anything else.

    Text and pictures read are both input, and cost the same.
    """
    usage = read_usage(_USAGE, raw)
    if usage is None:
        return None
    inside = usage.input_tokens_details or usage.input_token_details or _Details()
    audio = min(inside.audio_tokens or 0, usage.input_tokens)
    cached = min(inside.cached_tokens or 0, usage.input_tokens - audio)
    return Counts(
        input=usage.input_tokens - audio - cached,
        cached_input=cached,
        audio_in=audio,
        output=usage.output_tokens or 0,
    )


def decoded(decoder: msgspec.json.Decoder[T], body: bytes | Raw) -> T | None:
    """Return an upstream's JSON, None if it is none or not of this shape."""
    try:
        return decoder.decode(body)
    except UNREADABLE:
        return None


def is_page(content_type: bytes) -> bool:
    """Say whether an answer is a page for people: what gateways say when they fail, at 200 too."""
    return content_type.strip().lower().startswith(b"text/html")


class MediaDialect:
    """What is the same in all of them."""

    def rewritten(
        self,
        body: bytes,
        facts: RequestFacts,
        *,
        served: str,
        output_limit: int | None,
        limit_field: str,
    ) -> bytes:
        """Return the body for an upstream, which may know the model by another name; see Dialect.

        A model that the client has left out is said, so that what is served is what is charged.
        """
        if facts.content_type:
            form = reread(body)
            return body if form.text("model") == served else with_field(form, "model", served)
        spans, name = members(body), msgspec.json.encode(served)
        if "model" not in spans:
            return appended(body, b'"model":%b' % name, is_empty=not spans)
        start, end = spans["model"]
        is_same = served == facts.model and body[start:end] != b"null"
        return body if is_same else b"%b%b%b" % (body[:start], name, body[end:])

    def reader(self, facts: RequestFacts) -> "MediaReader":
        """Return a reader for what does not stream, but might; see Dialect."""
        return MediaReader(lambda event: EventFacts())


class MediaReader:
    """Reads the events of one stream: errors, and what `meaning` makes of all others."""

    __slots__ = ("_meaning", "finished", "usage")

    def __init__(self, meaning: Callable[[Event], EventFacts]) -> None:
        self.usage: Counts | None = None
        self.finished = False
        self._meaning = meaning

    def read(self, event: bytes) -> EventFacts:
        """Return what a whole event says."""
        data = event_data(event)
        if data is None or not data.strip():
            return _NOTHING
        if data.strip() == b"[DONE]":
            return _DONE
        said = decoded(_EVENT, data)
        if said is None:
            return EventFacts(error=MALFORMED)
        if is_given(said.error) or said.type == "error":
            return EventFacts(error=data)
        facts = self._meaning(said)
        self.usage = facts.usage or self.usage
        self.finished = self.finished or facts.finished
        return facts


def error_or(answer: Any, body: bytes, error: Raw) -> AnswerFacts | None:
    """Return the failure that an answer is in spite of its status, None if it is none."""
    if answer is None:
        return AnswerFacts(error=MALFORMED)
    return AnswerFacts(error=body) if is_given(error) else None
