"""Sounds of a known length in every container, silent and made by hand."""

import io
import struct
import wave

WAV_RATE = 16_000


def wav(seconds: float) -> bytes:
    """Return 16-bit mono sound, exact to the sample."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, WAV_RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * round(seconds * WAV_RATE)))
    return made.getvalue()


def mp3(frames: int) -> bytes:
    """Return frames of MPEG-1 layer III at 128 kbit/s and 44.1 kHz: 1,152 samples each."""
    return (b"\xff\xfb\x90\xc4" + bytes(413)) * frames


def flac(seconds: int) -> bytes:
    """Return what stands at the begin of a FLAC file, and some bytes."""
    rate = 16_000
    told = rate << 44 | 0 << 41 | 15 << 36 | seconds * rate
    info = struct.pack(">HH3s3sQ", 4096, 4096, bytes(3), bytes(3), told) + bytes(16)
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info + bytes(seconds * 8_000)


def ogg(seconds: int) -> bytes:
    """Return Opus in pages of a second each."""
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)
    pages = [_page(head, granule=0, flags=2), _page(tags, granule=0)]
    for second in range(1, seconds + 1):
        pages.append(_page(bytes(4_000), second * 48_000, flags=4 if second == seconds else 0))
    return b"".join(pages)


def _page(content: bytes, granule: int, flags: int = 0) -> bytes:
    whole, rest = divmod(len(content), 255)
    sizes = bytes([255] * whole + [rest])
    return (
        b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, 7, 0, 0, len(sizes)) + sizes + content
    )


def m4a(seconds: int) -> bytes:
    """Return MPEG-4 with a header that tells the length."""
    told = struct.pack(">IIIII", 0, 0, 0, 1_000, seconds * 1_000) + bytes(80)
    return (
        _box(b"ftyp", b"M4A " + bytes(4))
        + _box(b"moov", _box(b"mvhd", told))
        + bytes(seconds * 8_000)
    )


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def webm(seconds: int, *, is_live: bool = True) -> bytes:
    """Return what a browser records: clusters of a second, the last without a known size."""
    made = b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7
    made += b"\x2a\xd7\xb1\x83\x0f\x42\x40"
    for second in range(seconds):
        blocks = b"".join(_block(at_ms) for at_ms in range(0, 1_000, 20))
        cluster = b"\xe7\x84" + struct.pack(">I", second * 1_000) + blocks
        size = b"\x01" + b"\xff" * 7 if is_live else b"\x08" + len(cluster).to_bytes(4, "big")
        made += b"\x1f\x43\xb6\x75" + size + cluster
    return made


def _block(at_ms: int) -> bytes:
    content = b"\x81" + struct.pack(">hB", at_ms, 0x80) + bytes(60)
    return b"\xa3" + bytes([0x80 | len(content)]) + content
