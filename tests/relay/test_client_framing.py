"""How clients frame what they send, byte by byte: what is read, what is refused, who is answered.

100-continue, chunked uploads, HTTP/1.0, lengths that lie, headers that two servers could read
differently. Each client here is a socket.
"""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, chat, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer

BODY = json.dumps(chat()).encode()
STREAM = json.dumps(chat(stream=True)).encode()


@pytest.fixture
def line(relay_server: RelayServer, fake_key: str, shop: Shop) -> Iterator["Line"]:
    """A connection to the relay, and a key to a shop with a fake vendor."""
    shop.wait_for_relays()
    with socket.create_connection(("127.0.0.1", relay_server.port), timeout=10) as sock:
        yield Line(sock, fake_key)


class Line:
    """A connection that a test writes on."""

    def __init__(self, sock: socket.socket, key: str) -> None:
        self.sock = sock
        self.key = key
        self.buffer = b""

    def head(self, *headers: str, version: str = "1.1", key: str | None = None) -> bytes:
        """Return the head of a chat's request."""
        mine = [f"POST {CHAT} HTTP/{version}", "host: 127.0.0.1"]
        mine.append(f"authorization: Bearer {self.key if key is None else key}")
        return "\r\n".join([*mine, *headers, "", ""]).encode()

    def send(self, *pieces: bytes) -> None:
        """Write."""
        for piece in pieces:
            self.sock.sendall(piece)

    def read(self, mark: bytes = b"") -> bytes:
        """Return what comes up to a mark, or up to the end."""
        while not mark or mark not in self.buffer:
            piece = self.sock.recv(65536)
            self.buffer += piece
            if not piece:
                return self._take(len(self.buffer))
        return self._take(self.buffer.index(mark) + len(mark))

    def answer(self) -> tuple[int, bytes]:
        """Return status and body of an answer that has a length."""
        head = self.read(b"\r\n\r\n")
        (length,) = [
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        while len(self.buffer) < length:
            self.buffer += self.sock.recv(65536)
        return int(head.split()[1]), self._take(length)

    def _take(self, size: int) -> bytes:
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken


def chunked(body: bytes, step: int) -> Iterator[bytes]:
    for at in range(0, len(body), step):
        piece = body[at : at + step]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def test_a_client_that_waits_for_a_go_ahead_gets_one(line: Line) -> None:
    line.send(line.head("expect: 100-continue", f"content-length: {len(BODY)}"))
    assert line.read(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.send(BODY)
    assert line.answer()[0] == 200


def test_a_client_with_a_bad_key_is_told_before_it_sends_its_body(line: Line) -> None:
    line.send(line.head("expect: 100-continue", "content-length: 9000000", key="ak-nobody"))
    status, body = line.answer()
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")


def test_a_client_that_announces_too_much_is_told_before_it_sends_it(line: Line) -> None:
    line.send(line.head("expect: 100-continue", "content-length: 900000000"))
    assert line.answer()[0] == 413


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_an_upload_in_chunks_arrives_whole(line: Line, fake: FakeUpstream, step: int) -> None:
    line.send(line.head("transfer-encoding: chunked"), *chunked(BODY, step))
    assert line.answer()[0] == 200
    assert json.loads(fake.truth[0].body)["messages"] == chat()["messages"]
    assert "transfer-encoding" not in fake.truth[0].headers


def test_chunks_may_have_extensions_and_trailers(line: Line) -> None:
    piece = b"%x;name=value\r\n%b\r\n0\r\nx-sum: 1\r\n\r\n" % (len(BODY), BODY)
    line.send(line.head("transfer-encoding: chunked"), piece)
    assert line.answer()[0] == 200


def test_an_upload_in_chunks_has_the_same_bound(line: Line) -> None:
    line.send(line.head("transfer-encoding: chunked"))
    piece = b"%x\r\n%b\r\n" % (1_000_000, b" " * 1_000_000)
    with pytest.raises(ConnectionError):  # the answer has come long before
        line.send(*[piece] * 100)


def test_chunks_that_never_end_are_a_client_that_has_gone(line: Line, shop: Shop) -> None:
    line.send(line.head("transfer-encoding: chunked"), *list(chunked(BODY, 7))[:-1])
    line.sock.shutdown(socket.SHUT_WR)
    line.read()
    assert not shop.usage()


def test_two_requests_on_one_connection_are_answered_in_their_order(
    line: Line, fake: FakeUpstream
) -> None:
    first, second = [json.dumps(chat(f"[ref={name}] {name}")).encode() for name in ("a", "b")]
    requests = [line.head(f"content-length: {len(body)}") + body for body in (first, second)]
    line.send(b"".join(requests))
    assert [line.answer()[0] for _ in range(2)] == [200, 200]
    assert [truth.ref for truth in fake.truth] == ["a", "b"]


def test_a_client_of_http_1_0_gets_a_whole_answer_and_the_end_of_its_connection(
    line: Line,
) -> None:
    line.send(line.head(f"content-length: {len(BODY)}", version="1.0"), BODY)
    head, _, body = line.read().partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["choices"]


def test_a_client_of_http_1_0_gets_a_stream_without_chunks(line: Line, shop: Shop) -> None:
    line.send(line.head(f"content-length: {len(STREAM)}", version="1.0"), STREAM)
    head, _, body = line.read().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")
    (record,) = shop.settled()
    assert record.usage_source == "upstream"


def test_a_broken_stream_tells_a_client_of_http_1_0_in_an_event(line: Line) -> None:
    body = json.dumps(chat("[fake cut=3 delay_ms=5]", stream=True)).encode()
    line.send(line.head(f"content-length: {len(body)}", version="1.0"), body)
    assert b'"no_available_channel"' in line.read().rpartition(b"data: ")[2]


def test_a_length_that_promises_more_is_a_client_that_has_gone(line: Line, shop: Shop) -> None:
    line.send(line.head(f"content-length: {len(BODY) + 9}"), BODY)
    line.sock.shutdown(socket.SHUT_WR)
    line.read()
    assert not shop.usage()


def test_a_length_that_promises_less_leaves_no_second_request(
    line: Line, fake: FakeUpstream
) -> None:
    line.send(line.head(f"content-length: {len(BODY) - 9}"), BODY)
    answers = line.read()
    assert b" 400 " in answers.splitlines()[0]
    assert fake.truth == []


SMUGGLED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
AMBIGUOUS = {
    "two lengths": (["content-length: 4", "content-length: 9"], BODY),
    "the same length twice": ([f"content-length: {len(BODY)}"] * 2, BODY),
    "a list of lengths": (["content-length: 4, 9"], BODY),
    "a length with a sign": (["content-length: +4"], BODY),
    "a negative length": (["content-length: -4"], BODY),
    "a length in hexadecimals": (["content-length: 0x10"], BODY),
    "an absurd length": (["content-length: 99999999999999999999999"], BODY),
    "a length and chunks": (["content-length: 4", "transfer-encoding: chunked"], b"0\r\n\r\n"),
    "chunks and a length": (["transfer-encoding: chunked", "content-length: 4"], b"0\r\n\r\n"),
    "chunks behind identity": (["transfer-encoding: chunked, identity"], b"0\r\n\r\n"),
    "an unknown transfer coding": (["transfer-encoding: xchunked"], BODY),
    "a space before the colon": (["transfer-encoding : chunked"], b"0\r\n\r\n"),
    "a folded header": (["x-a: 1", " transfer-encoding: chunked"], b"0\r\n\r\n"),
    "a bare line feed": (["x-a: 1\ntransfer-encoding: chunked"], b"0\r\n\r\n"),
    "a zero byte": (["x-a: 1\x00"], BODY),
    "chunks of a wrong size": (["transfer-encoding: chunked"], b"zz\r\nhello\r\n0\r\n\r\n"),
    "chunks of an absurd size": (["transfer-encoding: chunked"], b"f" * 40 + b"\r\nhello\r\n"),
    "two keys": (["authorization: Bearer ak-other", f"content-length: {len(BODY)}"], BODY),
    "two hosts": (["host: other.example", f"content-length: {len(BODY)}"], BODY),
}


def test_a_request_that_two_servers_could_read_differently_reaches_no_vendor(
    relay_server: RelayServer, line: Line, shop: Shop, fake: FakeUpstream
) -> None:
    for case, (headers, body) in AMBIGUOUS.items():
        with socket.create_connection(("127.0.0.1", relay_server.port), timeout=10) as sock:
            other = Line(sock, line.key)
            other.send(other.head(*headers) + body + SMUGGLED)
            first = other.read(b"\r\n").partition(b"\r\n")[0]
        assert first.split()[1:2] in ([b"400"], [b"413"]), case
    assert (fake.truth, shop.usage()) == ([], [])


def test_a_client_that_sends_no_http_is_hung_up_on(line: Line, relay_server: RelayServer) -> None:
    line.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert line.read().startswith(b"HTTP/1.1 400 ")
    until(lambda: not relay_server.services.calls)
