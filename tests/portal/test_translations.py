"""The catalogue: every text is in it, translated, and compiled."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "locale" / "zh_Hans" / "LC_MESSAGES" / "django"
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
ENTRY = re.compile(r'^(msgid|msgstr)(?:\[0\])? ((?:"(?:[^"\\]|\\.)*"\n)+)', re.MULTILINE)
IN_TEMPLATES = re.compile(r'{% translate "([^"]*)"')


def test_every_text_of_the_code_is_in_the_catalogue() -> None:
    assert not set(texts_of_code()) - set(catalogue())


def test_every_text_of_the_templates_is_in_the_catalogue() -> None:
    templates = [path.read_text() for path in (ROOT / "templates").rglob("*.html")]
    found = {text for template in templates for text in IN_TEMPLATES.findall(template)}
    assert found
    assert not found - set(catalogue())


def test_every_text_is_translated() -> None:
    assert not [text for text, translation in catalogue().items() if not translation]
    assert "#, fuzzy" not in CATALOGUE.with_suffix(".po").read_text()


def test_the_compiled_catalogue_is_up_to_date() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    # Some releases of Python 3.11 find texts with a plural by ngettext alone.
    assert not [
        text
        for text, translation in catalogue().items()
        if translation not in (compiled.gettext(text), compiled.ngettext(text, text, 1))
    ]


def test_chinese_uses_the_words_of_the_glossary() -> None:
    text = CATALOGUE.with_suffix(".po").read_text()
    assert not [word for word in ("您", "令牌", "点数", "冻结额", "节点", "充值卡") if word in text]


def texts_of_code() -> Iterator[str]:
    """Return what is passed to `_` anywhere in the portal."""
    for path in (ROOT / "portal").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                first = node.args[0] if node.func.id == "_" and node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def catalogue() -> dict[str, str]:
    """Return the texts and their translations, plural forms by their first."""
    entries: dict[str, str] = {}
    for block in CATALOGUE.with_suffix(".po").read_text().split("\n\n")[1:]:
        parts = ENTRY.findall(f"{block}\n")
        texts = {name: plain("".join(QUOTED.findall(value))) for name, value in parts}
        entries[texts["msgid"]] = texts["msgstr"]
    return entries


def plain(text: str) -> str:
    """Undo the escapes of a catalogue."""
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
