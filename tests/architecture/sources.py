"""The source files that the architecture tests look at, parsed once."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("billing", "relay", "portal", "benchmarks", "dev.py", "manage.py")
TESTS = ("tests",)

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: Path

    @property
    def name(self) -> str:
        """Its path from the root of the repository."""
        inside = self.path.is_relative_to(ROOT)
        return str(self.path.relative_to(ROOT) if inside else self.path)

    @cached_property
    def text(self) -> str:
        """Its text."""
        return self.path.read_text()

    @cached_property
    def lines(self) -> list[str]:
        """Its lines."""
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def functions(self) -> list[FunctionNode]:
        """Its functions and methods, nested ones too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, FunctionNode)]

    def place(self, node: ast.stmt | ast.expr | ast.excepthandler) -> str:
        """Name a node so that an editor can jump to it."""
        return f"{self.name}:{node.lineno}"


@cache
def product() -> list[Source]:
    """Return what ships, without migrations."""
    return list(_find(PRODUCT))


@cache
def tests() -> list[Source]:
    """Return the tests and what they stand on."""
    return list(_find(TESTS))


def everything() -> list[Source]:
    """Return all of it."""
    return product() + tests()


def _find(roots: tuple[str, ...]) -> Iterator[Source]:
    for root in roots:
        path = ROOT / root
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        yield from (Source(file) for file in files if "migrations" not in file.parts)
