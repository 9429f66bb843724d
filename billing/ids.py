"""UUIDv7 ids: ordered by time, made by us, safe to show. Used for requests, holds and users."""

import os
import struct
import threading
import time
import uuid

_pack = struct.Struct(">QQ").pack
_VARIANT = 1 << 63
_RANDOM_MASK = (1 << 62) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class _Sequence:
    """A 74-bit tail that never repeats in a process and starts at random in each one.

    Twelve counter bits keep ids of one millisecond in order; the rest walks through the 62-bit
    space in odd steps from a random start, so two processes do not meet.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.count = 0
        self.start = 0
        self.lock = threading.Lock()

    def next(self) -> tuple[int, int]:
        with self.lock:
            if self.pid != os.getpid():
                self.pid = os.getpid()
                self.start = int.from_bytes(os.urandom(8), "big")
            self.count += 1
            return self.count & 0xFFF, (self.start + self.count * _GOLDEN) & _RANDOM_MASK


_sequence = _Sequence()


def uuid7_bytes() -> bytes:
    """Return a new UUIDv7 as 16 bytes (RFC 9562, section 5.7; milliseconds since 1970)."""
    low, tail = _sequence.next()
    return _pack((time.time_ns() // 1_000_000) << 16 | 0x7000 | low, _VARIANT | tail)


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7."""
    return uuid.UUID(bytes=uuid7_bytes())
