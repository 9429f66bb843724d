"""Videos as jobs: what a request orders, and what an answer says of the job. Free of Django.

A video is ordered in JSON or as a form (OpenAI's own library sends the latter even without a file),
charged by its seconds or by the piece when the upstream accepts it, and fetched later.
"""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.base import AnswerFacts, Asked, Endpoint, EventReader, RequestFacts
from relay.protocols.decoding import decode
from relay.protocols.json_text import check_text, members
from relay.protocols.multipart import Form, is_form, read_form, reread, with_field
from relay.protocols.openai import OPENAI_ERRORS
from relay.protocols.openai_answer import MALFORMED
from relay.protocols.splicing import appended, with_model

MODEL, SECONDS, SIZE = "sora-2", "4", "720x1280"
"""What OpenAI makes of a request that does not say."""

RUNNING, DONE, FAILED = "running", "done", "failed"
LONGEST_ID = 128

_READ = ("model", "seconds", "size")
_MOST_SECONDS = 3_600
_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")
_WORD = re.compile(r"[A-Za-z0-9:._-]{1,16}")
_STATES = {
    "completed": DONE,
    "succeeded": DONE,
    "expired": DONE,
    "failed": FAILED,
    "cancelled": FAILED,
    "canceled": FAILED,
}
_ANY = msgspec.json.Decoder()


class _Order(msgspec.Struct, gc=False):
    model: str | None = None
    seconds: str | int | None = None
    size: str | None = None


_ORDER = msgspec.json.Decoder(_Order)


class VideoFacts(RequestFacts):
    """What a request for a video asks for; the model is filled in where it names none."""

    seconds: int = 0
    size: str = ""
    names_model: bool = True


class VideosDialect:
    """Videos as OpenAI orders them."""

    def read(self, endpoint: Endpoint, asked: Asked) -> VideoFacts:
        """Return what a request asks for; see Dialect."""
        if is_form(asked.content_type):
            order = _of_form(read_form(asked.body, asked.content_type, once=_READ))
        else:
            order = _of_json(asked.body)
        model = order.model or MODEL
        if len(model) > 64:
            raise BadRequest("Invalid value for 'model': it is too long.", param="model")
        facts = video_facts(endpoint, model, seconds=order.seconds or SECONDS, size=order.size)
        facts.names_model = order.model is not None
        facts.content_type = asked.content_type if is_form(asked.content_type) else b""
        return facts

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
        names_model = isinstance(facts, VideoFacts) and facts.names_model
        if facts.tail or (served == facts.model and names_model):
            return body
        if facts.content_type:
            return with_field(reread(body), "model", served)
        if names_model:
            return with_model(body, facts, served)
        is_empty = not members(body)
        return appended(body, b'"model":' + msgspec.json.encode(served), is_empty=is_empty)

    def reader(self, facts: RequestFacts) -> EventReader:
        """Refuse: videos are not streamed."""
        return _refuse()

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect. A job that has failed at once is free."""
        video = decoded(body)
        fields = video if isinstance(video, dict) else {}
        if not (isinstance(fields.get("id"), str) and is_plain(fields["id"])):
            return AnswerFacts(error=body if fields.get("error") else MALFORMED)
        if state_of(body) == FAILED:
            return AnswerFacts(finished=True)
        return AnswerFacts(
            usage=Counts(second=_whole(video.get("seconds")) or _ordered(facts)),
            finished=True,
            has_content=True,
            object_id=video["id"],
        )

    def prompt(self, body: bytes) -> list[str]:
        """Return nothing: a video's prompt is not counted."""
        return []


def video_facts(
    endpoint: Endpoint, model: str, *, seconds: str | int, size: str | None
) -> VideoFacts:
    """Return the facts of an order. Raises BadRequest."""
    count = _whole(seconds)
    if count is None:
        raise BadRequest("Invalid value for 'seconds': expected a number.", param="seconds")
    size = size or SIZE
    if not _WORD.fullmatch(size):
        raise BadRequest("Invalid value for 'size'.", param="size")
    return VideoFacts(
        endpoint,
        model,
        0,
        units=Counts(second=count),
        variants=_variants(size, model),
        seconds=count,
        size=size,
    )


def _variants(size: str, model: str) -> tuple[str, ...]:
    """Return the price rows of a size; upright and lying videos of a size cost the same."""
    found = _SIZE.fullmatch(size)
    if not found:
        return ()
    return f"{size}/{model}", f"{found[2]}x{found[1]}/{model}"


def _of_form(form: Form) -> _Order:
    return _Order(*(form.text(name) or None for name in _READ))


def _of_json(body: bytes) -> _Order:
    check_text(body)
    order: _Order = decode(_ORDER, body)
    members(body, known=_READ)
    return order


def _whole(value: Any) -> int | None:
    """Return a number of seconds that may be written as text; None for what is none."""
    text = str(value) if type(value) in (str, int) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        return None
    return int(text) if 0 < int(text) <= _MOST_SECONDS else None


def _ordered(facts: RequestFacts) -> int:
    return facts.units.second if facts.units else 0


def _refuse() -> NoReturn:
    raise BadRequest("Videos are not streamed.", param="stream")


def state_of(body: bytes) -> str | None:
    """Return the state that an answer gives a video; None for what is no video."""
    video = decoded(body)
    status = video.get("status") if isinstance(video, Mapping) else None
    if not isinstance(status, str):
        return None
    return _STATES.get(status, RUNNING)


def is_plain(upstream_id: str) -> bool:
    """Say whether an upstream's id is one that can be kept and put into an address."""
    return (
        0 < len(upstream_id) <= LONGEST_ID and upstream_id.isascii() and upstream_id.isprintable()
    )


def decoded(body: bytes) -> Any:
    """Return a JSON document; None for what is none."""
    try:
        return _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


VIDEOS = Endpoint(
    name="videos", path="/v1/videos", dialect=VideosDialect(), errors=OPENAI_ERRORS, uploads=True
)
ENDPOINTS = {VIDEOS.path: VIDEOS}
