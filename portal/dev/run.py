"""`python3 dev.py run`: the whole system on one machine.

Started by `cli.py` inside the environment. It starts Valkey, migrates, seeds the demo shop,
starts worker, beat and web, and prints READY when all of them answer. Stopped in the reverse
order: first who takes requests, last who carries messages.
"""

import argparse
import contextlib
import http.client
import importlib.util
import json
import math
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from portal.dev import state, valkey
from portal.dev.supervisor import Service, StopRequestedError, Supervisor, SupervisorError

DEFAULT_PORT = 8000
_PORTS_TRIED = 100
_START_PATIENCE_S = 120.0
_PROBE_TIMEOUT_S = 2.0
_SETTLE_PATIENCE_S = 10.0  # after the drain: what is left to settle, then the loop's end
_QUEUES = "money,mail,cron"
_USUAL = {
    "TOLLGATE_LOG_LEVEL": "WARNING",  # the greeting should be the last thing on the screen
    "TOLLGATE_DEMO_PAYMENTS": "1",
}


def main(argv: Sequence[str]) -> int:
    """Run until stopped. Returns 0 after an orderly stop, 1 if the start failed."""
    parser = argparse.ArgumentParser(prog="dev.py run", description="Run everything.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="default: %(default)s")
    wanted = parser.parse_args(argv)
    folder = state.folder(os.environ)
    try:
        with state.taken(folder), Supervisor(say) as supervisor:
            _run(supervisor, folder, port=wanted.port)
    except (state.StateTakenError, valkey.ValkeyError, SupervisorError) as error:
        say(str(error))
        return 1
    except StopRequestedError:
        pass
    say("stopped")
    return 0


def say(text: str) -> None:
    """Print a line at once; nobody reading is no reason to stop."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _run(supervisor: Supervisor, folder: Path, *, port: int) -> None:
    with listen(port) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if port and not url.endswith(f":{port}"):
            say(f"port {port} is taken, using {url.rsplit(':', 1)[1]}")
        redis_url = _start_valkey(supervisor, folder)
        state.announce(folder, url=url, redis_url=redis_url)
        env = {**_USUAL, **state.environment(folder, os.environ), "REDIS_URL": redis_url}
        env.setdefault("TOLLGATE_PUBLIC_PORT", url.rsplit(":", 1)[1])
        seed = _manage("seed_demo", "--migrate")
        supervisor.run_step(Service("preparing the database", seed, env=env))
        (folder / "static").mkdir(exist_ok=True)  # WhiteNoise looks there, and says so if it can't
        for service in _services(folder, env=env, listener=listener):
            supervisor.start(service)
        _wait_until_ready(supervisor, folder, env=env, listener=listener)
        _greet(folder, url)
        supervisor.watch()
    # The listener is closed before the web process is told to stop, so that nobody is left
    # waiting in a queue that no one will serve.


def listen(port: int) -> socket.socket:
    """Listen on the port, or on the next free one, of the loopback interface.

    The socket is handed to the web process, and to the next one if that dies: callers wait a
    moment instead of being refused, and no other program can take the port in between.
    """
    for candidate in range(port, min(port + _PORTS_TRIED, 65536)):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(2048)
        except OSError:
            listener.close()
            continue
        return listener
    raise SupervisorError(f"no port between {port} and {port + _PORTS_TRIED} is free")


def _start_valkey(supervisor: Supervisor, folder: Path) -> str:
    given = state.given("REDIS_URL", os.environ)
    if given:
        return given
    server, process = valkey.start(folder)
    if not server.real:
        say("NO VALKEY: a stand-in written in Python is used. Fine for a look, not for trade.")
    log = folder / "valkey.log"
    supervisor.adopt(Service("valkey", server.argv, output=log, cwd=state.ROOT), process)
    return server.url


def _services(folder: Path, *, env: Mapping[str, str], listener: socket.socket) -> list[Service]:
    drain_s = float(env.get("TOLLGATE_DRAIN_S", "20"))
    # Celery warns of root because of pickle, which the settings refuse.
    python = (sys.executable, "-W", "ignore:You're running the worker with superuser")
    celery = (*python, "-m", "celery", "--quiet", "-A", "portal.celery")
    worker = [*celery, "worker", "-n", "worker@%h", "-Q", _QUEUES, "-l", "warning"]
    worker += ["--pool", "threads", "--concurrency", "4", "--without-gossip", "--without-mingle"]
    beat = [*celery, "beat", "-s", str(_schedule(folder)), "--pidfile=", "-l", "warning"]
    web = [sys.executable, "-m", "uvicorn", "portal.asgi:app", "--fd", str(listener.fileno())]
    web += ["--loop", "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"]
    web += ["--http", "httptools", "--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
    web += ["--no-access-log", "--no-proxy-headers", "--no-server-header"]
    web += ["--log-level", "warning", "--timeout-graceful-shutdown", str(math.ceil(drain_s))]
    # Longer than the pools of clients keep a connection: one that is closed here as a request is
    # sent on it loses that request.
    web += ["--timeout-keep-alive", "75"]
    checked = {**env, "CELERY_SKIP_CHECKS": "1"}  # by the command that prepared the demo shop
    return [
        Service(
            "worker",
            worker,
            env=checked,
            cwd=state.ROOT,
            stop_patience_s=30,
        ),
        Service("beat", beat, env=env, cwd=state.ROOT),
        Service(
            "web",
            web,
            env=env,
            cwd=state.ROOT,
            pass_fds=(listener.fileno(),),
            stop_patience_s=drain_s + _SETTLE_PATIENCE_S,
        ),
    ]


def _wait_until_ready(
    supervisor: Supervisor, folder: Path, *, env: Mapping[str, str], listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    supervisor.wait_until(
        lambda: _readyz(port), what="the web process", patience_s=_START_PATIENCE_S
    )
    ping = (sys.executable, "-m", "portal.dev.ping", str(_START_PATIENCE_S))
    supervisor.run_step(Service("waiting for the worker", ping, env=env, cwd=state.ROOT))
    supervisor.wait_until(
        lambda: _beats(folder), what="the scheduler", patience_s=_START_PATIENCE_S
    )


def _beats(folder: Path) -> bool:
    """Tell whether beat has written down its schedule since we took the state folder."""
    started_at = (folder / "run.json").stat().st_mtime
    schedule = _schedule(folder)
    written = schedule.parent.glob(f"{schedule.name}*")
    return any(file.stat().st_mtime >= started_at for file in written)


def _readyz(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _greet(folder: Path, url: str) -> None:
    demo = json.loads((folder / "demo.json").read_text())
    question = {
        "model": "gpt-3.5-turbo",
        "messages": [{"role": "user", "content": "Hello!"}],
    }
    say(f"READY {url}")
    say(f"  admin     {url}/admin/  {demo['admin_email']}  {demo['admin_password']}")
    say(f"  demo key  {demo['demo_key']}")
    say(
        f"  try it    curl {url}/v1/chat/completions -H 'Authorization: Bearer {demo['demo_key']}'"
        f" -H 'Content-Type: application/json' -d '{json.dumps(question)}'"
    )
    if not state.given("TOLLGATE_EMAIL_URL", os.environ):
        say(f"  mail      {folder / 'mail'}")
    say(f"  state     {folder}")
    say("  stop      Ctrl-C")


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(state.ROOT / "manage.py"), *arguments]


def _schedule(folder: Path) -> Path:
    return folder / "beat-schedule"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
