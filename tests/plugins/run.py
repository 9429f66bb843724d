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
_PREFIX = "tollgate-test-"
_MEMORY = "/dev/shm"
_ROOM_BYTES = 2 * 1024**3


def begin() -> None:
    """Make the folder of this run, unless we are a worker of one that has begun."""
    if _FOLDER_VARIABLE not in os.environ or "PYTEST_XDIST_WORKER" not in os.environ:
        made = new_folder(f"{_PREFIX}{os.getpid()}-")
        _sweep(made.parent)
        os.environ[_FOLDER_VARIABLE] = str(made)
        os.environ[_OWNER_VARIABLE] = str(os.getpid())


def new_folder(prefix: str) -> Path:
    """Make a temporary folder, in memory where there is room.

    Copies of databases are made and dropped by the hundred; on a disk that other programs keep
    busy each of them takes twenty times as long.
    """
    in_memory = "TMPDIR" not in os.environ and _has_room(_MEMORY)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if in_memory else None))


def _sweep(place: Path) -> None:
    """Remove what runs left that were killed before they could do it themselves."""
    for left in place.glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdecimal() and not alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def alive(pid: int) -> bool:
    """Tell whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _has_room(place: str) -> bool:
    return os.access(place, os.W_OK) and shutil.disk_usage(place).free > _ROOM_BYTES


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
