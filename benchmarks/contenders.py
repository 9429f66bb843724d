"""What is measured: nginx as the floor, and Tollgate on each database. Started by the runner.

Each relay runs alone on one core; its upstream, its database and the load are on the other.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine, tools
from benchmarks.installation import Installation
from benchmarks.postgres import Server
from portal.dev.process import spawn, stop
from portal.dev.state import ROOT

_START_PATIENCE_S = 30.0
_NGINX = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 64k;
    keepalive_requests 10000000;
    upstream fake {{
        server 127.0.0.1:{upstream_port};
        keepalive 2000;
        keepalive_requests 10000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://fake;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Contender:
    """Something that answers on a port, with what its processor time is read from."""

    name: str
    port: int
    keys: Path
    relay_pid: int | None = None
    database_pid: int | None = None
    installation: Installation | None = None

    def relay_cpu_ns(self) -> int:
        """Return the processor time that the relay's processes have had so far."""
        return machine.cpu_ns(machine.tree(self.relay_pid)) if self.relay_pid else 0

    def relay_memory_bytes(self) -> int:
        """Return the memory that the relay's processes take."""
        return machine.memory_bytes(machine.tree(self.relay_pid)) if self.relay_pid else 0

    def database_cpu_ns(self) -> int:
        """Return the processor time of the database server; 0 where it is inside the relay."""
        return machine.cpu_ns(machine.tree(self.database_pid)) if self.database_pid else 0


@contextmanager
def upstream(folder: Path) -> Iterator[int]:
    """Run the fake upstream and give its port: in C where it can be built, else in Python."""
    port = free_port()
    try:
        argv = [tools.built("upstream", needed_for="fast upstream")]
    except tools.Missing as missing:
        print(f"{missing}; the one in Python takes its place", file=sys.stderr)
        argv = [sys.executable, "-m", "benchmarks.load.upstream"]
    with _running(argv, str(port), core=machine.OTHER_CORE, port=port, log=folder / "upstream.log"):
        yield port


@contextmanager
def nginx(folder: Path, *, upstream_port: int, keys: Path) -> Iterator[Contender]:
    """Run nginx in front of the upstream: what any relay must cost at least. Raises Missing."""
    binary = tools.program("nginx", package="nginx-light", needed_for="floor to compare with")
    folder.mkdir()
    folder.chmod(0o755)
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, upstream_port=upstream_port))
    argv = [binary, "-p", str(folder), "-c", str(config), "-g", "daemon off;"]
    with _running(argv, core=machine.RELAY_CORE, port=port, log=folder / "nginx.log") as pid:
        yield Contender("nginx proxy_pass", port, keys, pid)


@contextmanager
def tollgate(
    name: str, installation: Installation, *, database: Server | None = None
) -> Iterator[Contender]:
    """Run the relay as in production: one uvicorn process that serves `relay.asgi` alone."""
    port = free_port()
    argv = [
        *(sys.executable, "-m", "uvicorn", "relay.asgi:app", "--host", "127.0.0.1"),
        *("--port", str(port), "--loop", "uvloop", "--http", "httptools", "--backlog", "4096"),
        *("--no-access-log", "--no-proxy-headers", "--no-server-header", "--log-level", "warning"),
    ]
    log = installation.folder / "relay.log"
    environment = installation.environment
    with _running(
        argv, core=machine.RELAY_CORE, port=port, log=log, environment=environment
    ) as pid:
        yield Contender(
            name=name,
            port=port,
            keys=installation.keys,
            relay_pid=pid,
            database_pid=database.pid if database else None,
            installation=installation,
        )


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(
    argv: list[str],
    *more: str,
    core: str,
    port: int,
    log: Path,
    environment: dict[str, str] | None = None,
) -> Iterator[int]:
    with log.open("wb") as output:
        process = spawn(
            machine.on_core(core, *argv, *more), env=environment, cwd=ROOT, output=output
        )
    try:
        _wait_until_listening(process, port, log)
        yield process.pid
    finally:
        stop(process, patience_s=10)


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up_at = time.monotonic() + _START_PATIENCE_S
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} did not start: {log.read_text()[-2000:]}")
