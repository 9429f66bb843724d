"""The demo's pictures: small squares in a colour of their prompt's own. Called by `demo`."""

import base64
import hashlib
import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from relay.errors import BadRequest
from relay.protocols.decoding import decode
from relay.protocols.images import PARTIAL_TOKENS, USUAL_MODEL, tokens_of
from relay.protocols.media import whole_number, yes_or_no
from relay.protocols.multipart import Form, read_form
from relay.providers.base import LocalCall
from relay.providers.demo_base import SSE_HEADERS, DemoResponse, json_answer, paced, refused, wait
from relay.providers.demo_openai import FAILURE, error_of, told_to_fail
from relay.providers.demo_text import Directives, count_prompt, read_directives
from relay.wire.errors import FirstByteTimeout

SIDE_PIXELS = 64
_IMAGE_INPUT_TOKENS = 65


class _Order(msgspec.Struct):
    prompt: str = ""
    model: str | None = None
    n: int | None = None
    size: str | None = None
    quality: str | None = None
    stream: bool | None = None
    partial_images: int | None = None
    response_format: str | None = None
    images: list[Any] | None = None

    @property
    def is_newer(self) -> bool:
        """Whether the model streams, reports usage and knows no addresses."""
        return "gpt-image" in (self.model or "")


_ORDER = msgspec.json.Decoder(_Order)


async def answer(call: LocalCall) -> DemoResponse:
    """Return the answer to a request that has been read and found valid."""
    try:
        order = _order(call)
    except BadRequest as error:
        return refused(400, error_of(error.message, 400))
    told = read_directives(order.prompt)
    await wait(told.delay_ms, call.timeouts.first_byte_s, FirstByteTimeout)
    if told.status:
        return told_to_fail(told)
    if not (order.stream and order.is_newer):
        return json_answer(_whole(order, told), told, call.timeouts)
    kind = "image_generation" if call.endpoint.name == "images_generations" else "image_edit"
    failure = b"data: %b\n\n" % error_of(FAILURE, 500)
    events = paced(_events(order, told, kind), told, call.timeouts, error=failure)
    return DemoResponse(200, SSE_HEADERS, events)


def _order(call: LocalCall) -> _Order:
    if not call.content_type:
        order: _Order = decode(_ORDER, call.body)
        return order
    form = read_form(call.body, call.content_type)
    return _Order(
        prompt=form.text("prompt") or "",
        model=form.text("model"),
        n=whole_number(form, "n", most=128),
        size=form.text("size"),
        quality=form.text("quality"),
        stream=yes_or_no(form, "stream"),
        partial_images=whole_number(form, "partial_images", most=16),
        response_format=form.text("response_format"),
        images=_files(form),
    )


def _files(form: Form) -> list[Any]:
    return [part.name for part in form.parts if part.filename is not None]


def _whole(order: _Order, told: Directives) -> dict[str, Any]:
    pictures = [picture(f"{order.prompt} {number}") for number in range(order.n or 1)]
    as_base64 = order.is_newer or order.response_format == "b64_json"
    found: dict[str, Any] = {"created": int(time.time())}
    found["data"] = [
        {"b64_json": encoded} if as_base64 else {"url": f"data:image/png;base64,{encoded}"}
        for encoded in pictures
    ]
    if (order.model or USUAL_MODEL) == "dall-e-3":
        found["data"] = [one | {"revised_prompt": order.prompt} for one in found["data"]]
    if order.is_newer:
        found |= _about(order)
        if told.usage != "none":
            found["usage"] = _usage(order, len(pictures), partial=0)
    return found


def _events(order: _Order, told: Directives, kind: str) -> Iterator[bytes]:
    partial = order.partial_images or 0
    for number in range(partial):
        said = {"type": f"{kind}.partial_image", "partial_image_index": number, **_about(order)}
        yield _event(said | {"b64_json": picture(f"{order.prompt} partly {number}")})
    said = {"type": f"{kind}.completed", "b64_json": picture(f"{order.prompt} 0"), **_about(order)}
    if told.usage != "none":
        said["usage"] = _usage(order, 1, partial=partial)
    yield _event(said)


def _event(said: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (said["type"].encode(), msgspec.json.encode(said))


def _about(order: _Order) -> dict[str, str]:
    size, quality = order.size or "auto", order.quality or "auto"
    return {
        "size": "1024x1024" if size == "auto" else size,
        "quality": "low" if quality == "auto" else quality,
        "background": "opaque",
        "output_format": "png",
    }


def _usage(order: _Order, count: int, *, partial: int) -> dict[str, Any]:
    text = count_prompt([order.prompt], messages=0)
    pictures = _IMAGE_INPUT_TOKENS * len(order.images or ())
    about = _about(order)
    written = count * tokens_of(about["size"], about["quality"]) + partial * PARTIAL_TOKENS
    return {
        "total_tokens": text + pictures + written,
        "input_tokens": text + pictures,
        "output_tokens": written,
        "input_tokens_details": {"text_tokens": text, "image_tokens": pictures},
    }


def picture(seed: str) -> str:
    """Return a PNG of one colour in base64, always the same for the same text."""
    colour = hashlib.sha256(seed.encode()).digest()[:3]
    rows = (b"\x00" + colour * SIDE_PIXELS) * SIDE_PIXELS
    head = struct.pack(">IIBBBBB", SIDE_PIXELS, SIDE_PIXELS, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head)
    png += _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return base64.b64encode(png).decode()


def _chunk(name: bytes, content: bytes) -> bytes:
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
