"""Bounded decoding of gzip and deflate, for upstreams that compress though we ask them not to.

Used by the readers of a response. Input may expand to at most `STEP_BYTES` per piece and at most
`MAX_RATIO` times over all, so a bomb costs a few hundred kilobytes and an error.
"""

import zlib

from relay.wire.errors import BodyTooLarge, ProtocolViolation

STEP_BYTES = 256 * 1024
MAX_RATIO = 100
# Short bodies may repeat themselves as much as they like.
RATIO_FREE_BYTES = 1024 * 1024

_GZIP_MAGIC = b"\x1f\x8b"


class BodyDecoder:
    """Turns compressed pieces into bounded plain pieces: `feed`, `take` until empty, `finish`."""

    __slots__ = ("_brimful", "_coding", "_in_bytes", "_inflater", "_out_bytes", "_pending")

    def __init__(self, coding: bytes) -> None:
        self._coding = coding
        self._inflater: zlib._Decompress | None = None
        self._pending = b""
        # A full step may leave plain bytes inside zlib though all input is consumed.
        self._brimful = False
        self._in_bytes = 0
        self._out_bytes = 0

    def feed(self, data: bytes) -> None:
        """Add compressed bytes."""
        self._in_bytes += len(data)
        self._pending = self._pending + data if self._pending else data

    def take(self) -> bytes:
        """Return up to STEP_BYTES of plain bytes, b"" when more input is needed."""
        while self._pending or self._brimful:
            inflater = self._started()
            if inflater is None:
                return b""
            try:
                plain = inflater.decompress(self._pending, STEP_BYTES)
            except zlib.error as error:
                raise ProtocolViolation(f"the compressed body is broken: {error}") from None
            self._pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            self._brimful = len(plain) == STEP_BYTES and not inflater.eof
            if plain:
                self._count(len(plain))
                return plain
        return b""

    def finish(self) -> None:
        """Raise ProtocolViolation if the compressed body has been cut."""
        if self._in_bytes and (self._inflater is None or not self._inflater.eof or self._pending):
            raise ProtocolViolation("the compressed body ends early")

    def _started(self) -> "zlib._Decompress | None":
        if self._inflater is not None and not self._inflater.eof:
            return self._inflater
        if len(self._pending) < 2:
            return None
        if self._inflater is not None and not (
            self._coding == b"gzip" and self._pending.startswith(_GZIP_MAGIC)
        ):
            raise ProtocolViolation("data after the end of the compressed body")
        self._inflater = zlib.decompressobj(self._window_bits())
        return self._inflater

    def _window_bits(self) -> int:
        """`deflate` means zlib by the standard and raw deflate by some servers."""
        if self._coding == b"gzip":
            return 16 + zlib.MAX_WBITS
        first, second = self._pending[0], self._pending[1]
        looks_wrapped = first & 0x0F == 8 and (first << 8 | second) % 31 == 0
        return zlib.MAX_WBITS if looks_wrapped else -zlib.MAX_WBITS

    def _count(self, size: int) -> None:
        self._out_bytes += size
        allowed = max(RATIO_FREE_BYTES, self._in_bytes * MAX_RATIO)
        if self._out_bytes > allowed:
            raise BodyTooLarge("the compressed body inflates beyond reason")


def decoder_for(content_encoding: bytes) -> BodyDecoder | None:
    """Return a decoder, None for identity; raises ProtocolViolation for codings we can't bound."""
    coding = content_encoding.strip().lower()
    if coding in (b"", b"identity"):
        return None
    if coding in (b"gzip", b"x-gzip"):
        return BodyDecoder(b"gzip")
    if coding == b"deflate":
        return BodyDecoder(b"deflate")
    raise ProtocolViolation(f"content-encoding not asked for: {coding[:40]!r}")
