"""Reads a whole body within a limit. Used by both upstream clients."""

from typing import Protocol

from relay.wire.errors import BodyTooLarge


class Body(Protocol):
    """What arrives piece by piece and can be given up."""

    async def next_chunk(self) -> bytes:
        """Return the next piece, b"" at the end."""
        ...

    def close(self) -> None:
        """Give it up."""
        ...


async def read_whole(body: Body, limit_bytes: int) -> bytes:
    """Return the whole body; raises BodyTooLarge beyond the limit, and whatever the body raises."""
    pieces: list[bytes] = []
    total = 0
    while piece := await body.next_chunk():
        pieces.append(piece)
        total += len(piece)
        if total > limit_bytes:
            body.close()
            raise BodyTooLarge(
                f"the body exceeds {limit_bytes} bytes", request_sent=True, response_started=True
            )
    return b"".join(pieces)
