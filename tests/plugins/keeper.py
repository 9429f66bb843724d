"""Keeps the private PostgreSQL of a test run: `python -m tests.plugins.keeper OWNER FOLDER USER`.

Run by `postgres.py`. The server must outlive the worker that asked for it first and must not
outlive the run, so this process starts it, waits for the owner of the run to end or for
SIGTERM, and then stops the server and removes its files.
"""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from portal.dev.process import spawn, stop
from tests.plugins import run

_LOOK_EVERY_S = 0.1
_STOP_PATIENCE_S = 10.0


def main() -> None:
    """Keep the server until the run ends."""
    owner, folder, binaries, user = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    server = _start(folder, binaries=Path(binaries), user=user or None)
    try:
        while not ended and server.poll() is None and run.alive(owner):
            time.sleep(_LOOK_EVERY_S)
    finally:
        # Immediate: nothing in this cluster is worth a checkpoint.
        stop(server, patience_s=_STOP_PATIENCE_S, first=signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, *, binaries: Path, user: str | None) -> subprocess.Popen[bytes]:
    argv = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
    with (folder / "server.log").open("ab") as log:
        return spawn(argv, cwd=folder, output=log, user=user)


if __name__ == "__main__":
    main()
