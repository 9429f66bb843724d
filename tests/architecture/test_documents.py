"""The documents lead somewhere and name nothing that is gone; test_docs.py: they are complete."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from portal.dev.cli import WORDS
from tests.architecture.sources import ROOT

OURS = ("billing", "relay", "portal")
DECISION_LINES = 60


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", document.read_text())
    assert not [link for link in links if not (document.parent / link).exists()]


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = [str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")]
    assert not [page for page in pages if page != "index.md" and f"({page})" not in index]


def test_the_reference_names_no_setting_that_is_gone() -> None:
    reference = (ROOT / "docs" / "reference" / "settings.md").read_text()
    code = "".join(path.read_text() for path in code_files())
    names = set(re.findall(r"^\| `([A-Z_]+)`", reference, re.MULTILINE))
    assert not [name for name in sorted(names) if f'"{name}"' not in code]


def test_the_readme_names_no_command_that_is_not_there() -> None:
    readme = (ROOT / "README.md").read_text()
    words = set(re.findall(r"dev\.py (\w+)", readme)) | set(
        re.findall(r"^\| `(\w+)", readme, re.MULTILINE)
    )
    assert words <= set(get_commands()) | set(WORDS)


def test_decisions_are_short() -> None:
    notes = list(ROOT.glob("docs/decisions/*.md"))
    assert notes
    assert not [note.name for note in notes if len(note.read_text().splitlines()) > DECISION_LINES]


def code_files() -> list[Path]:
    roots = [*(ROOT / name for name in OURS), ROOT / "tests"]
    return [path for root in roots for path in root.rglob("*.py")]
