"""OpenAI's dialect of pictures: generations, edits and variations, whole or in events.

A picture is priced by its size and quality, or by the tokens that its model has written; both are
counted, and the price decides. Free of Django.
"""

import re
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.base import AnswerFacts, Asked, Endpoint, EventFacts, RequestFacts
from relay.protocols.decoding import decode
from relay.protocols.media import (
    OPENAI_ERRORS,
    Event,
    MediaDialect,
    MediaReader,
    decoded,
    error_or,
    is_page,
    named_model,
    read_json,
    token_counts,
    whole_number,
    yes_or_no,
)
from relay.protocols.multipart import is_form, read_form, reread
from relay.protocols.openai_answer import MALFORMED
from relay.protocols.openai_content import ABSENT

USUAL_MODEL = "dall-e-2"
"""What the vendor takes when the client names none."""
USUAL_SIZE = "1024x1024"
USUAL_QUALITY = "standard"
MOST_IMAGES = 128

PARTIAL_TOKENS = 100
"""What each picture on the way to the last one costs."""

_FIELDS = frozenset(
    {"model", "prompt", "n", "size", "quality", "stream", "partial_images", "input_fidelity"}
)
_KNOWN = _FIELDS | {"images", "image", "mask"}
_SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")
_WORD = re.compile(r"[a-z]{1,16}")
# What a picture of GPT Image is written in, square and oblong, by the vendor's table.
_TOKENS = {"low": (272, 408), "medium": (1_056, 1_584), "high": (4_160, 6_240)}
_OBLONG_PIXELS = 1_024 * 1_536
# Thoughts before it, for the models that have some.
_OTHER_TOKENS = 500
_FAITHFUL_TOKENS = 6_240
_INPUT_IMAGE_TOKENS = 323

_Count = Annotated[int, Meta(ge=1, le=MOST_IMAGES)]
_Partial = Annotated[int, Meta(ge=0, le=16)]


class _Order(msgspec.Struct, gc=False):
    model: str | None = None
    prompt: str | None = None
    n: _Count | None = None
    size: str | None = None
    quality: str | None = None
    stream: bool | None = None
    partial_images: _Partial | None = None
    input_fidelity: str | None = None
    images: list[Raw] | None = None
    image: Raw = ABSENT
    mask: Raw = ABSENT


class _Answer(msgspec.Struct, gc=False):
    data: list[Raw] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


class ImageFacts(RequestFacts, gc=False):
    """`each_tokens` bounds the tokens of one picture, where they can be known before."""

    each_tokens: int = 0


_ORDER = msgspec.json.Decoder(_Order)
_ANSWER = msgspec.json.Decoder(_Answer)
_LIST = msgspec.json.Decoder(list[Raw])


