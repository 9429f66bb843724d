"""UUIDv7 ids: ordered by time, made by us, safe to show. Used for requests, holds and users."""

import itertools
import os
import struct
import time
import uuid

_pack = struct.Struct(">QQ").pack
_VARIANT = 1 << 63
_RANDOM_MASK = (1 << 62) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class _Sequence:
    """A 74-bit tail that never repeats in a process and starts at random in each one.

    Twelve counter bits keep ids of one millisecond in order; the rest walks through the 62-bit
    space in odd steps from a random start, so two processes do not meet. A fork starts anew.
    """

    def __init__(self) -> None:
        self.restart()
        os.register_at_fork(after_in_child=self.restart)

    def restart(self) -> None:
        self.start = int.from_bytes(os.urandom(8), "big")
        self.next = itertools.count(1).__next__  # atomic: one call in C


_sequence = _Sequence()


def uuid7_bytes() -> bytes:
    """Return a new UUIDv7 as 16 bytes (RFC 9562, section 5.7; milliseconds since 1970)."""
    count = _sequence.next()
    tail = (_sequence.start + count * _GOLDEN) & _RANDOM_MASK
    return _pack((time.time_ns() // 1_000_000) << 16 | 0x7000 | (count & 0xFFF), _VARIANT | tail)


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7."""
    return uuid.UUID(bytes=uuid7_bytes())
