"""How long an uploaded sound is, by what its own header says and its size allows.

A header is the client's word, and may lie. One that its size makes impossible is not believed; what
it still can hide comes out when the upstream says what it has heard. Called by `audio`.
Free of Django.
"""

import math
from io import BytesIO

from tinytag import TinyTag, TinyTagException

from relay.protocols import webm

LEAST_BYTES_PER_SECOND = 2_000
"""Speech is hardly ever packed tighter; by it a length is bounded that nobody tells."""

_MOST_BYTES_PER_SECOND = {"audio/mpeg": 40_000, "audio/ogg": 64_000}
# What holds pictures, too, may be much longer for its sound.
_MOST_IN_A_CONTAINER = 2_500_000
_LEAST_PLAUSIBLE = 400
_MOST_READS = 20_000
_MOST_READ_BYTES = 4 * 1024 * 1024


class _Sparing(BytesIO):
    """A file that ends the search of whoever reads too much of it: parsers trust their input."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._reads_left = _MOST_READS
        self._bytes_left = _MOST_READ_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes; raises EOFError beyond the bounds."""
        found = super().read(size)
        self._reads_left -= 1
        self._bytes_left -= len(found)
        if self._reads_left < 0 or self._bytes_left < 0:
            raise EOFError
        return found


def seconds_told(content: bytes) -> int | None:
    """Return the length of a sound by its header, rounded up; None if that is not to be believed.

    Takes some milliseconds at most, whatever the content is.
    """
    if webm.is_webm(content):
        return _plausible(webm.seconds(content), len(content), _MOST_IN_A_CONTAINER)
    try:
        # Without its tags an OGG file is read packet by packet, with them page by page.
        tag = TinyTag.get(file_obj=_Sparing(content), tags=True)
    except TinyTagException:
        return None
    return _plausible(tag.duration, len(content), _most_bytes_per_second(tag))


def seconds_bound(size_bytes: int) -> int:
    """Return how many seconds a sound of this size can have."""
    return size_bytes // LEAST_BYTES_PER_SECOND + 1


def _most_bytes_per_second(tag: TinyTag) -> int:
    if tag.is_lossless and tag.samplerate and tag.channels:
        return tag.samplerate * tag.channels * max(1, (tag.bitdepth or 16) // 8)
    kind = (tag.mime_type or "").partition(";")[0]
    return _MOST_BYTES_PER_SECOND.get(kind, _MOST_IN_A_CONTAINER)


def _plausible(seconds: float | None, size_bytes: int, most_bytes_per_second: int) -> int | None:
    """Return the seconds as a whole number, if so many bytes can be so long."""
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        return None
    # A tenth for what is no sound: names, pictures, indexes.
    least = 0.9 * (size_bytes - 128 * 1024) / most_bytes_per_second
    if not least <= seconds <= size_bytes / _LEAST_PLAUSIBLE + 1:
        return None
    return math.ceil(seconds)
