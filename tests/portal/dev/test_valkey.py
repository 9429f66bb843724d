"""The private Valkey: on loopback, behind a password, gone when told."""

import dataclasses
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from portal.dev import valkey
from portal.dev.process import stop
from portal.dev.valkey import ValkeyServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    server, process = valkey.start(tmp_path)
    yield server
    stop(process, patience_s=5)
    assert not server.answers()


def test_its_url_is_what_redis_clients_take(server: ValkeyServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("colour", "red")
        assert client.get("colour") == b"red"


def test_a_wrong_password_gets_no_answer(server: ValkeyServer) -> None:
    assert not dataclasses.replace(server, password="guess").answers()


def test_no_other_user_can_read_the_password(server: ValkeyServer, tmp_path: Path) -> None:
    assert server.password not in " ".join(server.argv)
    assert stat.S_IMODE((tmp_path / "valkey.conf").stat().st_mode) == 0o600


def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "find_binary", lambda: sys.executable)
    with pytest.raises(valkey.ValkeyError, match="Valkey did not start"):
        valkey.start(tmp_path, attempts=1)


def test_a_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = "import sys, pathlib; from portal.dev import valkey;"
    script += "print(valkey.start(pathlib.Path(sys.argv[1]))[0].port)"
    argv = [sys.executable, "-c", script, str(tmp_path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ})
    orphan = ValkeyServer(argv=(), port=int(said.stdout), password="", real=True)
    give_up_at = time.monotonic() + 5
    while listening(orphan) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    assert not listening(orphan)


def listening(server: ValkeyServer) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0
