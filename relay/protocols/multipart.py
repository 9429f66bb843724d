"""Forms with files (multipart/form-data), read where they stand: spans of a body, nothing copied.

A body is forwarded as the bytes it is, so two readers must not see two forms in it: what RFC 7578
leaves open is refused here unless real clients send it. Called by the dialects that take uploads.
Free of Django.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from relay.errors import BadRequest
from relay.protocols.json_text import Span

MEDIA_TYPE = b"multipart/form-data"
MAX_PARTS = 64
MAX_FIELD_BYTES = 128 * 1024
MAX_HEAD_BYTES = 8 * 1024
MAX_TYPE_BYTES = 1024

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(
    rb'[ \t]*;[ \t]*(%b)[ \t]*=[ \t]*(?:"((?:[^"\\\r\n]|\\[^\r\n])*)"|([^\s;"]+))' % _TOKEN
)
_END_OF_PARAMETERS = re.compile(rb"[ \t]*;?[ \t]*")
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_HEADER = re.compile(rb"(%b):[ \t]*([^\r\n\x00]*)" % _TOKEN)
_PLAIN_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary"})
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})


class Part(NamedTuple):
    """A part of a form; `filename` is None for a field. `span` is where its content stands."""

    name: str
    filename: str | None
    content_type: str
    span: Span

    @property
    def size_bytes(self) -> int:
        """How long its content is."""
        return self.span[1] - self.span[0]


class Form(NamedTuple):
    """The parts of a form, in order, and the body that they stand in."""

    body: bytes
    parts: tuple[Part, ...]

    def files(self, *names: str) -> list[Part]:
        """Return the files under one of these names."""
        return [part for part in self.parts if part.name in names and part.filename is not None]

    def content(self, part: Part) -> bytes:
        """Return what a part holds."""
        return self.body[part.span[0] : part.span[1]]

    def fields(self) -> Iterator[Part]:
        """Yield the parts that are no files."""
        return (part for part in self.parts if part.filename is None)

    def field(self, name: str) -> Part | None:
        """Return the field of this name, None if there is none."""
        return next((part for part in self.fields() if part.name == name), None)

    def text(self, name: str) -> str | None:
        """Return what the field of this name says, None if there is none."""
        part = self.field(name)
        return None if part is None else self.content(part).decode()


def is_form(content_type: bytes) -> bool:
    """Say whether a body of this type is a form with files."""
    return content_type.partition(b";")[0].strip().lower() == MEDIA_TYPE


def read_form(body: bytes, content_type: bytes, *, once: Collection[str] = ()) -> Form:
    """Return the form that a body holds.

    The names in `once` may be given to one part only, and to none that another reader could take
    for it. Raises BadRequest, with the name as `param` where there is one.
    """
    form = _form(body, _boundary(content_type))
    _check_names(form.parts, once)
    for part in form.fields():
        _check_field(form, part)
    return form


def reread(body: bytes) -> Form:
    """Return the form of a body that was read before; its first line says its boundary."""
    line = body.lstrip(b"\r\n")
    return _form(body, line[2 : line.find(b"\r\n")])


def with_field(form: Form, name: str, value: str) -> bytes:
    """Return the body with another value in one of its fields, or with that field added."""
    body, part = form.body, form.field(name)
    if part is not None:
        return b"%b%b%b" % (body[: part.span[0]], value.encode(), body[part.span[1] :])
    body = body.lstrip(b"\r\n")
    opening = body[: body.find(b"\r\n")]
    head = b'Content-Disposition: form-data; name="%b"' % name.encode()
    return b"%b\r\n%b\r\n\r\n%b\r\n%b" % (opening, head, value.encode(), body)


def _boundary(content_type: bytes) -> bytes:
    if len(content_type) > MAX_TYPE_BYTES:
        raise BadRequest("The content-type of the request is too long.")
    kind, parameters = _with_parameters(content_type)
    boundary = parameters.get(b"boundary", b"")
    if kind != MEDIA_TYPE or not _BOUNDARY.fullmatch(boundary):
        raise BadRequest("The request must be multipart/form-data with a boundary.")
    return boundary


def _with_parameters(value: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Return the first word of a header in lower case, and its parameters as they are written."""
    word, _, _ = value.partition(b";")
    at, found = len(word), dict[bytes, bytes]()
    while parameter := _PARAMETER.match(value, at):
        name = parameter[1].lower()
        if name in found:
            raise BadRequest("A header of the form gives a parameter twice.")
        found[name] = parameter[3] if parameter[2] is None else parameter[2]
        at = parameter.end()
    if not _END_OF_PARAMETERS.fullmatch(value, at):
        raise BadRequest("A header of the form is not valid.")
    return word.strip().lower(), found


