"""The reference is complete: what the code reads, serves, answers and runs stands in docs/."""

import ast
import re
from pathlib import Path

import pytest
from django.core.management import BaseCommand, get_commands, load_command_class

from portal.api import urls as api_urls
from portal.celery import app
from relay import errors, paths
from relay.errors import RelayError
from relay.protocols.anthropic_errors import error_type
from relay.protocols.endpoints import ENDPOINTS
from relay.protocols.gemini_errors import status_of
from relay.providers import REGISTRY
from relay.providers.demo_text import Directives
from tests.architecture.sources import ROOT

REFERENCE = ROOT / "docs" / "reference"
OURS = ("billing", "relay", "portal")
SET_NOT_READ = {"CELERY_SKIP_CHECKS", "DJANGO_SETTINGS_MODULE", "TOLLGATE_PROVE"}
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


def reference(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text()


def section(text: str, title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {title}"
    return found[1]


def variables_of_the_settings() -> set[str]:
    """Return the first argument of every call of a reader of `portal.environment`."""
    tree = ast.parse((ROOT / "portal" / "settings.py").read_text())
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "environment"
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def variables_of_dev() -> set[str]:
    """Return every text of `portal/dev` that has the form of a variable's name."""
    return {
        node.value
        for file in (ROOT / "portal" / "dev").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and VARIABLE.fullmatch(node.value)
    }


def test_every_variable_that_is_read_is_in_the_reference() -> None:
    read = variables_of_the_settings() | variables_of_dev() - SET_NOT_READ
    assert {"TOLLGATE_VAR", "DATABASE_URL", "PIP_INDEX_URL"} <= read
    assert not [name for name in sorted(read) if f"`{name}`" not in reference("settings")]


def options(command: str, package: str) -> list[str]:
    """Return the options and arguments that a command has beside those of every command."""
    parser = load_command_class(package, command).create_parser("manage.py", command)
    usual = {action.dest for action in BaseCommand().create_parser("manage.py", "")._actions}
    own = [action for action in parser._actions if action.dest not in usual]
    return [(*action.option_strings, str(action.metavar))[0] for action in own]


@pytest.mark.parametrize(
    ("command", "package"),
    [(name, package) for name, package in get_commands().items() if package in OURS],
)
def test_every_option_of_a_command_is_in_the_reference(command: str, package: str) -> None:
    told = section(reference("commands"), command)
    assert not [option for option in options(command, package) if option not in told]


def test_every_endpoint_is_in_the_reference() -> None:
    told = reference("endpoints")
    routes = {path: frozenset({"POST"}) for path in ENDPOINTS}
    routes |= {path: route.methods for path, route in paths._ROUTES.items()}
    assert len(routes) > 8
    missing = [
        path
        for path, methods in routes.items()
        if f"| `{'POST' if 'POST' in methods else 'GET'}` | `{path}` |" not in told
    ]
    assert not missing


def test_the_reference_names_no_endpoint_that_is_not_there() -> None:
    named = re.findall(r"^\| `[A-Z]+` \| `([^`]+)`", reference("endpoints"), re.MULTILINE)
    assert len(named) > 8
    of_the_relay = [path for path in named if not path.startswith("/api/")]
    assert not [
        path for path in of_the_relay if paths.resolve(path.replace("{id}", "gpt-4")) is None
    ]


def test_every_address_of_the_api_is_in_the_reference_and_no_other() -> None:
    told = set(re.findall(r"^\| `GET` \| `(/api/[^`]+)`", reference("endpoints"), re.MULTILINE))
    named = {f"/api/{entry.pattern}" for entry in api_urls.urlpatterns if entry.name}
    assert told - paths._ROUTES.keys() == named


def told_classes() -> list[type[RelayError]]:
    """Return the errors that are sent with a status of their own, not with the upstream's."""
    classes = [found for found in vars(errors).values() if isinstance(found, type)]
    ours = [found for found in classes if issubclass(found, RelayError)]
    return [found for found in ours if found not in (errors.UpstreamRefused, errors.ClientGone)]


def test_every_error_is_in_the_reference_with_status_code_and_type() -> None:
    rows = [line for line in reference("errors").splitlines() if line.startswith("| ")]
    missing = [
        error.__name__
        for error in told_classes()
        if not any(
            row.startswith(f"| {error.status} | {f'`{error.code}`' if error.code else 'none'} |")
            and f"`{error.error_type}`" in row
            for row in rows
        )
    ]
    assert not missing


def test_every_error_type_is_in_the_reference_and_no_other() -> None:
    families = r"`((?:caller|policy|upstream|relay)_[a-z_]+)`"
    codes = {error.code for error in told_classes()}
    told = set(re.findall(families, reference("errors")))
    assert told - codes <= errors.ERROR_TYPES <= told


def test_every_job_is_in_the_reference() -> None:
    app.loader.import_default_modules()
    tasks = {name for name in app.tasks if not name.startswith("celery.")}
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert "billing.reap" in tasks & scheduled
    told = set(re.findall(r"^\| `([a-z_.]+)` \|", reference("jobs"), re.MULTILINE))
    assert told == tasks | scheduled


def test_every_directive_of_the_demo_is_in_its_reference_and_no_other() -> None:
    told = section(reference("demo-provider"), "Telling it what to do")
    named = re.findall(r"^\| `([a-z_]+)[=`]", told, re.MULTILINE)
    assert sorted(named) == sorted(Directives.__struct_fields__)


def test_every_endpoint_that_the_demo_answers_is_in_its_reference() -> None:
    told = section(reference("demo-provider"), "What it answers")
    assert not [path for path in ENDPOINTS if f"{path.rpartition('}')[2]}`" not in told]


def told_words(title: str) -> set[str]:
    """Return what stands first in each row of a table of errors."""
    rows = re.findall(r"^\| `(\w+)`", section(reference("errors"), title), re.MULTILINE)
    return set(rows) - {"type", "status"}


def test_every_word_of_other_vendors_for_an_error_is_in_the_reference() -> None:
    types = {error_type(found.__new__(found)) for found in told_classes()}
    assert types == told_words("Anthropic's shape")
    assert {status_of(found.status) for found in told_classes()} == told_words("Gemini's shape")


def test_every_provider_is_in_the_reference() -> None:
    told = section(reference("commands"), "add_channel")
    assert not [name for name in REGISTRY if f"`{name}`" not in told]


def anchors(document: Path) -> set[str]:
    """Return the fragments of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "document", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda path: path.name
)
def test_links_to_headings_lead_to_one(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", document.read_text())
    targets = [(document.parent / file if file else document, anchor) for file, anchor in links]
    assert not [anchor for target, anchor in targets if anchor not in anchors(target)]


def test_the_changelog_lists_what_is_new() -> None:
    new = section((ROOT / "CHANGELOG.md").read_text(), "Unreleased")
    assert len(re.findall(r"^- ", new, re.MULTILINE)) > 5
    named = set(re.findall(r"`(\w+)`", new))
    ours = {name for name, package in get_commands().items() if package in OURS}
    assert ours - {"seed_demo"} <= named
