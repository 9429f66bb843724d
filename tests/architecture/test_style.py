"""The house style, measured: what a reader can rely on in every file."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture import figures, sources
from tests.architecture.figures import length
from tests.architecture.sources import FunctionNode, Source

Recorder = Callable[[str, object], None]

FUNCTION_LINES = 70
FILE_LINES = 400
TEST_FILE_LINES = 500
NESTING = 4

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "misc"}
SIGNALS = {"receiver", "post_save", "pre_save", "post_delete", "pre_delete", "m2m_changed"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
BANNER = re.compile(r"^\s*#\s*[-=*#~]{3,}")
# What only made sense to whoever wrote it: the folders of a desk, the numbers of a tracker.
PRIVATE = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/|\bissue\s+#?\d|\b\d\d-[a-z-]+\.md\b")
COMPOUND = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def test_functions_are_short(record_property: Recorder) -> None:
    record_property("functions", figures.of_functions())
    assert not [
        f"{source.place(node)} {node.name} has {length(node)} lines"
        for source in sources.everything()
        for node in source.functions
        if length(node) > FUNCTION_LINES
    ]


def test_files_can_be_read_in_one_sitting(record_property: Recorder) -> None:
    record_property("code", figures.of_files())
    limits = [(FILE_LINES, sources.product()), (TEST_FILE_LINES, sources.tests())]
    assert not [
        f"{source.name} has {len(source.lines)} lines"
        for limit, files in limits
        for source in files
        if len(source.lines) > limit
    ]


def test_nesting_is_shallow() -> None:
    assert not [
        f"{source.place(node)} {node.name} nests {_depth(node)} deep"
        for source in sources.everything()
        for node in source.functions
        if _depth(node) > NESTING
    ]


def test_every_module_says_what_lives_in_it() -> None:
    assert not [
        source.name
        for source in sources.everything()
        if source.tree.body and not ast.get_docstring(source.tree)
    ]


def test_functions_are_annotated() -> None:
    assert not [
        f"{source.place(node)} {node.name}"
        for source in sources.product()
        for node in source.functions
        if not _annotated(node)
    ]


def test_catching_everything_has_a_reason() -> None:
    assert not [
        source.place(handler)
        for source in sources.product()
        for handler in ast.walk(source.tree)
        if isinstance(handler, ast.ExceptHandler) and _catches_everything(handler)
        if not _has_comment(source, handler)
    ]


@pytest.mark.parametrize(
    ("what", "pattern"),
    [("unfinished work", UNFINISHED), ("banners", BANNER), ("private places", PRIVATE)],
)
def test_no_file_contains(what: str, pattern: re.Pattern[str]) -> None:
    assert not [
        f"{name}:{number} {line.strip()}"
        for name, lines in _texts()
        for number, line in enumerate(lines, start=1)
        if pattern.search(line)
    ], what


def test_module_names_say_something() -> None:
    assert not [source.name for source in sources.everything() if source.path.stem in VAGUE_NAMES]


def test_there_are_no_signals() -> None:
    assert not [
        source.place(node)
        for source in sources.product()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and SIGNALS & {alias.name for alias in node.names}
    ]


def test_there_are_no_metaclasses() -> None:
    assert not [
        source.place(node)
        for source in sources.product()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and any(word.arg == "metaclass" for word in node.keywords)
    ]


def test_nothing_is_mocked() -> None:
    assert not [
        source.place(node)
        for source in sources.tests()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom | ast.Import) and "mock" in ast.unparse(node)
    ]


def test_names_of_tests_are_sentences() -> None:
    assert not [
        f"{source.place(node)} {node.name}"
        for source in sources.tests()
        for node in source.functions
        if node.name.startswith("test_") and node.name.count("_") < 2
    ]


def test_migrations_are_named() -> None:
    found = [
        file.name
        for package in ("billing", "relay", "portal")
        for file in (sources.ROOT / package / "migrations").glob("[0-9]*.py")
    ]
    assert found
    assert not [name for name in found if "_auto_" in name]


def _depth(node: ast.AST) -> int:
    """Return how deep compound statements nest; `elif` is not deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode | ast.ClassDef):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        step = isinstance(child, COMPOUND) and not is_elif
        deepest = max(deepest, step + _depth(child))
    return deepest


def _annotated(node: FunctionNode) -> bool:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    named += [one for one in (arguments.vararg, arguments.kwarg) if one]
    bare = [one for one in named if one.annotation is None and one.arg not in ("self", "cls")]
    return node.returns is not None and not bare


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    if isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None:
        return False  # it only tidies up and lets the exception go on
    caught = ast.unparse(handler.type) if handler.type else "everything"
    return bool(re.search(r"\b(everything|Exception|BaseException)\b", caught))


def _has_comment(source: Source, handler: ast.ExceptHandler) -> bool:
    around = source.lines[handler.lineno - 2 : handler.lineno + 1]
    return any(re.search(r"#(?! noqa| type:)", line) for line in around)


def _texts() -> Iterator[tuple[str, list[str]]]:
    here = Path(__file__)
    for source in sources.everything():
        if source.path != here:
            yield source.name, source.lines
    for pattern in ("*.md", "docs/**/*.md", "*.toml", ".ci/*"):
        for file in sources.ROOT.glob(pattern):
            yield str(file.relative_to(sources.ROOT)), file.read_text().splitlines()
