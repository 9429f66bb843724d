"""A run that must not do without something fails if it did."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portal.dev.state import ROOT

TESTS = """
import pytest

@pytest.mark.chromium
def test_in_a_browser() -> None:
    pytest.skip("no browser")

def test_without_a_browser() -> None:
    pytest.skip("for another reason")
"""


def run(folder: Path, required: str, *, test: str) -> subprocess.CompletedProcess[str]:
    """Let a pytest of its own run a test that is skipped."""
    file = folder / "test_it.py"
    file.write_text(TESTS)
    argv = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder)]
    argv += ["-p", "tests.plugins.required"]
    return subprocess.run(
        [*argv, "-p", "no:cacheprovider", f"{file}::{test}"],
        cwd=ROOT,
        env={**os.environ, "TOLLGATE_REQUIRE": required, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("required", ["chromium", "postgres,chromium"])
def test_a_required_thing_that_was_missing_fails_the_run(tmp_path: Path, required: str) -> None:
    done = run(tmp_path, required, test="test_in_a_browser")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 tests for Chromium were skipped" in done.stdout


@pytest.mark.parametrize(
    ("required", "test"),
    [
        ("", "test_in_a_browser"),
        ("postgres", "test_in_a_browser"),
        ("chromium", "test_without_a_browser"),
    ],
)
def test_what_may_be_missing_does_not(tmp_path: Path, required: str, test: str) -> None:
    done = run(tmp_path, required, test=test)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
