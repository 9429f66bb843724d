"""A whole installation under its supervisor, started and stopped by tests as an operator would."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import redis

from portal.dev import state
from portal.dev.process import kill, spawn
from tests.databases import default_database, sqlite_template

STALE_S = 2.0
REAPER_PERIOD_S = 0.5
# Commands take effect within a second (test_settings.py); this is for a machine that is busy.
PATIENCE_S = 15.0
_START_PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.05
NOTHING: Mapping[str, str] = MappingProxyType({})
_OURS = re.compile(r"TOLLGATE_|DATABASE_URL|REDIS_URL|DJANGO_")


@dataclass
class RunningSystem:
    """One `dev.py run`: where it listens, its state folder and its database."""

    folder: Path
    database_url: str
    process: subprocess.Popen[bytes]
    settings: Mapping[str, str]
    url: str = ""
    demo_key: str = ""

    @property
    def state_folder(self) -> Path:
        """The folder that holds secrets and, on SQLite, the database."""
        return self.folder / "var"

    @property
    def vendor(self) -> str:
        """The kind of database: sqlite or postgres."""
        return self.database_url.partition(":")[0]

    @property
    def log(self) -> Path:
        """Everything that any of its processes has printed."""
        return self.folder / "output.log"

    def manage(self, *words: str) -> str:
        """Run one operator command beside the running system; return what it printed."""
        return self.run("manage.py", *words)

    def operate(self, *commands: Sequence[str]) -> list[str]:
        """Run several operator commands in one process; return what each of them printed."""
        printed = self.run("-m", "tests.system.operate", said=json.dumps(commands))
        answers: list[str] = json.loads(printed)
        return answers

    def reconcile(self) -> list[Any]:
        """Return the findings of a reconciliation of everything, now."""
        from billing.ledger.reconcile import reconcile  # as in `books`

        with self.books():
            return list(reconcile().findings)

    @contextmanager
    def books(self) -> Iterator[None]:
        """Look into the system's database with the models, across all tenants."""
        from billing.scoping import all_tenants  # needs settings, which not every starter has

        with default_database(self.database_url), all_tenants():
            yield

    def server_pid(self) -> int:
        """Return the process that serves requests."""
        return _descendant(self.process.pid, "uvicorn")

    def descendants(self) -> set[int]:
        """Return every process that the supervisor has started and their children."""
        return set(_descendants(self.process.pid))

    def valkey(self) -> Any:
        """Return a client of the system's Valkey."""
        announced = state.running_system(self.state_folder)
        return redis.Redis.from_url(announced["redis_url"])

    def stop(self) -> int:
        """Stop it as Ctrl-C or a service manager does; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def run(self, *words: str, said: str = "") -> str:
        """Run Python in the environment of the installation; return what it printed."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=state.ROOT,
            env=_environment(self.folder, self.database_url, self.settings),
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise AssertionError(f"{words} failed: {done.stdout}{done.stderr}")
        return done.stdout


@contextmanager
def start(
    folder: Path, *, database_url: str = "", port: int = 0, settings: Mapping[str, str] = NOTHING
) -> Iterator[RunningSystem]:
    """Start the system on a state folder of its own and wait until it says READY.

    It listens on `port` if that is free, else on any. Without `database_url` it has its own SQLite
    database, migrated already: `test_machine` starts from nothing. `settings` go into its
    environment.
    """
    (folder / "var").mkdir(mode=0o700, parents=True)
    if not database_url:
        shutil.copyfile(sqlite_template(), folder / "var" / "tollgate.sqlite3")
    (folder / "tmp").mkdir()
    argv = [sys.executable, "-m", "portal.dev.run", "--port", str(port or _free_port())]
    with (folder / "output.log").open("wb") as log:
        environment = _environment(folder, database_url, settings)
        process = spawn(argv, cwd=state.ROOT, env=environment, output=log)
    own_url = f"sqlite:///{folder / 'var' / 'tollgate.sqlite3'}"
    system = RunningSystem(folder, database_url or own_url, process, settings)
    try:
        wait_until(
            lambda: "\n  stop " in system.log.read_text() or process.poll() is not None,
            patience_s=_START_PATIENCE_S,
            what=system.log.read_text,
        )
        _read_greeting(system)
        yield system
        if process.poll() is None:
            assert system.stop() == 0
    finally:
        leftover = system.descendants()
        kill(process)
        for pid in leftover:
            os.kill(pid, signal.SIGKILL)


def wait_until(
    probe: Callable[[], Any],
    *,
    patience_s: float,
    what: Callable[[], object] = lambda: "it did not happen in time",
) -> None:
    """Return as soon as `probe` says yes; fail with `what` when patience is over."""
    give_up_at = time.monotonic() + patience_s
    while not probe():
        if time.monotonic() > give_up_at:
            raise AssertionError(str(what()))
        time.sleep(_LOOK_EVERY_S)


def _read_greeting(system: RunningSystem) -> None:
    said = system.log.read_text()
    ready = re.search(r"^READY (http://\S+)$", said, re.MULTILINE)
    key = re.search(r"^ +demo key +(\S+)$", said, re.MULTILINE)
    assert ready and key, said
    system.url, system.demo_key = ready[1], key[1]


def _environment(folder: Path, database_url: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return an operator's environment: nothing of this test run's own installation."""
    inherited = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    own = {
        "TOLLGATE_VAR": str(folder / "var"),
        "TOLLGATE_HOLD_STALE_S": str(STALE_S),
        "TOLLGATE_REAPER_PERIOD_S": str(REAPER_PERIOD_S),
        "TOLLGATE_DRAIN_S": "5",
        "TOLLGATE_TRUSTED_PROXIES": "127.0.0.1/32",  # so tests may come from any network
        "TMPDIR": str(folder / "tmp"),
    }
    own |= {"DATABASE_URL": database_url} if database_url else {}
    return {**inherited, **own, **settings}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_of(url: str) -> int:
    """Return the port of an address that names one."""
    port = urlsplit(url).port
    assert port
    return port


def _descendant(pid: int, word: str) -> int:
    for candidate in _descendants(pid):
        if word in Path(f"/proc/{candidate}/cmdline").read_text().split("\0"):
            return candidate
    raise AssertionError(f"no process of {pid} runs {word}")


def _descendants(pid: int) -> Iterator[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        return
    for child in map(int, children.read_text().split()):
        yield child
        yield from _descendants(child)
