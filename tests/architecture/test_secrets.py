"""Signatures and secrets are compared in constant time: `==` tells by its time what is right."""

import ast
from pathlib import Path

from tests.architecture.sources import Source, product

SECRET = {"sign", "signature", "mac", "hexdigest", "digest", "token", "secret", "password"}
SUMS_OF_PUBLIC_FILES = {"relay/tokens.py", "portal/dev/install.py"}


def _name(node: ast.expr) -> str:
    """Return the last word of what an expression is called."""
    if isinstance(node, ast.Call):
        node = node.func
    named = {ast.Name: "id", ast.Attribute: "attr"}.get(type(node), "")
    return str(getattr(node, named)).split("_")[-1] if named else ""


def compared_secrets(source: Source) -> list[str]:
    """Return where something with the name of a secret is compared by `==` or `!=`."""
    return [
        source.place(node)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
        and any(_name(side) in SECRET for side in (node.left, *node.comparators))
    ]


def test_signatures_are_not_compared_by_equality() -> None:
    sources = [source for source in product() if source.name not in SUMS_OF_PUBLIC_FILES]
    assert [place for source in sources for place in compared_secrets(source)] == []


def test_such_a_comparison_would_be_found(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text("if fields['sign'] != md5(text).hexdigest():\n    refuse()\n")
    assert compared_secrets(Source(file)) == [f"{file}:1"]
