"""The checkers that a reader would run by hand, run as tests."""

import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT

PYTHON = ["billing", "relay", "portal", "benchmarks", "tests", "dev.py", "manage.py"]


def run(*argv: str) -> None:
    done = subprocess.run(
        [sys.executable, *argv], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(280)
def test_types_are_right() -> None:
    run("-m", "mypy", *PYTHON)


def test_ruff_finds_nothing() -> None:
    run("-m", "ruff", "check", *PYTHON)


def test_code_is_formatted() -> None:
    run("-m", "ruff", "format", "--check", *PYTHON)


def test_no_code_is_commented_out() -> None:
    run("-m", "ruff", "check", "--select", "ERA001", *PYTHON)


def test_layers_are_kept() -> None:
    run("-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-logo")
