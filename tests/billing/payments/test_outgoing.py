"""Calls to payment gateways: where they may go, how long they take, and what comes back."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from asgiref.sync import sync_to_async
from pytest_django import Settings

from billing.errors import PaymentAway
from billing.payments import exchange, outgoing
from billing.payments.exchange import ANSWER_BYTES
from tests.fakes.epay import Canned, FakeEpay

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture
def private(settings: Settings) -> None:
    """Allow the addresses that tests can have."""
    settings.PAYMENT_PRIVATE_NETWORK = True


@pytest.fixture
def gateway(private: None) -> Iterator[FakeEpay]:
    with FakeEpay() as fake:
        yield fake


class Listener:
    """A server that says something, piece by piece, to whoever comes."""

    def __init__(self, *pieces: bytes, tls: ssl.SSLContext | None = None) -> None:
        self.heard: list[bytes] = []
        self._pieces, self._tls = pieces, tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(5)
        self.port = self._socket.getsockname()[1]
        self._closed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._socket.close()

    def _serve(self) -> None:
        try:
            talk, _ = self._socket.accept()
            talk = self._tls.wrap_socket(talk, server_side=True) if self._tls else talk
            self.heard.append(talk.recv(65536))
            for piece in self._pieces:
                talk.sendall(piece)
                self._closed.wait(0.05)
            talk.close()
        except OSError:
            return  # the other side has had enough, which is what these tests are about


def test_a_form_and_a_query_arrive(gateway: FakeEpay) -> None:
    gateway.instead = Canned(b"hello")
    assert outgoing.get(f"{gateway.url}a", {"x": "1 &二"}) == b"hello"
    assert outgoing.post(f"{gateway.url}b", {"y": "2=é"}) == b"hello"
    assert gateway.asked == [("GET", "/a", {"x": "1 &二"}), ("POST", "/b", {"y": "2=é"})]


async def test_a_page_may_ask_while_a_loop_runs(gateway: FakeEpay) -> None:
    gateway.instead = Canned(b"hello")
    assert await sync_to_async(outgoing.get)(gateway.url, {}) == b"hello"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_nothing_on_this_machine_is_called(host: str) -> None:
    listener = Listener(HEAD)
    with pytest.raises(PaymentAway, match="no public address"):
        outgoing.get(f"http://{host}:{listener.port}/", {})
    listener.close()
    assert not listener.heard


@pytest.mark.parametrize(
    "url",
    [
        *("", "pay.example", "ftp://pay.example/", "file:///etc/passwd", "http:///x", "http://"),
        *("https://user:secret@pay.example/", "https://pay.example/?a=1", "https://pay.example/#a"),
        *("https://pay.example:99999/", "http://[::1", "https://pay.exa\nmple/"),
    ],
)
def test_what_is_no_gateways_address_is_refused(url: str) -> None:
    assert not outgoing.is_usable(url)
    with pytest.raises(PaymentAway) as refusal:
        outgoing.get(url, {})
    assert "secret" not in str(refusal.value)


def test_a_redirect_is_not_followed(gateway: FakeEpay) -> None:
    gateway.instead = Canned(status=302, headers={"Location": f"{gateway.url}elsewhere"})
    with pytest.raises(PaymentAway, match="status 302"):
        outgoing.get(gateway.url, {})
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("status", [201, 204, 400, 404, 500, 503])
def test_only_a_200_is_an_answer(gateway: FakeEpay, status: int) -> None:
    gateway.instead = Canned(status=status)
    with pytest.raises(PaymentAway, match=str(status)):
        outgoing.get(gateway.url, {})


def test_an_answer_may_not_be_too_long(gateway: FakeEpay) -> None:
    gateway.instead = Canned(b"x" * ANSWER_BYTES)
    assert len(outgoing.get(gateway.url, {})) == ANSWER_BYTES
    gateway.instead = Canned(b"x" * (ANSWER_BYTES + 1))
    with pytest.raises(PaymentAway, match="too much"):
        outgoing.get(gateway.url, {})


def test_an_answer_may_not_be_packed(gateway: FakeEpay) -> None:
    gateway.instead = Canned(b"x", headers={"Content-Encoding": "gzip"})
    with pytest.raises(PaymentAway, match="encoding"):
        outgoing.get(gateway.url, {})


@pytest.mark.parametrize("pieces", [(HEAD, *[b"x"] * 200), (HEAD[:20], *[b"x"] * 200)])
def test_a_slow_gateway_has_an_end(
    private: None, monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_S", 0.2)
    listener, began = Listener(*pieces), time.monotonic()
    with pytest.raises(PaymentAway, match="in time"):
        outgoing.get(f"http://127.0.0.1:{listener.port}/", {})
    assert time.monotonic() - began < 5
    listener.close()


@pytest.mark.parametrize("pieces", [(), (b"nonsense\r\n\r\n",), (HEAD, b"cut")])
def test_what_is_no_whole_answer_is_none(private: None, pieces: tuple[bytes, ...]) -> None:
    listener = Listener(*pieces)
    with pytest.raises(PaymentAway, match="can't be asked"):
        outgoing.get(f"http://127.0.0.1:{listener.port}/", {})
    listener.close()


def test_an_answer_is_asked_for_unpacked(private: None) -> None:
    listener = Listener(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert outgoing.get(f"http://127.0.0.1:{listener.port}/", {}) == b""
    assert b"accept-encoding: identity" in listener.heard[0].lower()
    listener.close()


def test_a_host_without_an_address_is_away() -> None:
    with pytest.raises(PaymentAway, match="no address"):
        outgoing.get(f"https://{'x' * 64}.example/", {})  # refused before anybody is asked


def test_a_closed_port_is_away(private: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PaymentAway, match="ConnectError"):
        outgoing.get(f"http://127.0.0.1:{port}/", {})


def test_no_key_gets_into_logs(
    private: None, caplog: pytest.LogCaptureFixture, gateway: FakeEpay
) -> None:
    with caplog.at_level(logging.DEBUG):
        for status in (200, 500):
            gateway.instead = Canned(status=status)
            try:
                outgoing.get(gateway.url, {"key": "canary"})
            except PaymentAway as away:
                assert "canary" not in str(away)
    assert "canary" not in caplog.text


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A certificate of `localhost` that is trusted while the test runs."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    exchange._tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    yield context
    exchange._tls.cache_clear()


def test_the_name_is_shown_and_proven_while_its_address_is_called(
    private: None, tls: ssl.SSLContext
) -> None:
    names: list[str] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    listener = Listener(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", tls=tls)
    assert outgoing.get(f"https://localhost:{listener.port}/", {}) == b"ok"
    assert names == ["localhost"]
    assert f"host: localhost:{listener.port}".encode() in listener.heard[0].lower()
    listener.close()


def test_another_names_certificate_is_refused(private: None, tls: ssl.SSLContext) -> None:
    listener = Listener(HEAD, tls=tls)
    with pytest.raises(PaymentAway, match="ConnectError"):
        outgoing.get(f"https://127.0.0.1:{listener.port}/", {})
    listener.close()
    assert not listener.heard
