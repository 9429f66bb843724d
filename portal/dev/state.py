"""The state folder: secrets made once, where the database lives, who holds the lock.

`run`, `test` and every passed-on command build the environment of their children here, so
that all of them see the same installation.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER_VARIABLE = "TOLLGATE_VAR"
_RUN_FILE = "run.json"


class StateTakenError(Exception):
    """Another `run` holds this state folder."""


def folder(environ: Mapping[str, str]) -> Path:
    """Return the state folder, made for us alone if it is new."""
    path = Path(environ.get(FOLDER_VARIABLE) or ROOT / "var").absolute()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def given(name: str, environ: Mapping[str, str]) -> str:
    """Return what the environment says by `name` or by a file named in `<name>_FILE`, or ""."""
    path = environ.get(f"{name}_FILE")
    return Path(path).read_text().strip() if path else environ.get(name, "")


def write_private(path: Path, value: object) -> None:
    """Write JSON that no other user can read, whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    fresh.replace(path)


def new_secrets() -> dict[str, str]:
    """Make the secrets of a new installation, named as the settings read them."""
    return {
        "TOLLGATE_SECRET_KEY": secrets.token_urlsafe(50),
        "TOLLGATE_KEY_PEPPERS": f"1:{secrets.token_hex(32)}",
        "TOLLGATE_SEALING_KEYS": f"1:{secrets.token_hex(32)}",
    }


def kept_secrets(state: Path) -> dict[str, str]:
    """Return the secrets of this installation, made on first use.

    They are never made twice: with a new pepper no key would match, with a new sealing key no
    channel credential could be read.
    """
    path = state / "secrets.json"
    with _locked(state / "secrets.lock"):
        if not path.exists():
            write_private(path, new_secrets())
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def environment(state: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for children: ours, completed by what the state folder knows.

    What the caller's environment says wins, so an operator can point one command elsewhere.
    """
    known = {
        **kept_secrets(state),
        "DATABASE_URL": f"sqlite:///{state / 'tollgate.sqlite3'}",
        FOLDER_VARIABLE: str(state),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PYTHONUNBUFFERED": "1",
    }
    running = running_system(state)
    if running:
        known["REDIS_URL"] = running["redis_url"]
    return {**known, **{name: value for name, value in environ.items() if value}}


@contextmanager
def taken(state: Path) -> Iterator[None]:
    """Hold the state folder for one `run`; raise StateTakenError if another one does."""
    with (state / "run.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateTakenError(_who_runs(state)) from None
        try:
            yield
        finally:
            (state / _RUN_FILE).unlink(missing_ok=True)


def announce(state: Path, *, url: str, redis_url: str) -> None:
    """Note where the running system is, for commands that are run beside it."""
    write_private(state / _RUN_FILE, {"pid": os.getpid(), "url": url, "redis_url": redis_url})


def running_system(state: Path) -> dict[str, str]:
    """Return what the running system announced; empty when none runs."""
    try:
        with (state / "run.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            found: dict[str, str] = json.loads((state / _RUN_FILE).read_text())
        except FileNotFoundError:  # it is only just starting
            return {}
        return found
    return {}


def _who_runs(state: Path) -> str:
    running = running_system(state)
    where = f" at {running['url']} (pid {running['pid']})" if running else ""
    return f"Tollgate is already running{where} on the state in {state}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
