"""One test run: a folder that all its processes share, removed by the one that made it.

Used by the other plugins and by `tests/databases.py`. With xdist the controller makes the
folder and its workers, which inherit the environment, join it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOLDER_VARIABLE = "TOLLGATE_TEST_RUN"
_OWNER_VARIABLE = "TOLLGATE_TEST_OWNER"


def begin() -> None:
    """Make the folder of this run, unless we are a worker of one that has begun."""
    if _FOLDER_VARIABLE not in os.environ or "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ[_FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="tollgate-test-")
        os.environ[_OWNER_VARIABLE] = str(os.getpid())


def folder() -> Path:
    """Return the folder of this run."""
    return Path(os.environ[_FOLDER_VARIABLE])


def own_folder() -> Path:
    """Return the folder of this process within the run."""
    path = folder() / os.environ.get("PYTEST_XDIST_WORKER", "main")
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def owner() -> int:
    """Return the process id of the one that began this run."""
    return int(os.environ[_OWNER_VARIABLE])


def end() -> None:
    """Remove the folder, if it is ours."""
    if owner() == os.getpid():
        shutil.rmtree(folder(), ignore_errors=True)


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Let one process of the run at a time do `what`."""
    with (folder() / f"{what}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
