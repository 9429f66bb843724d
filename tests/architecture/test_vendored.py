"""Files of others that we ship: each is named in a NOTICE beside it, with licence and sha256."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import ROOT

SUFFIXES = {".xz", ".gz", ".woff2", ".tiktoken"}
LICENCES = re.compile(r"\b(MIT|BSD|Apache|ISC|OFL|MPL)\b")
PLACES = ("billing", "relay", "portal", "benchmarks", "tests", "templates")


def test_vendored_files_are_what_their_notices_say() -> None:
    files = list(vendored())
    assert files
    assert not [str(file.relative_to(ROOT)) for file in files if not noticed(file)]


def noticed(file: Path) -> bool:
    notice = file.parent / "NOTICE"
    if not notice.exists():
        return False
    text, digest = notice.read_text(), hashlib.sha256(file.read_bytes()).hexdigest()
    named = re.search(rf"{re.escape(file.name)}.*{digest}|{digest}.*{re.escape(file.name)}", text)
    return bool(named and LICENCES.search(text))


def vendored() -> Iterator[Path]:
    for place in PLACES:
        for file in sorted((ROOT / place).rglob("*")):
            if file.is_file() and file.name != "NOTICE" and _is_from_others(file):
                yield file


def _is_from_others(file: Path) -> bool:
    inside = file.relative_to(ROOT)
    if "build" in inside.parts or "__pycache__" in inside.parts:
        return False
    return file.suffix in SUFFIXES or ".min." in file.name or "vendor" in inside.parts
