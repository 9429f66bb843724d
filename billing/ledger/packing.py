"""PostgreSQL's binary arrays, packed and unpacked by hand: four times cheaper than generic dumpers.

An array is a header (dimensions, has nulls, type; per dimension length and lower bound) and then
each element as its length and its bytes. None of ours holds a null. Used by `engine_postgres`.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

INT8, TEXT, UUID, FLOAT8 = 20, 25, 2950, 701
INT8_ARRAY, TEXT_ARRAY, UUID_ARRAY = 1016, 1009, 2951

_header = struct.Struct(">iiiii").pack
_header_2d = struct.Struct(">iiiiiii").pack
_length = struct.Struct(">i").pack
_HEADER_BYTES = 20
_EMPTY = {oid: struct.pack(">iii", 0, 0, oid) for oid in (INT8, TEXT, UUID)}
_UUID_LENGTH = _length(16)


@lru_cache(maxsize=1024)
def _int8s(count: int) -> Callable[..., bytes]:
    return struct.Struct(">" + "iq" * count).pack


def pack_int8s(numbers: Sequence[int]) -> bytes:
    """Return an int8[]."""
    count = len(numbers)
    if not count:
        return _EMPTY[INT8]
    flat = [8] * (2 * count)
    flat[1::2] = numbers
    return _header(1, 0, INT8, count, 1) + _int8s(count)(*flat)


def pack_int8_rows(rows: Sequence[tuple[int, ...]]) -> bytes:
    """Return an int8[][]; all rows have the same length."""
    if not rows:
        return _EMPTY[INT8]
    width = len(rows[0])
    pack = _int8s(width)
    flat = [8] * (2 * width)
    parts = [_header_2d(2, 0, INT8, len(rows), 1, width, 1)]
    for row in rows:
        flat[1::2] = row
        parts.append(pack(*flat))
    return b"".join(parts)


def pack_uuids(ids: Sequence[bytes]) -> bytes:
    """Return a uuid[] of ids of 16 bytes."""
    if not ids:
        return _EMPTY[UUID]
    body = _UUID_LENGTH + _UUID_LENGTH.join(ids)
    return _header(1, 0, UUID, len(ids), 1) + body


def pack_texts(words: Sequence[str]) -> bytes:
    """Return a text[]. Most columns of words hold one word all the way down."""
    if not words:
        return _EMPTY[TEXT]
    if len(distinct := set(words)) == 1:
        body = _text(distinct.pop()) * len(words)
    else:
        body = b"".join([_text(word) for word in words])
    return _header(1, 0, TEXT, len(words), 1) + body


def _text(word: str) -> bytes:
    encoded = word.encode()
    return _length(len(encoded)) + encoded


def pack_columns(rows: Iterable[tuple[str, ...]], *, width: int) -> list[bytes]:
    """Return one text[] per column of rows of words."""
    columns = list(zip(*rows, strict=True))
    return [pack_texts(column) for column in columns] or [_EMPTY[TEXT]] * width


def int8_reader(count: int) -> Callable[[bytes], tuple[int, ...]]:
    """Return what reads an int8[] of so many numbers."""
    return struct.Struct(f">{_HEADER_BYTES}x" + "4xq" * count).unpack


pack_float8 = struct.Struct(">d").pack
