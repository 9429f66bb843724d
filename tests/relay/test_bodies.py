"""The bodies of running requests take a bounded part of a process's memory."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.relay.asking import CHAT, bearer, chat, raw_request, read_until, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer, running_relay

ROOM_BYTES = 2_000
LARGE = chat("[demo delay_ms=500] " + "x" * 1_200)


@pytest.fixture
def narrow(shop: Shop) -> Iterator[RelayServer]:
    """A relay with room for one large body."""
    with running_relay(max_bodies_bytes=ROOM_BYTES) as server:
        yield server


def begun(server: RelayServer, key: str, framing: str, first: bytes = b"") -> bytes:
    """Begin to send a body; return what the relay says to that."""
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{framing}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(head.encode() + first)
        return read_until(sock, b"\r\n\r\n")


def test_a_body_without_room_is_refused_before_it_is_sent(
    demo_key: str, narrow: RelayServer
) -> None:
    answer = begun(narrow, demo_key, "content-length: 5000")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in answer


def test_a_body_of_unknown_length_is_refused_when_the_room_is_used_up(
    demo_key: str, narrow: RelayServer
) -> None:
    chunk = b"9c4\r\n" + b"x" * 2_500 + b"\r\n"
    answer = begun(narrow, demo_key, "transfer-encoding: chunked", chunk)
    assert answer.startswith(b"HTTP/1.1 503 ")


def test_requests_share_the_room_while_they_run(
    demo_key: str, shop: Shop, narrow: RelayServer
) -> None:
    def ask() -> int:
        url = narrow.url + CHAT
        return httpx.post(url, headers=bearer(demo_key), json=LARGE, timeout=20).status_code

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask)
        until(shop.holds)
        assert ask() == 503
    assert first.result() == 200
    assert ask() == 200


def test_room_is_given_back_to_requests_that_are_refused_or_given_up(
    demo_key: str, narrow: RelayServer
) -> None:
    begun(narrow, demo_key, "content-length: 1500", b"{" + b"x" * 1_499)
    bodies = narrow.services.bodies
    with raw_request(narrow.port, demo_key, LARGE) as sock:
        until(lambda: bodies.held_bytes > 1_000)
        sock.close()
    until(lambda: not narrow.services.calls)
    assert bodies.held_bytes == 0
