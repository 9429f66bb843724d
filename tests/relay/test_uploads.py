"""Files on their way to a vendor: whole, byte for byte, however they are framed, within a limit."""

import random
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.fakes.media import FakeMedia
from tests.relay import sounds
from tests.relay.asking import bearer, read_until
from tests.relay.conftest import Shop
from tests.relay.media_calls import TRANSCRIPTIONS
from tests.relay.protocols.forms import FORM_TYPE, upload
from tests.relay.server import RelayServer, running_relay

MEGABYTE = 1024 * 1024


@pytest.fixture
def key(shop: Shop, fake_media: FakeMedia) -> str:
    """A key worth 9,000,000 base tokens of a shop whose only channel is the fake."""
    shop.reprice("whisper-1", second=67)
    shop.fake_channel(fake_media)
    key = shop.key(9_000_000)
    shop.wait_for_relays()
    return key


def form(size: int) -> bytes:
    """Return a form with a sound of so many bytes."""
    sound = sounds.wav(1)[:44] + random.Random(size).randbytes(size - 44)
    return upload([("model", "whisper-1"), ("response_format", "text")], [("file", sound)])


def received(fake: FakeMedia) -> bytes:
    """Return the body that the vendor has got last."""
    return fake.truth[-1].body.encode(errors="surrogateescape")


def post(client: httpx.Client, key: str, body: bytes | Iterator[bytes]) -> httpx.Response:
    headers = bearer(key) | {"content-type": FORM_TYPE.decode()}
    return client.post(TRANSCRIPTIONS, headers=headers, content=body)


def test_25_megabytes_arrive_byte_for_byte(
    key: str, fake_media: FakeMedia, client: httpx.Client
) -> None:
    body = form(25 * MEGABYTE)
    assert post(client, key, body).status_code == 200
    assert received(fake_media) == body
    assert fake_media.truth[-1].headers["content-type"] == FORM_TYPE.decode()


def test_an_upload_may_come_in_chunks(
    key: str, fake_media: FakeMedia, client: httpx.Client
) -> None:
    body = form(300_000)
    pieces = (body[at : at + 7_001] for at in range(0, len(body), 7_001))
    assert post(client, key, pieces).status_code == 200
    assert received(fake_media) == body


def begin(server: RelayServer, key: str, *headers: str) -> socket.socket:
    """Send the head of an upload."""
    head = [f"POST {TRANSCRIPTIONS} HTTP/1.1", "host: x", f"authorization: Bearer {key}"]
    head.append(f"content-type: {FORM_TYPE.decode()}")
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    sock.sendall("\r\n".join([*head, *headers, "", ""]).encode())
    return sock


def test_an_upload_that_waits_for_leave_gets_it(
    key: str, fake_media: FakeMedia, relay_server: RelayServer
) -> None:
    body = form(300_000)
    asking = f"content-length: {len(body)}", "expect: 100-continue"
    with begin(relay_server, key, *asking) as sock:
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert received(fake_media) == body


def test_too_large_an_upload_is_refused_before_it_is_sent(
    key: str, fake_media: FakeMedia, relay_server: RelayServer
) -> None:
    asking = f"content-length: {28 * MEGABYTE}", "expect: 100-continue"
    with begin(relay_server, key, *asking) as sock:
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert not fake_media.truth


def test_only_endpoints_of_files_take_large_bodies(key: str) -> None:
    with (
        running_relay(max_body_bytes=10_000, max_upload_bytes=50_000) as server,
        httpx.Client(base_url=server.url, timeout=20) as client,
    ):
        assert post(client, key, form(40_000)).status_code == 200
        assert post(client, key, form(60_000)).status_code == 413
        said = {"model": "tts-1", "input": "x" * 20_000}
        answer = client.post("/v1/audio/speech", headers=bearer(key), json=said)
        assert answer.status_code == 413
