"""The usage that an upstream reports, decoded although not all of it is as its vendor writes it.

Gateways written in other languages say `12.0`, `"12"`, and `[]` where an object is empty. For such
a slip the numbers that are right must not be lost: thoughts and cached tokens stand nowhere else.
Called by the `*_usage.py` of the dialects and by `media`. Free of Django.
"""

import math
from typing import Any, TypeVar

import msgspec

from relay.protocols.leniency import UNREADABLE

T = TypeVar("T")

_ANY = msgspec.json.Decoder()


def read_usage(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw) -> T | None:
    """Return what a decoder makes of a usage; None for nonsense.

    Details that can't be numbers count as not given; a total that can't be one spoils it all.
    """
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        pass
    except UNREADABLE:
        return None
    try:
        told: T = msgspec.convert(_tidied(_ANY.decode(raw)), decoder.type, strict=False)
    except UNREADABLE:
        return None
    return told


def _tidied(value: Any, *, is_detail: bool = False) -> Any:
    """Return a value with whole numbers, and without what says nothing."""
    if isinstance(value, dict):
        tidied = {name: _tidied(item, is_detail=True) for name, item in value.items()}
        return tidied if not is_detail else {n: v for n, v in tidied.items() if not _is_wrong(v)}
    if isinstance(value, list):
        return [_tidied(item, is_detail=True) for item in value] or None
    if isinstance(value, float) and math.isfinite(value):
        return math.ceil(value)
    return value


def _is_wrong(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, int) and value < 0)