def _form(body: bytes, boundary: bytes) -> Form:
    at = len(body) - len(body.lstrip(b"\r\n"))
    opening = b"--" + boundary
    if not body.startswith(opening, at):
        raise BadRequest("The form does not begin with its boundary.")
    at += len(opening)
    delimiter = b"\r\n" + opening
    parts: list[Part] = []
    while body.startswith(b"\r\n", at):
        if len(parts) == MAX_PARTS:
            raise BadRequest(f"The form has more than {MAX_PARTS} parts.")
        # The line end may be the blank line of a part without headers, which is refused below.
        ends_at = body.find(delimiter, at + 2)
        if ends_at < 0:
            raise BadRequest("The form has no end: its final boundary is missing.")
        parts.append(_part(body, at + 2, ends_at))
        at = ends_at + len(delimiter)
    if not body.startswith(b"--", at) or body[at + 2 :].strip(b"\r\n \t"):
        raise BadRequest("The form is not valid around one of its boundaries.")
    return Form(body, tuple(parts))


def _part(body: bytes, start: int, end: int) -> Part:
    head_ends_at = body.find(b"\r\n\r\n", start, min(end, start + MAX_HEAD_BYTES))
    if head_ends_at < 0:
        raise BadRequest("A part of the form has no headers, or too many.")
    headers = _headers(body[start:head_ends_at])
    kind, parameters = _with_parameters(headers.get(b"content-disposition", b""))
    if kind != b"form-data" or b"name" not in parameters or b"name*" in parameters:
        raise BadRequest("A part of the form has no name.")
    if headers.get(b"content-transfer-encoding", b"binary").strip().lower() not in _PLAIN_ENCODINGS:
        raise BadRequest("A part of the form is encoded.")
    filename = parameters.get(b"filename", parameters.get(b"filename*"))
    return Part(
        name=_text(parameters[b"name"]),
        # Windows sends it in the letters of its country; nothing hangs on it.
        filename=None if filename is None else filename.decode(errors="replace"),
        content_type=headers.get(b"content-type", b"").decode("latin-1"),
        span=(head_ends_at + 4, end),
    )


def _headers(head: bytes) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        header = _HEADER.fullmatch(line)
        if not header or header[1].lower() in headers:
            raise BadRequest("A part of the form has headers that are not valid.")
        headers[header[1].lower()] = header[2]
    return headers


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadRequest("A name in the form is not valid UTF-8.") from None


def _check_names(parts: tuple[Part, ...], once: Collection[str]) -> None:
    """Refuse a name of `once` that comes again, or comes in a form that readers disagree on."""
    seen: set[str] = set()
    for part in parts:
        plain = unquote(part.name.replace("\\", "")).strip().casefold()
        if plain not in once:
            continue
        if part.name != plain:
            raise BadRequest(f"Unknown field; did you mean '{plain}'?", param=plain)
        if plain in seen:
            raise BadRequest(f"The form gives '{plain}' twice.", param=plain)
        seen.add(plain)


def _check_field(form: Form, part: Part) -> None:
    param = part.name[:64]
    if part.size_bytes > MAX_FIELD_BYTES:
        raise BadRequest(f"A field is longer than {MAX_FIELD_BYTES} bytes.", param=param)
    _, parameters = _with_parameters(part.content_type.encode("latin-1"))
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1").lower()
    try:
        form.content(part).decode()
    except UnicodeDecodeError:
        charset = ""
    if charset not in _CHARSETS:
        raise BadRequest("A field of the form is not valid UTF-8.", param=param)
