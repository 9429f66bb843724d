"""Which runs of pytest `dev.py test` makes, and how they run beside each other."""

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


def run_together(*scripts: str) -> "subprocess.Popen[str]":
    """Start a process that lets Python run these scripts at once."""
    code = (
        "import sys; from pathlib import Path; from portal.dev.testing import run_together; "
        "sys.exit(run_together([[sys.executable, '-c', s] for s in sys.argv[1:]], cwd=Path()))"
    )
    argv = [sys.executable, "-c", code, *scripts]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)


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


def test_what_they_say_comes_in_their_order_and_a_bad_status_is_told() -> None:
    first = "import sys, time; time.sleep(0.5); print('first', flush=True); sys.exit(3)"
    process = run_together(first, "print('second')")
    assert process.communicate(timeout=30)[0] == "first\nsecond\n"
    assert process.returncode == 3


def test_all_well_is_said_by_status_0() -> None:
    assert run_together("", "").wait(timeout=30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_reaches_all_of_them(tmp_path: Path, number: signal.Signals) -> None:
    process = run_together(begin(tmp_path / "one"), begin(tmp_path / "two"))
    running = [_wait_for(tmp_path / name) for name in ("one", "two")]
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    assert not [one for one in running if one.exists()]


def test_a_kill_leaves_nothing_running(tmp_path: Path) -> None:
    process = run_together(begin(tmp_path / "one"), begin(tmp_path / "two"))
    running = [_wait_for(tmp_path / name) for name in ("one", "two")]
    process.kill()
    process.wait(timeout=30)
    for one in running:
        _wait_until_gone(one)


def begin(pid: Path) -> str:
    """Return a script that notes its process id and waits."""
    return f"import os, time; print(os.getpid(), file=open({str(pid)!r}, 'w')); time.sleep(60)"


def _wait_for(pid: Path) -> Path:
    """Return where Linux shows the process that writes its id there."""
    give_up_at = time.monotonic() + 20
    while not (pid.exists() and pid.read_text()):
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
    return Path("/proc", pid.read_text().strip())


def _wait_until_gone(process: Path) -> None:
    give_up_at = time.monotonic() + 20
    while process.exists() and "Z" not in (process / "stat").read_text().split()[2]:
        assert time.monotonic() < give_up_at, os.listdir(process)
        time.sleep(0.01)