class ImagesDialect(MediaDialect):
    """Generations, edits and variations."""

    def read(self, endpoint: Endpoint, asked: Asked) -> ImageFacts:
        """Return what a request asks for; see Dialect."""
        if is_form(asked.content_type):
            return _of_form(endpoint, asked)
        if endpoint is VARIATIONS:
            raise BadRequest("The request must be multipart/form-data.", param="image")
        order = read_json(_ORDER, asked.body, known=_KNOWN)
        given = _given(order)
        given_bytes = sum(len(raw) for raw in given)
        return _facts(
            endpoint,
            order,
            text_bytes=len(asked.body) - given_bytes,
            images=len(given),
            image_bytes=given_bytes,
        )

    def reader(self, facts: RequestFacts) -> MediaReader:
        """Return a reader of events; see Dialect."""
        return MediaReader(_Drawing(facts).meaning)

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect."""
        said = None if is_page(content_type) else decoded(_ANSWER, body)
        if failure := error_or(said, body, said.error if said else ABSENT):
            return failure
        if said is None or said.data is None:
            return AnswerFacts(error=MALFORMED)
        count = len(said.data)
        usage = token_counts(said.usage)
        if usage is not None:
            usage = msgspec.structs.replace(usage, image=count)
        return AnswerFacts(
            usage=usage,
            finished=count > 0,
            has_content=count > 0,
            units=Counts(image=count, output=count * _each_tokens(facts)),
        )

    def prompt(self, body: bytes) -> list[str]:
        """Return the prompt; see Dialect."""
        if not body.lstrip().startswith(b"{"):
            return [reread(body).text("prompt") or ""]
        order = decoded(_ORDER, body)
        return [order.prompt or ""] if order else []


class _Drawing:
    """What a stream of pictures has come to: a picture counts from the first sight of it."""

    def __init__(self, facts: RequestFacts) -> None:
        self._facts = facts
        self._told = Counts()
        self._drawn = self._partial = 0
        self._is_new = True

    def meaning(self, event: Event) -> EventFacts:
        """Return what an event says, and all usage so far."""
        is_partial = event.type.endswith(".partial_image")
        is_whole = event.type.endswith(".completed")
        if not (is_partial or is_whole):
            return EventFacts()
        self._drawn += self._is_new
        self._is_new = is_whole
        self._partial += is_partial
        if is_whole and (usage := token_counts(event.usage)):
            self._partial = 0
            self._told = _sum(self._told, usage)
        return EventFacts(has_content=True, finished=is_whole, usage=self._usage())

    def _usage(self) -> Counts:
        told = self._told
        output = told.output + self._partial * PARTIAL_TOKENS
        if told.input + told.cached_input:
            return msgspec.structs.replace(told, image=self._drawn, output=output)
        # Nobody has told yet what the input came to.
        facts = self._facts
        read = facts.text_bytes // 4 + facts.images * _INPUT_IMAGE_TOKENS + 1
        return Counts(input=read, image=self._drawn, output=output)


def _sum(first: Counts, second: Counts) -> Counts:
    return Counts(
        input=first.input + second.input,
        cached_input=first.cached_input + second.cached_input,
        output=first.output + second.output,
    )


def _given(order: _Order) -> list[Raw]:
    """Return the pictures that an order starts from, in whichever field they are."""
    found = list(order.images or ())
    for raw in (order.image, order.mask):
        if bytes(raw)[:1] == b"[":
            found += decode(_LIST, raw, "image")
        elif raw:
            found.append(raw)
    return found


def _of_form(endpoint: Endpoint, asked: Asked) -> ImageFacts:
    form = read_form(asked.body, asked.content_type, once=_FIELDS)
    texts = {name: form.text(name) or None for name in ("model", "prompt", "size", "quality")}
    count = whole_number(form, "n", most=MOST_IMAGES)
    if count == 0:
        raise BadRequest(f"Invalid value for 'n': expected 1 to {MOST_IMAGES}.", param="n")
    order = _Order(
        **texts,  # type: ignore[arg-type]
        n=count,
        stream=yes_or_no(form, "stream"),
        partial_images=whole_number(form, "partial_images", most=16),
        input_fidelity=form.text("input_fidelity"),
    )
    files = [part.size_bytes for part in form.parts if part.filename is not None]
    facts = _facts(
        endpoint,
        order,
        text_bytes=sum(part.size_bytes for part in form.fields()),
        images=len(files),
        image_bytes=sum(files),
    )
    facts.content_type = asked.content_type
    return facts


def _facts(
    endpoint: Endpoint, order: _Order, *, text_bytes: int, images: int, image_bytes: int
) -> ImageFacts:
    model, count = named_model(order.model, usual=USUAL_MODEL), order.n or 1
    facts = ImageFacts(endpoint, model, text_bytes, choices=count)
    facts.images, facts.image_bytes = images, image_bytes
    facts.stream = bool(order.stream) and endpoint.streams
    facts.units = Counts(image=count)
    size, quality = (order.size or "").strip().lower(), (order.quality or "").strip().lower()
    facts.variants = variants(model, size=size, quality=quality)
    if "gpt-image" in model or "chatgpt-image" in model:
        facts.each_tokens = tokens_of(size, quality)
        facts.output_limit = facts.each_tokens + _OTHER_TOKENS
        facts.output_limit += PARTIAL_TOKENS * (order.partial_images or 0)
        if order.input_fidelity == "high":
            facts.text_bytes += _FAITHFUL_TOKENS * images
    return facts


def variants(model: str, *, size: str, quality: str) -> tuple[str, ...]:
    """Return the price rows of a size and quality, the more exact one first.

    What a model of DALL-E draws by itself is known; of others only what the client says.
    """
    if model.startswith("dall-e"):
        size, quality = size or USUAL_SIZE, quality or USUAL_QUALITY
    if not _SIZE.fullmatch(size):
        return ()
    rows = [f"{quality}/{size}/{model}"] if _WORD.fullmatch(quality) else []
    return (*rows, f"{size}/{model}")


def tokens_of(size: str, quality: str) -> int:
    """Return how many tokens a picture of GPT Image has at most; what is left open is the most."""
    square, oblong = _TOKENS.get(quality, _TOKENS["high"])
    found = _SIZE.fullmatch(size)
    if not found:
        return oblong
    pixels = int(found[1]) * int(found[2])
    if pixels > _OBLONG_PIXELS:
        return oblong * pixels // _OBLONG_PIXELS + 1
    return square if found[1] == found[2] else oblong


def _each_tokens(facts: RequestFacts) -> int:
    return facts.each_tokens if isinstance(facts, ImageFacts) else 0


_DIALECT = ImagesDialect()

GENERATIONS = Endpoint(
    name="images_generations",
    path="/v1/images/generations",
    dialect=_DIALECT,
    errors=OPENAI_ERRORS,
    streams=True,
    writes=True,
)
EDITS = Endpoint(
    name="images_edits",
    path="/v1/images/edits",
    dialect=_DIALECT,
    errors=OPENAI_ERRORS,
    streams=True,
    writes=True,
    uploads=True,
)
VARIATIONS = Endpoint(
    name="images_variations",
    path="/v1/images/variations",
    dialect=_DIALECT,
    errors=OPENAI_ERRORS,
    uploads=True,
)
ENDPOINTS = {endpoint.path: endpoint for endpoint in (GENERATIONS, EDITS, VARIATIONS)}
