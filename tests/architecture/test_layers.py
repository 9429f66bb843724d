"""What import-linter cannot say: single modules of other packages, and who may write SQL."""

import ast

import pytest

from tests.architecture.sources import Source, product

COMPOSITION_ROOT = {"settings", "urls", "asgi", "celery"}
OPEN_TO_PORTAL = {
    *("relay.models", "relay.channels", "relay.generic_routes"),
    *("relay.probes", "relay.status"),
}
# The relay's tokenizers count what a visitor of the token page pastes: a pure function of a text,
# no part of the request path. One module may call them.
OPEN_TO_ONE = {"relay.tokens": "portal/token_counter.py"}
PAGES = ("django.template", "django.shortcuts", "django.contrib.admin", "unfold")


@pytest.mark.parametrize("package", ["billing", "relay"])
def test_pages_are_made_in_portal_only(package: str) -> None:
    assert not [
        f"{source.name} imports {module}"
        for source in of(package)
        for module in imported(source)
        if module.startswith(PAGES)
    ]


def test_portal_sees_only_the_read_side_of_the_relay() -> None:
    assert not [
        f"{source.name} imports {module}"
        for source in of("portal")
        if source.path.stem not in COMPOSITION_ROOT
        for module in imported(source)
        if module.startswith("relay.") and module not in OPEN_TO_PORTAL
        if OPEN_TO_ONE.get(module) != source.name
    ]


def of(package: str) -> list[Source]:
    return [source for source in product() if source.name.startswith(f"{package}/")]


def imported(source: Source) -> set[str]:
    """Return the modules a file imports; `from relay import x` counts as relay.x."""
    found = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in ("billing", "relay", "portal"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found
