"""Money is integers: no float, and no division that makes one, where amounts are computed."""

import ast
from pathlib import Path

import pytest

from tests.architecture.sources import Source, product

MONEY = (
    *("billing/ledger/", "billing/orders/", "billing/payments/"),
    *("billing/pricing.py", "billing/units.py", "billing/keys.py"),
)
MONEY_FROM_TEXT = (
    "billing/catalogue.py",
    "billing/litellm_prices.py",
    "billing/price_files.py",
    "billing/vendor_prices.py",
)
EXACT_TEXT = {"billing/units.py", *MONEY_FROM_TEXT}


def money_code() -> list[Source]:
    return [source for source in product() if source.name.startswith(MONEY + MONEY_FROM_TEXT)]


def floats(source: Source) -> list[str]:
    """Return where a float is written, made or divided into being.

    A duration or a moment is no money: a name that ends in `_s` or `_at` may be a float. Nor is a
    path: what is joined to a text by a slash is no number.
    """
    spared = {id(part) for node in ast.walk(source.tree) for part in _of_time(node)}
    return [
        source.place(node)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.expr) and id(node) not in spared and _is_float(node)
    ]


def _is_float(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    if isinstance(node, ast.BinOp):
        is_path = isinstance(node.right, ast.Constant) and isinstance(node.right.value, str)
        return isinstance(node.op, ast.Div) and not is_path
    return isinstance(node, ast.Name) and node.id in {"float", "round"}


def _of_time(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.FunctionDef) and node.returns:
        return list(ast.walk(node.returns)) if _names_time(node.name) else []
    if isinstance(node, ast.AnnAssign):
        names = [ast.unparse(node.target)]
    elif isinstance(node, ast.Assign):
        names = [ast.unparse(target) for target in node.targets]
    elif isinstance(node, ast.arg | ast.keyword):
        names = [node.arg or ""]
    else:
        return []
    return list(ast.walk(node)) if all(_names_time(name) for name in names) else []


def _names_time(name: str) -> bool:
    return name.lower().endswith(("_s", "_at"))


def test_money_code_is_where_it_is_looked_for() -> None:
    names = {source.name for source in money_code()}
    assert {"billing/pricing.py", "billing/units.py", "billing/keys.py"} <= names
    assert {"billing/ledger/decide.py", "billing/orders/fulfilment.py"} <= names


def test_no_float_in_money_code() -> None:
    assert not [place for source in money_code() for place in floats(source)]


def test_decimal_only_where_text_is_parsed() -> None:
    assert not [
        source.name
        for source in money_code()
        if source.name not in EXACT_TEXT and "decimal" in _imported(source)
    ]


@pytest.mark.parametrize(
    "line",
    ["x = 0.5", "x = float(y)", "x = y / 2", "def f(amount_ubt: float) -> None: ...", "round(x)"],
)
def test_a_float_would_be_found(tmp_path: Path, line: str) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(line)
    assert floats(Source(file))


def _imported(source: Source) -> set[str]:
    nodes = list(ast.walk(source.tree))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
