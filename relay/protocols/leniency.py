"""Reading what upstreams answer: vendors and their imitators differ, and nothing may raise.

What clients send is read strictly instead, by `decoding`. Called by the dialects. Free of Django.
"""

from typing import TypeVar

import msgspec
from msgspec import Raw

T = TypeVar("T")
L = TypeVar("L")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoders raise; a Raw is looked into only when it is decoded itself."""

_NO_VALUES = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false", b"0"})


def is_given(raw: Raw) -> bool:
    """Say whether a member is there and says something."""
    return bytes(raw) not in _NO_VALUES


def read_either(
    decoder: msgspec.json.Decoder[T], loose: msgspec.json.Decoder[L], data: bytes
) -> T | L | None:
    """Return what the first decoder makes of an answer, else the loose one; None for no JSON."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        pass
    except UNREADABLE:
        return None
    try:
        return loose.decode(data)
    except UNREADABLE:
        return None
