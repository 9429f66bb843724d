"""What `python3 dev.py test` runs: pytest, and pytest again for the tests in a browser.

Called by `cli.py`, for `prove` too, which runs the tests that grow at their full size. Standard
library only. A browser's driver brings an event loop of its own into the process, in which tests
that are coroutines can't run; so those in `tests/e2e` have a process to themselves.
"""

import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from portal.dev.process import kill, spawn

_BROWSER_TESTS = Path("tests/e2e")
# Many tests wait, so there are more workers than a small machine has cores. A file stays on one
# worker, with others that share its running system (xdist's groups don't work in pytest 9).
_MAIN = (
    *("-n", "4"),
    *("--dist", "loadfile", "--no-loadscope-reorder"),  # slow files first, see tests/conftest.py
    *("-p", "tests.plugins.scheduling", "-p", "tests.plugins.summary"),
    *("-p", "tests.plugins.required"),
)
PROOF_VARIABLE = "TOLLGATE_PROVE"
_PROOF = (*_MAIN, "-m", "proof", "--timeout", "3600")
_BROWSER = (
    *("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"),  # a browser is many processes
    *("-p", "tests.plugins.required", "--timeout", "180"),
)
_STOP_PATIENCE_S = 30.0
_LOOK_EVERY_S = 0.5


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


def follow(commands: Sequence[Sequence[str]], *, cwd: Path) -> int:
    """Run one command after the other, to the end of the last. Returns the first bad status.

    SIGINT and SIGTERM go to the command that runs, which is waited for; then nothing else begins.
    """
    running: list[subprocess.Popen[bytes]] = []
    stops: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stops.append(number)
        for process in running:
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    statuses = []
    for command in commands:
        running[:] = [spawn(command, cwd=cwd)]
        _wait(running[0], stops=stops)
        statuses.append(running[0].returncode)
        if stops:
            return 128 + stops[0]
    return next(filter(None, statuses), 0)


def _wait(process: subprocess.Popen[bytes], *, stops: Sequence[int]) -> None:
    """Wait for the process to end; once we are told to stop, not for ever."""
    while process.poll() is None and not stops:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_LOOK_EVERY_S)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_STOP_PATIENCE_S)
    kill(process)


def _is_path(argument: str, *, root: Path) -> bool:
    return not argument.startswith("-") and (root / argument.partition("::")[0]).exists()


def _is_browser_test(argument: str, *, root: Path) -> bool:
    if not _is_path(argument, root=root):
        return False
    path = (root / argument.partition("::")[0]).resolve()
    return path.is_relative_to((root / _BROWSER_TESTS).resolve())
