"""What `python3 dev.py test` runs: pytest, and beside it another for the tests in a browser.

Called by `cli.py`, for `prove` too, which runs the tests that grow at their full size. Standard
library only. A browser's driver brings an event loop of its own into the process, in which tests
that are coroutines can't run; so those in `tests/e2e` have a process to themselves.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from portal.dev.process import kill, spawn

_BROWSER_TESTS = Path("tests/e2e")
# Many tests wait, so there are more workers than a small machine has cores, and the tests in a
# browser, which is many processes, run beside them with one installation. A file stays on one
# worker, with others that share its running system (xdist's groups don't work in pytest 9).
_MAIN = (
    *("-n", "4"),
    *("--dist", "loadfile", "--no-loadscope-reorder"),  # slow files first, see tests/conftest.py
    *("-p", "tests.plugins.scheduling", "-p", "tests.plugins.summary"),
    *("-p", "tests.plugins.required"),
)
PROOF_VARIABLE = "TOLLGATE_PROVE"
_PROOF = (*_MAIN, "-m", "proof or hypothesis", "--timeout", "3600")
_BROWSER = ("-p", "tests.plugins.required", "--timeout", "180")
_STOP_PATIENCE_S = 30.0
_LOOK_EVERY_S = 0.1


def runs(arguments: Sequence[str], *, root: Path) -> list[list[str]]:
    """Return the arguments of each pytest that is to run: one of them, unless all is asked for."""
    inside = [one for one in arguments if _is_browser_test(one, root=root)]
    others = [one for one in arguments if one not in inside]
    main = [*_MAIN, *others]
    browser = [*_BROWSER, *(inside or [str(_BROWSER_TESTS)])]
    if not arguments:
        return [main, browser]
    if not inside:
        return [main]
    options = [one for one in others if not _is_path(one, root=root)]
    return [[*browser, *options]] if options == others else [main, [*browser, *options]]


def proof(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of the pytest that runs the proofs, which take minutes."""
    return [*_PROOF, *arguments]


def run_together(commands: Sequence[Sequence[str]], *, cwd: Path) -> int:
    """Run commands at once, show what each said in their order, and return the first bad status.

    SIGINT and SIGTERM go to all of them; none is left behind.
    """
    stops: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: stops.append(number))
    with ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands[1:]]
        outputs: list[IO[bytes] | None] = [None, *said]
        running = [
            spawn(command, cwd=cwd, output=output)
            for command, output in zip(commands, outputs, strict=True)
        ]
        _wait(running, stops=stops)
        for output in said:
            output.seek(0)
            shutil.copyfileobj(output, sys.stdout.buffer)
    sys.stdout.flush()
    bad = (process.returncode for process in running if process.returncode)
    return 128 + stops[0] if stops else next(bad, 0)


def _wait(running: Sequence[subprocess.Popen[bytes]], *, stops: Sequence[int]) -> None:
    """Wait for all processes to end; once we are told to stop, not for ever."""
    while not stops and any(process.poll() is None for process in running):
        time.sleep(_LOOK_EVERY_S)
    for process in running if stops else ():
        process.send_signal(stops[0])
    give_up_at = time.monotonic() + _STOP_PATIENCE_S
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.1, give_up_at - time.monotonic()))
        kill(process)


def _is_path(argument: str, *, root: Path) -> bool:
    return not argument.startswith("-") and (root / argument.partition("::")[0]).exists()


def _is_browser_test(argument: str, *, root: Path) -> bool:
    if not _is_path(argument, root=root):
        return False
    path = (root / argument.partition("::")[0]).resolve()
    return path.is_relative_to((root / _BROWSER_TESTS).resolve())
