"""A private PostgreSQL for a test run, made when the first test asks for one.

In this order: the server of TEST_DATABASE_URL; server binaries of this machine, started on a
socket under a user that is not root; neither: Unavailable, and the tests that asked are
skipped with its reason (required.py says where that fails the run).
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from portal.dev.process import spawn
from portal.dev.state import ROOT
from tests.plugins import run

_BINARY_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
)
_START_PATIENCE_S = 30.0
_STOP_PATIENCE_S = 15.0
_SETTINGS = """
listen_addresses = ''
unix_socket_permissions = 0777
max_connections = 200
shared_buffers = 64MB
# In its folder, so that nothing stays behind even if it is killed.
dynamic_shared_memory_type = mmap
# The data lives for one run, so a crash of the machine may take it; what a commit means to
# other connections is as in production.
fsync = off
full_page_writes = off
# It would sit in the template database just when that is copied.
autovacuum = off
"""


class Unavailable(Exception):
    """There is no PostgreSQL to test with; the message says why."""


def server_url() -> str:
    """Return a URL of the server, with the name of its maintenance database."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given
    with run.alone("postgres"):
        note = _note()
        if not note.exists():
            note.write_text(json.dumps(_make_server()))
        found: dict[str, str] = json.loads(note.read_text())
    if "missing" in found:
        raise Unavailable(found["missing"])
    return found["url"]


def name_prefix() -> str:
    """Return how the names of this run's databases begin."""
    return f"{run.folder().name.replace('-', '_').lower()}_"


def stop_server() -> None:
    """Stop the server of this run, if one was made, and wait until its files are gone."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        _drop_databases(given)
    elif _note().exists() and "keeper" in (server := json.loads(_note().read_text())):
        with suppress(ProcessLookupError):
            os.kill(int(server["keeper"]), signal.SIGTERM)
        give_up_at = time.monotonic() + _STOP_PATIENCE_S
        while Path(server["folder"]).exists() and time.monotonic() < give_up_at:
            time.sleep(0.02)


def _drop_databases(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        found = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [name_prefix()]
        )
        for (name,) in found.fetchall():
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))


def _note() -> Path:
    return run.folder() / "postgres.json"


def _make_server() -> dict[str, str]:
    binaries = _binaries()
    if binaries is None:
        return {"missing": "no TEST_DATABASE_URL and no PostgreSQL server binaries on this machine"}
    try:
        user = _unprivileged_user()
    except Unavailable as missing:
        return {"missing": str(missing)}
    folder = run.new_folder("tollgate-pg-")
    if user:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    _initialise(folder, binaries=binaries, user=user)
    keeper = _start_keeper(folder, binaries=binaries, user=user)
    url = f"postgres://tollgate@/postgres?host={folder}"
    _wait_until_ready(folder, binaries=binaries, keeper=keeper)
    return {"url": url, "keeper": str(keeper.pid), "folder": str(folder)}


def _binaries() -> Path | None:
    def version(folder: Path) -> float:
        digits = "".join(letter if letter.isdigit() else " " for letter in str(folder)).split()
        return float(digits[0]) if digits else 0.0

    found = [
        folder
        for pattern in _BINARY_FOLDERS
        for folder in Path("/").glob(pattern.removeprefix("/"))
        if (folder / "initdb").exists() and (folder / "postgres").exists()
    ]
    if found:
        return max(found, key=version)
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path and shutil.which("postgres") else None


def _unprivileged_user() -> str | None:
    """Return who the server shall run as: None for us; PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Unavailable("PostgreSQL refuses to run as root, and there is no other user to run it")


def _initialise(folder: Path, *, binaries: Path, user: str | None) -> None:
    argv = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "tollgate", "-A", "trust"]
    argv += ["-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
    output = folder / "initdb.log"
    with output.open("wb") as log:
        made = spawn(argv, cwd=folder, output=log, user=user).wait()
    if made != 0:
        raise RuntimeError(f"initdb failed: {output.read_text(errors='replace')[-1000:]}")
    with (folder / "data" / "postgresql.conf").open("a") as config:
        config.write(_SETTINGS)


def _start_keeper(folder: Path, *, binaries: Path, user: str | None) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tests.plugins.keeper"]
    argv += [str(run.owner()), str(folder), str(binaries), user or ""]
    return subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )


def _wait_until_ready(folder: Path, *, binaries: Path, keeper: subprocess.Popen[bytes]) -> None:
    argv = [str(binaries / "pg_isready"), "-q", "-h", str(folder), "-d", "postgres"]
    give_up_at = time.monotonic() + _START_PATIENCE_S
    while subprocess.run(argv, check=False).returncode != 0:
        if keeper.poll() is not None or time.monotonic() > give_up_at:
            log = folder / "server.log"
            said = log.read_text(errors="replace") if log.exists() else "it left no log"
            raise RuntimeError(f"the private PostgreSQL did not start: {said[-1000:]}")
        time.sleep(0.02)
