"""Searches every byte that an installation keeps: files, logs, temporary files, and Valkey."""

import base64
from collections.abc import Iterator
from pathlib import Path

from tests.system.running import RunningSystem


def places_with(system: RunningSystem, word: str) -> list[str]:
    """Return where a word is found, in clear or in a usual disguise."""
    disguises = set(disguised(word))
    return [
        place
        for place, content in kept(system)
        if any(disguise in content for disguise in disguises)
    ]


def kept(system: RunningSystem) -> Iterator[tuple[str, bytes]]:
    """Yield every file of the installation and, while it runs, every value in its Valkey."""
    for path in sorted(system.folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(system.folder)), Path(path).read_bytes()
    if system.process.poll() is None:
        valkey = system.valkey()
        for key in valkey.scan_iter():
            yield f"valkey {key!r}", key + (valkey.dump(key) or b"")
        valkey.close()


def disguised(word: str) -> Iterator[bytes]:
    """Yield a word as it looks in clear, in hex, in UTF-16 and anywhere inside base64."""
    assert len(word) >= 12, "too short to be told from chance in base64"
    raw = word.encode()
    yield raw
    yield raw.hex().encode()
    yield word.encode("utf-16-le")
    for shift in range(3):
        # The first and last characters depend on what stands before and after the word.
        yield base64.b64encode(b"x" * shift + raw)[4:-4]
