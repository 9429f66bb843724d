"""Child processes that cannot outlive us.

Called by the supervisor and by the test environment. On Linux a child is killed by the
kernel when its parent dies, even by SIGKILL; elsewhere an orderly stop has to do.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[bytes] | int | None = None,
    user: str | int | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, tied to our life.

    An own session keeps Ctrl-C in the terminal from reaching the child before its turn.
    `output` takes both streams; `user` changes to that account, with its groups dropped.
    """
    return subprocess.Popen(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        user=user,
        group=None if user is None else _primary_group(user),
        extra_groups=None if user is None else [],
        pass_fds=pass_fds,
        start_new_session=True,
        preexec_fn=_tie_to_parent(),
    )


def stop(
    process: subprocess.Popen[bytes],
    *,
    patience_s: float,
    first: signal.Signals = signal.SIGTERM,
) -> None:
    """Ask the process to end, wait, then kill what is left of its session."""
    if process.poll() is None:
        process.send_signal(first)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience_s)
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started in its session, at once."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _primary_group(user: str | int) -> int:
    import pwd  # not there on Windows, where no caller asks for another user

    return (pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)).pw_gid


def _tie_to_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the kernel knew of the tie
            os._exit(1)

    return tie
