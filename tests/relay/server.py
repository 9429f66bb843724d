"""A real relay on loopback for tests: uvicorn in a thread, on the test's own database."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import uvicorn

from relay.asgi import Relay
from relay.loading import read_versions
from relay.options import Options, from_settings

PATIENCE_S = 20.0

_running: list["RelayServer"] = []


def wait_until_fresh() -> None:
    """Wait until the running relays have taken over what the database says now."""
    versions = read_versions()
    deadline = time.monotonic() + PATIENCE_S
    while not all(server.is_fresh(versions) for server in _running):
        assert time.monotonic() < deadline, "a relay has not noticed a change"
        time.sleep(0.01)


class RelayServer:
    """A running relay; `services` is for looking at, not for calling."""

    def __init__(self, options: Options) -> None:
        self.relay = Relay(options)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.relay,
                loop="uvloop",
                http="httptools",
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                lifespan="on",
                access_log=False,
                log_config=None,
                proxy_headers=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def services(self) -> Any:
        """The relay's parts."""
        return self.relay.services

    def is_fresh(self, versions: Mapping[str, int]) -> bool:
        """Say whether this relay has seen these versions of configuration and keys."""
        seen = self.services.snapshots
        return bool(
            seen.current.version >= versions.get("config", 0)
            and seen.keys_version >= versions.get("keys", 0)
        )

    def start(self) -> None:
        """Start, and return when it answers."""
        self._thread.start()
        for _ in range(int(PATIENCE_S / 0.01)):
            if self._server.started:
                return
            if not self._thread.is_alive():
                break
            self._thread.join(0.01)
        raise AssertionError("the relay did not start")

    def begin_to_stop(self) -> None:
        """Do what a signal does, without waiting for the end."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Stop as a signal would: drain, settle, end."""
        self.begin_to_stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        self._server.run(sockets=[self.listener])


@contextmanager
def running_relay(**changes: Any) -> Iterator[RelayServer]:
    """Run a relay with the settings' options, changed as given; it looks for changes often.

    It counts limits for itself: what other tests have counted in Valkey is not its concern.
    It leaves the collector alone: a pass over all that a test run has loaded takes longer than
    most of the tests.
    """
    changes = {"snapshot_period_s": 0.05, "owns_process": False, "redis_url": "", **changes}
    server = RelayServer(msgspec.structs.replace(from_settings(), **changes))
    server.start()
    _running.append(server)
    try:
        yield server
    finally:
        _running.remove(server)
        server.stop()
