"""The catalogue: every text is in it, translated, compiled, and still used by somebody."""

import ast
import gettext
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "locale" / "zh_Hans" / "LC_MESSAGES" / "django"
OURS = [ROOT / name for name in ("portal", "billing", "relay", "templates")]
TEMPLATES = ("*.html", "*.txt")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
ENTRY = re.compile(
    r'^(msgid|msgid_plural|msgstr)(?:\[0\])? ((?:"(?:[^"\\]|\\.)*"\n)+)', re.MULTILINE
)
TEXTS = {"_": 1, "gettext": 1, "gettext_lazy": 1, "gettext_noop": 1, "ngettext": 2}
LITERAL = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
CALL = re.compile(rf"(?<![\w.])(?:_|n?gettext)\(\s*((?:u?{LITERAL},?\s*)+)")


def test_every_text_of_code_and_templates_is_in_the_catalogue() -> None:
    assert len(ours()) > 100
    assert not sorted(ours().difference(catalogue()))


def test_every_plural_is_in_the_catalogue_with_its_singular() -> None:
    plurals = {text: plural for text, plural in pairs(OURS) if plural}
    assert plurals
    known = entries()
    assert not [
        text
        for text, plural in plurals.items()
        if text in known and known[text]["plural"] != plural
    ]


def test_no_entry_of_the_catalogue_is_left_over() -> None:
    assert not sorted(set(catalogue()) - ours())


def test_every_text_is_translated() -> None:
    assert not [text for text, translation in catalogue().items() if not translation]
    assert "#, fuzzy" not in CATALOGUE.with_suffix(".po").read_text()


def test_a_translation_fills_in_what_its_text_does() -> None:
    assert not [text for text, zh in catalogue().items() if blanks(zh) - blanks(text)]
    assert not [
        text
        for text, entry in entries().items()
        if blanks(text) - blanks(entry["msgstr"]) and not entry["plural"]
    ]


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


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{% translate 'A b' %}", ("A b", "")),
        ("{% include 'x' with label=_('A b') %}", ("A b", "")),
        (
            "{% blocktranslate with s=shop.name %}Hi {{ s }}{% endblocktranslate %}",
            ("Hi %(s)s", ""),
        ),
        ("{% blocktranslate trimmed %}\n  A\n  b\n{% endblocktranslate %}", ("A b", "")),
        (
            "{% blocktranslate count n=c %}{{ n }} a{% plural %}{{ n }} b{% endblocktranslate %}",
            ("%(n)s a", "%(n)s b"),
        ),
    ],
)
def test_templates_are_read_as_django_reads_them(template: str, found: tuple[str, str]) -> None:
    assert list(texts_of_template(template)) == [found]


@cache
def ours() -> set[str]:
    """Return every text of our code and templates."""
    return {text for text, _ in pairs(OURS)}


def pairs(places: list[Path]) -> Iterator[tuple[str, str]]:
    """Return the texts under some folders, each with its plural or ""."""
    for place in places:
        for file in place.rglob("*.py"):
            yield from texts_of_code(file.read_text())
        for pattern in TEMPLATES:
            for file in place.rglob(pattern):
                yield from texts_of_template(file.read_text())


def texts_of_code(code: str) -> Iterator[tuple[str, str]]:
    """Return what is passed to `_` and its like, as literals."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        taken = [
            argument.value
            for argument in node.args[: TEXTS.get(node.func.id, 0)]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        ]
        if taken:
            yield taken[0], taken[1] if len(taken) > 1 else ""


def texts_of_template(template: str) -> Iterator[tuple[str, str]]:
    """Return the texts of `translate`, `blocktranslate` and `_()`, extracted by Django itself."""
    for arguments in CALL.findall(templatize(template)):
        literals = [ast.literal_eval(literal) for literal in re.findall(LITERAL, arguments)]
        yield literals[0], literals[1] if len(literals) > 1 else ""


@cache
def entries() -> dict[str, dict[str, str]]:
    """Return the catalogue's entries by their text: `msgstr` (the first form) and `plural`."""
    found: dict[str, dict[str, str]] = {}
    for block in CATALOGUE.with_suffix(".po").read_text().split("\n\n")[1:]:
        parts = {
            name: plain("".join(QUOTED.findall(value)))
            for name, value in ENTRY.findall(f"{block}\n")
        }
        found[parts["msgid"]] = {
            "msgstr": parts["msgstr"],
            "plural": parts.get("msgid_plural", ""),
        }
    return found


def catalogue() -> dict[str, str]:
    """Return the texts and their translations, plural forms by their first."""
    return {text: entry["msgstr"] for text, entry in entries().items()}


def blanks(text: str) -> set[str]:
    """Return the names that a text has filled in, by % or by format."""
    named = set(re.findall(r"%\((\w+)\)[sd]", text))
    try:
        braces = {name for _, name, _, _ in string.Formatter().parse(text) if name}
    except ValueError:
        braces = set()
    return named | braces


def plain(text: str) -> str:
    """Undo the escapes of a catalogue."""
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
