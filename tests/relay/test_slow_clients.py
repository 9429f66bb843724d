"""Clients that trickle, stall or send without end: bounded in time, and nobody else waits."""

import json
import socket
import time

import httpx
import pytest

from relay import call
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, raw_request, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer, running_relay


@pytest.mark.parametrize("path", [CHAT, "/v1/responses/resp_1/cancel"])
def test_a_body_that_does_not_arrive_is_given_up(demo_key: str, path: str) -> None:
    with (
        running_relay(receive_s=0.3) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock,
    ):
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {demo_key}\r\n"
        sock.sendall(head.encode() + b"content-length: 100\r\n\r\n{")
        answer = sock.recv(65536)
    assert b" 408 " in answer.splitlines()[0]
    assert b'"request_timeout"' in answer


def test_trickling_clients_do_not_keep_others_waiting(
    demo_key: str, relay_server: RelayServer, client: httpx.Client
) -> None:
    socks = [socket.create_connection(("127.0.0.1", relay_server.port)) for _ in range(100)]
    for sock in socks:
        sock.sendall(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-le".encode())
    began = time.monotonic()
    assert client.post(CHAT, headers=bearer(demo_key), json=chat()).status_code == 200
    assert time.monotonic() - began < 2
    for sock in socks:
        sock.close()


def test_a_reader_that_stalls_slows_the_upstream_down_and_is_given_up(
    shop: Shop, fake: FakeUpstream
) -> None:
    shop.fake_channel(fake)
    key = shop.key(100_000_000)
    body = chat("[fake tokens=90000 chunk_chars=4]", stream=True)
    with (
        running_relay(stalled_reader_s=0.5) as server,
        raw_request(server.port, key, body) as sock,
    ):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        until(lambda: fake.truth and fake.truth[0].closed_by_client, within_s=20)
        (record,) = shop.settled()
    assert record.resolution == "client_gone"
    assert 0 < record.output_count < 90_000


def test_a_client_that_asks_again_but_never_reads_is_given_up(
    shop: Shop, fake: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "STALLED_S", 0.5)
    shop.fake_channel(fake)
    key = shop.key(1_000_000_000)
    body = json.dumps(chat("[fake tokens=560000 chunk_chars=4000000]")).encode()
    head = f"host: x\r\nauthorization: Bearer {key}\r\n".encode()
    first = b"POST %b HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n%b" % (
        CHAT.encode(),
        head,
        len(body),
        body,
    )
    with running_relay() as server, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before it connects
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(first + b"GET /v1/models HTTP/1.1\r\n%b\r\n" % head)
        shop.settled()
        until(lambda: [other for other in server.services.calls if other.scope["method"] == "GET"])
        until(lambda: not server.services.calls)


def test_a_body_without_end_costs_a_bounded_amount(
    demo_key: str, relay_server: RelayServer
) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", relay_server.port), timeout=10) as sock:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {demo_key}\r\n"
        sock.sendall(head.encode() + b"content-length: 1000000000\r\n\r\n")
        answer = sock.recv(65536)
        try:
            while sent < 100_000_000:
                sent += sock.send(b"x" * 1_000_000)
        except OSError:
            pass
    assert b" 413 " in answer.splitlines()[0]
    assert sent < 40_000_000
