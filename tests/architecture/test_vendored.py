"""Files of others that we ship: each is named in a NOTICE beside it, with licence and sha256."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

SUFFIXES = {".xz", ".gz", ".woff2", ".tiktoken"}
PLACES = ("billing", "relay", "portal", "benchmarks", "tests", "templates")


def vendored() -> list[Path]:
    return [
        file
        for place in PLACES
        for file in sorted((ROOT / place).rglob("*"))
        if file.is_file() and _is_from_others(file) and file.name != "NOTICE"
    ]


def _is_from_others(file: Path) -> bool:
    inside = file.relative_to(ROOT)
    return file.suffix in SUFFIXES or ".min." in file.name or "vendor" in inside.parts


@pytest.mark.parametrize("file", vendored(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_vendored_file_is_what_its_notice_says(file: Path) -> None:
    notice = (file.parent / "NOTICE").read_text()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert re.search(rf"{re.escape(file.name)}.*{digest}|{digest}.*{re.escape(file.name)}", notice)
    assert re.search(r"\b(MIT|BSD|Apache|ISC|OFL|MPL)\b", notice)
