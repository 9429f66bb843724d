"""Facts about JSON text that a parser does not tell: depth, encoding, where a member stands.

Used by the dialects, so that bodies are changed by splicing bytes and never re-encoded, and so that
what we price is what the upstream reads: a member that two parsers could read differently (given
twice, or written in another case) is refused. Free of Django.
"""

import codecs
import re
from collections.abc import Collection, Sequence

import msgspec

from relay.errors import BadRequest

MAX_DEPTH = 64
MAX_BRACKETS = 1_000_000
_PART_BYTES = 32_768

Span = tuple[int, int]

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY = re.compile(rb'[ \t\r\n]*[{,][ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*')
_END = re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*")
_PLAIN_VALUE = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*("[^"\\]*"|[-+.0-9A-Za-z]+)')
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))


def check_text(body: bytes) -> None:
    """Raise BadRequest unless the body is UTF-8 and nested no deeper than MAX_DEPTH.

    With more than MAX_BRACKETS the depth is not worth finding out.
    """
    if not body.isascii():
        try:
            _decode_in_parts(body)
        except UnicodeDecodeError:
            raise BadRequest("The request body is not valid UTF-8.") from None
    if _has_many_openings(body) and not _is_shallow(body):
        raise BadRequest(f"The request body is too complex or deeper than {MAX_DEPTH} levels.")


def _decode_in_parts(body: bytes) -> None:
    """Decode a text without ever having all of it, which could take four times the memory."""
    view, at = memoryview(body), 0
    while at < len(body):
        is_last = at + _PART_BYTES >= len(body)
        _, decoded = codecs.utf_8_decode(view[at : at + _PART_BYTES], "strict", is_last)
        at += decoded


def _has_many_openings(body: bytes) -> bool:
    count = 0
    for opening in (b"{", b"["):
        at = body.find(opening)
        while at >= 0:
            count += 1
            if count > MAX_DEPTH:
                return True
            at = body.find(opening, at + 1)
    return False


def _is_shallow(body: bytes) -> bool:
    """Return whether all levels are gone after peeling off the innermost ones MAX_DEPTH times."""
    # To replace is to search twice, once to count.
    unescaped = b"".join(body.split(rb"\\"))
    unescaped = b"".join(unescaped.split(rb"\""))
    # Strings without brackets collapse to two quotes; removing these keeps all others in their
    # strings, even where the two belonged to neighbours.
    quoted = unescaped.translate(_SQUARE, _NOT_STRUCTURE).replace(b'""', b"")
    brackets = b"".join(quoted.split(b'"')[::2])
    if len(brackets) > MAX_BRACKETS:
        return False
    for _ in range(MAX_DEPTH):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"")
    return not brackets


def members(body: bytes, *, known: Collection[str] = ()) -> dict[str, Span]:
    """Return where the value of each top-level member stands.

    Walks the text with the parser's values in hand: member after member must be found where the
    one before ended, up to the closing brace. That can't succeed with a member given twice.
    Raises BadRequest then, and for a key that differs from a `known` one in case only.
    """
    spans: dict[str, Span] = {}
    at = 0
    for key, raw in _MEMBERS.decode(body).items():
        value = bytes(raw)
        found = _KEY.match(body, at)
        if not found or not _spells(found[1], key) or not body.startswith(value, found.end()):
            raise BadRequest("The request body gives a field twice.", param=key[:64])
        if key not in known and key.casefold() in known:
            raise BadRequest(f"Unknown field; did you mean '{key.casefold()}'?", param=key[:64])
        at = found.end() + len(value)
        spans[key] = (found.end(), at)
    if spans and not _END.fullmatch(body, at):
        raise BadRequest("The request body gives a field twice.")
    return spans


def _spells(quoted: bytes, key: str) -> bool:
    return bool(msgspec.json.decode(quoted) == key)


class Outline(msgspec.Struct, frozen=True, gc=False):
    """The text around the big values of `body`: it begins before and ends after them.

    `is_plain`: no string of it occurs twice, none is escaped, none imitates a known key, so every
    known key that the parser has seen stands there exactly once.
    """

    body: bytes
    is_plain: bool = False
    ends_at: int = 0
    resumes_at: int = 0


def outline(
    body: bytes, values: Sequence[tuple[bytes, msgspec.Raw]], *, known: Collection[bytes]
) -> Outline:
    """Return the outline of `body` around `values`, each given with its quoted key and colon."""
    cuts: list[Span] = []
    for key, raw in values:
        cut = _cut(body, key, bytes(raw))
        if not cut:
            return Outline(body)
        cuts.append(cut)
    cuts.sort()
    text, at = b"", 0
    for start, end in cuts:
        if start < at:
            return Outline(body)
        text += body[at:start]
        at = end
    return Outline(body, _is_plain(text + body[at:], known), cuts[0][0], at)


def _cut(body: bytes, key: bytes, value: bytes) -> Span | None:
    start = body.find(key) + len(key)
    if start < len(key):
        return None
    if body[start] == 0x20:
        start += 1
    return (start, start + len(value)) if body.startswith(value, start) else None


def _is_plain(text: bytes, known: Collection[bytes]) -> bool:
    if b"\\" in text or not text.isascii():
        return False
    strings = text.split(b'"')[1::2]
    if len(strings) != len(set(strings)):
        return False
    return text.islower() or all(s in known or s.lower() not in known for s in strings)


def value_span(body: bytes, key: str, around: Outline) -> Span:
    """Return where the value of a top-level member stands that the parser has seen.

    Fast for a scalar in a plain outline of this very body; else walks the members.
    """
    if around.is_plain and body is around.body:
        quoted = b'"%b"' % key.encode()
        at = body.find(quoted, 0, around.ends_at)
        if at < 0:
            at = body.find(quoted, around.resumes_at)
        found = _PLAIN_VALUE.match(body, at + len(quoted)) if at >= 0 else None
        if found:
            return found.span(1)
    return members(body)[key]
