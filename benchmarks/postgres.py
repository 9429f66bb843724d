"""A PostgreSQL of our own, as durable as in production, so that its processor time can be read."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine, tools
from portal.dev.process import spawn, stop

_SETTINGS = """
listen_addresses = ''
unix_socket_permissions = 0777
shared_buffers = 256MB
max_wal_size = 2GB
"""
_START_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Server:
    """A running server: where it is, and its first process."""

    url: str
    pid: int
    version: str


@contextmanager
def server() -> Iterator[Server]:
    """Make a cluster in a temporary folder and serve it on a socket there. Raises Missing."""
    binaries = tools.postgres_binaries()
    user = _unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="tollgate-bench-pg-"))
    try:
        if user:
            shutil.chown(folder, user)
        _initialise(folder, binaries=binaries, user=user)
        argv = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
        with (folder / "server.log").open("wb") as log:
            process = spawn(
                machine.on_core(machine.OTHER_CORE, *argv), cwd=folder, output=log, user=user
            )
        try:
            _wait_until_ready(folder, binaries)
            said = subprocess.check_output([binaries / "postgres", "-V"], text=True)
            url = f"postgres://tollgate@/postgres?host={folder}"
            yield Server(url=url, pid=process.pid, version=said.split()[2])
        finally:
            stop(process, patience_s=10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged_user() -> str | None:
    """Return who shall run the server when we are root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise tools.Missing("we are root and there is no other user to run PostgreSQL as")


def _initialise(folder: Path, *, binaries: Path, user: str | None) -> None:
    argv = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "tollgate"]
    subprocess.run(
        [*argv, "--auth=trust", "--encoding=UTF8"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        user=user,
        extra_groups=[] if user else None,
    )
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS)


def _wait_until_ready(folder: Path, binaries: Path) -> None:
    give_up_at = time.monotonic() + _START_PATIENCE_S
    while time.monotonic() < give_up_at:
        probe = [str(binaries / "pg_isready"), "-q", "-h", str(folder)]
        if subprocess.run(probe, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise tools.Missing(f"PostgreSQL did not start: {(folder / 'server.log').read_text()[-500:]}")
