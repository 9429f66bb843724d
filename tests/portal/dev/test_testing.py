"""Which runs of pytest `dev.py test` makes, and how they follow each other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portal.dev import testing
from portal.dev.install import ROOT

BROWSER = "tests/e2e"


def paths_of(*arguments: str) -> list[list[str]]:
    """Return what follows our own options in each run."""
    runs = testing.runs(arguments, root=ROOT)
    return [run[run.index("tests.plugins.required") + 1 :] for run in runs]


def follow(*scripts: str) -> "subprocess.Popen[bytes]":
    """Start a process that lets Python run these scripts one after the other."""
    code = (
        "import sys; from pathlib import Path; from portal.dev.testing import follow; "
        "sys.exit(follow([[sys.executable, '-c', one] for one in sys.argv[1:]], cwd=Path()))"
    )
    return subprocess.Popen([sys.executable, "-c", code, *scripts], cwd=ROOT)


def note(file: Path, word: str) -> str:
    return f"print({word!r}, file=open({str(file)!r}, 'a'))"


def test_without_arguments_the_browser_has_a_run_of_its_own() -> None:
    assert paths_of() == [[], ["--timeout", "180", BROWSER]]


@pytest.mark.parametrize("arguments", [["-x"], ["tests/portal", "-q"], ["-k", "browser"]])
def test_arguments_make_it_one_run(arguments: list[str]) -> None:
    assert paths_of(*arguments) == [arguments]


def test_a_path_of_browser_tests_goes_to_their_run() -> None:
    assert paths_of(f"{BROWSER}/conftest.py::x", "-x") == [
        ["--timeout", "180", f"{BROWSER}/conftest.py::x", "-x"]
    ]


def test_paths_of_both_kinds_make_two_runs() -> None:
    assert paths_of("tests/portal", BROWSER, "-x") == [
        ["tests/portal", "-x"],
        ["--timeout", "180", BROWSER, "-x"],
    ]


def test_the_second_runs_though_the_first_fails_and_the_status_says_so(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    assert follow("import sys; sys.exit(3)", note(ran, "second")).wait(timeout=30) == 3
    assert ran.read_text() == "second\n"


def test_all_well_is_said_by_status_0() -> None:
    assert follow("", "").wait(timeout=30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_reaches_what_runs_and_nothing_begins_after_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    ran, began = tmp_path / "ran", tmp_path / "began"
    wait = f"import pathlib, time; pathlib.Path({str(began)!r}).touch(); time.sleep(60)"
    process = follow(wait, note(ran, "second"))
    _wait_for(began)
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    assert not ran.exists()


def test_a_kill_leaves_nothing_running(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"import os, time; print(os.getpid(), file=open({str(pid)!r}, 'w')); time.sleep(60)"
    process = follow(script)
    _wait_for(pid)
    process.kill()
    process.wait(timeout=30)
    running = Path(f"/proc/{pid.read_text().strip()}")
    _wait_until_gone(running)


def _wait_for(file: Path) -> None:
    give_up_at = time.monotonic() + 20
    while not (file.exists() and (file.name != "pid" or file.read_text())):
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def _wait_until_gone(process: Path) -> None:
    give_up_at = time.monotonic() + 20
    while process.exists() and "Z" not in (process / "stat").read_text().split()[2]:
        assert time.monotonic() < give_up_at, os.listdir(process)
        time.sleep(0.01)
