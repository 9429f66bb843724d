"""Bytes that look like the seeds and are not: fixed by a number, the same on every machine."""

import random
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

SPECIAL = (
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\xef\xbb\xbf", b"\0", b"\xff", b"\xe5\xad", b" "),
    *(b"data:", b"data: ", b"event: error\n", b":", b"[DONE]", b"id", b"usage", b'"', b"\\", b","),
    *(b"null", b"true", b"0", b"-1", b"1e9", b"18446744073709551616", b"1.5", b"{}", b"[]", b"{"),
    *(b"}", b"[", b"]", b'"\\ud800"', b'"a":', b"0\r\n\r\n", b"5\r\nhello\r\n", b"9" * 20),
    *(b"HTTP/1.1 100 x\r\n\r\n", b"HTTP/1.0 200 OK\r\n", b"content-length: 5\r\n", b"z\r\n"),
    *(b"transfer-encoding: chunked\r\n", b"content-encoding: gzip\r\n", b"\x1f\x8b", b"[[[["),
)
LONGEST_BYTES = 4_096


def mutated(seeds: Sequence[bytes], number: int) -> bytes:
    """Return the mutation of a number: a seed with a few places changed, or two seeds in one."""
    rng = random.Random(number)
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        _change(data, rng, seeds)
    return bytes(data[:LONGEST_BYTES])


def _change(data: bytearray, rng: random.Random, seeds: Sequence[bytes]) -> None:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    end = min(end, start + rng.choice((0, 1, 4, 40, 4_000)))
    kind = rng.randrange(6)
    if kind == 0:
        del data[start:end]
    elif kind == 1:
        data[start:start] = rng.choice(SPECIAL)
    elif kind == 2:
        data[start:end] = rng.choice(SPECIAL)
    elif kind == 3:
        data[start:start] = data[start:end]
    elif kind == 4:
        data[start : start + 1] = bytes([rng.randrange(256)])
    else:
        other = rng.choice(seeds)
        data[start:] = other[rng.randrange(len(other) + 1) :]


def cut(data: bytes) -> Iterator[bytes]:
    """Yield the data in pieces, cut at places that the data itself decides."""
    rng = random.Random(zlib.crc32(data))
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 6)))
    for start, end in pairwise([0, *places, len(data)]):
        if start < end:
            yield data[start:end]
