"""How long a WebM file is: what browsers record, whose header does not say it.

Its clusters begin with their time, and blocks count from there (RFC 8794, RFC 9559). Called by
`audio_length`. Free of Django.
"""

MAX_BLOCKS = 20_000

_EBML = b"\x1a\x45\xdf\xa3"
_CLUSTER = b"\x1f\x43\xb6\x75"
_TIMESTAMP = 0xE7
_SIMPLE_BLOCK = 0xA3
_BLOCK_GROUP = 0xA0
_BLOCK = 0xA1
_SCALE = b"\x2a\xd7\xb1"
_USUAL_SCALE_NS = 1_000_000
_HEAD_BYTES = 8 * 1024
_FRAME_S = 0.02


def is_webm(content: bytes) -> bool:
    """Say whether a file begins like Matroska or WebM."""
    return content.startswith(_EBML)


def seconds(content: bytes) -> float | None:
    """Return when the last block of the last cluster ends, None if there is none."""
    at = content.rfind(_CLUSTER)
    if at < 0:
        return None
    size, start = _number(content, at + len(_CLUSTER))
    ticks = _last_ticks(content[start : start + size])
    return ticks * _scale_ns(content) / 1e9 + _FRAME_S if ticks is not None else None


def _last_ticks(content: bytes) -> int | None:
    """Return the time of the last block among the members of a cluster."""
    cluster = last = None
    at = 0
    for _ in range(MAX_BLOCKS):
        if at + 2 > len(content):
            break
        kind = content[at]
        size, start = _number(content, at + 1)
        if kind == _TIMESTAMP and cluster is None and size <= 8:
            cluster = int.from_bytes(content[start : start + size], "big")
        elif kind in (_SIMPLE_BLOCK, _BLOCK) and cluster is not None and start + 3 <= len(content):
            _, track_end = _number(content, start)
            last = cluster + int.from_bytes(content[track_end : track_end + 2], "big", signed=True)
        at = start if kind == _BLOCK_GROUP else start + size
    return cluster if last is None else max(last, cluster or 0)


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Return a number that says its own length, and where it ends; 0 where there is none.

    One of nothing but ones stands for a size that is not known: all there is.
    """
    first = content[at] if at < len(content) else 0
    length = 9 - first.bit_length()
    if length > 8:
        return 0, at + 1
    ones = (1 << 7 * length) - 1
    value = int.from_bytes(content[at : at + length], "big") & ones
    return len(content) if value == ones else value, at + length


def _scale_ns(content: bytes) -> int:
    at = content.find(_SCALE, 0, _HEAD_BYTES)
    if at < 0:
        return _USUAL_SCALE_NS
    size, start = _number(content, at + len(_SCALE))
    value = content[start : start + size] if 0 < size <= 8 else b""
    return (int.from_bytes(value, "big") if value else 0) or _USUAL_SCALE_NS
