"""What counts as a response: framings we read, and bytes we refuse."""

import asyncio
import random
from collections import Counter

import pytest

from relay.upstream import Timeouts, UpstreamError, WireUpstream
from relay.wire.connection import Connection
from relay.wire.errors import BodyTooLarge, ConnectionLost, ProtocolViolation

from .peers import CHUNKED, PRIVATE, SOON, Peer, Server, chunk, plain, replying, serving

OK = b"HTTP/1.1 200 OK\r\n"


async def fetch(client: WireUpstream, server: Server, *, stream: bool = False) -> bytes:
    response = await client.send(server.post(), SOON, PRIVATE, stream=stream)
    return await response.read(10_000_000)


SHAPES = {
    "content length": (plain(b"hello"), b"hello"),
    "empty body": (plain(b""), b""),
    "chunked": (CHUNKED + chunk(b"hel") + chunk(b"lo") + b"0\r\n\r\n", b"hello"),
    "chunk extension": (CHUNKED + b"5;name=value\r\nhello\r\n0\r\n\r\n", b"hello"),
    "trailers": (CHUNKED + chunk(b"hello") + b"0\r\nx-sum: 1\r\n\r\n", b"hello"),
    "one continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + plain(b"hello"), b"hello"),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 3 + plain(b"hello"), b"hello"),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
    "leading blank line": (b"\r\n" + plain(b"hello"), b"hello"),
    "error status": (plain(b"sorry", status=b"503 Busy"), b"sorry"),
    "latin header": (plain(b"hello", extra=b"x-name: \xe9\r\n"), b"hello"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_valid_response_is_read(client: WireUpstream, shape: str, stream: bool) -> None:
    wire, body = SHAPES[shape]
    async with serving(replying(wire)) as server:
        for _ in range(2):
            assert await fetch(client, server, stream=stream) == body
        assert len(server.peers) == 1


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_response_may_arrive_byte_by_byte(client: WireUpstream, shape: str) -> None:
    wire, body = SHAPES[shape]
    pieces = [wire[at : at + 1] for at in range(len(wire))]
    async with serving(replying(*pieces, pause_s=0)) as server:
        assert await fetch(client, server, stream=True) == body


UNTIL_CLOSE = {
    "no length": OK + b"\r\nhello",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "close announced": OK + b"connection: close\r\n\r\nhello",
    "1.0 with length": b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "close with length": plain(b"hello", extra=b"connection: close\r\n"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("shape", UNTIL_CLOSE)
async def test_a_body_may_end_with_its_connection(
    client: WireUpstream, shape: str, stream: bool
) -> None:
    async with serving(replying(UNTIL_CLOSE[shape], close=True)) as server:
        for _ in range(2):
            assert await fetch(client, server, stream=stream) == b"hello"
        assert len(server.peers) == 2


async def test_a_reset_is_no_proper_end_of_a_body_without_length(client: WireUpstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + b"\r\nhel")
        await asyncio.sleep(0.02)
        peer.reset()

    async with serving(script) as server:
        with pytest.raises(ConnectionLost):
            await fetch(client, server)


VIOLATIONS = {
    "length and chunked": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "same length twice": OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "chunked twice": OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    "gzip transfer": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity transfer": OK + b"transfer-encoding: identity\r\n\r\nhello",
    "negative length": OK + b"content-length: -5\r\n\r\nhello",
    "huge length": OK + b"content-length: 99999999999999999999999\r\n\r\n",
    "bad chunk size": CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
    "folded header": OK + b"x-a: 1\r\n 2\r\ncontent-length: 0\r\n\r\n",
    "space before colon": OK + b"x-a : 1\r\ncontent-length: 0\r\n\r\n",
    "nul in header": OK + b"x-a: 1\x002\r\ncontent-length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "HTTP/2 version": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/0.9 version": b"HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "status 099": b"HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n",
    "endless continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 40 + plain(b"x"),
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "300 headers": OK + b"x-a: 1\r\n" * 300 + b"content-length: 0\r\n\r\n",
    "giant header": OK + b"x-a: " + b"a" * 200_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "giant reason": b"HTTP/1.1 200 " + b"a" * 200_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "giant trailer": CHUNKED + chunk(b"a") + b"0\r\nx-a: " + b"a" * 600_000,
}


@pytest.mark.parametrize("case", VIOLATIONS)
async def test_a_dubious_response_is_refused(client: WireUpstream, case: str) -> None:
    async with serving(replying(VIOLATIONS[case])) as server:
        with pytest.raises(ProtocolViolation) as caught:
            await fetch(client, server)
        assert caught.value.response_started
        assert await server.peers[0].gone()
    assert client.open_connections == 0


async def test_a_head_that_never_ends_is_refused_early(client: WireUpstream) -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(OK + b"x-a: ")
        while True:
            await peer.send(b"a" * 8192)
            sent += 8192

    async with serving(script) as server:
        with pytest.raises(ProtocolViolation):
            await fetch(client, server)
    assert sent < 20_000_000


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    ],
)
async def test_an_answer_to_head_has_no_body(client: WireUpstream, reply: bytes) -> None:
    async with serving(replying(reply)) as server:
        response = await client.send(server.ask("HEAD"), SOON, PRIVATE, stream=True)
        assert response.complete
        assert await response.next_chunk() == b""


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_statuses_without_body_end_at_their_head(client: WireUpstream, status: bytes) -> None:
    reply = b"HTTP/1.1 %b\r\ncontent-length: 5\r\n\r\n" % status
    async with serving(replying(reply)) as server:
        for _ in range(2):
            assert await fetch(client, server) == b""
        assert len(server.peers) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_cut_chunked_body_is_lost(client: WireUpstream, stream: bool) -> None:
    async with serving(replying(CHUNKED, chunk(b"hello"), close=True)) as server:
        with pytest.raises(ConnectionLost) as caught:
            await fetch(client, server, stream=stream)
        assert caught.value.request_sent
        assert caught.value.response_started


async def test_what_arrived_before_a_cut_is_handed_out_first(client: WireUpstream) -> None:
    async with serving(replying(CHUNKED, chunk(b"hello"), close=True, pause_s=0.01)) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        assert await response.next_chunk() == b"hello"
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                await response.next_chunk()
        assert not response.complete


async def test_a_short_body_is_lost(client: WireUpstream) -> None:
    short = OK + b"content-length: 10\r\n\r\nhello"
    async with serving(replying(short, close=True)) as server:
        with pytest.raises(ConnectionLost):
            await fetch(client, server)


async def test_bytes_after_the_response_end_its_connection(client: WireUpstream) -> None:
    async with serving(replying(plain(b"hello") + b"HTTP/1.1 200 OK\r\n")) as server:
        for _ in range(2):
            assert await fetch(client, server) == b"hello"
        assert len(server.peers) == 2
        assert await server.peers[0].gone()


async def test_bytes_on_an_idle_connection_end_it(client: WireUpstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"hello"))
        await asyncio.sleep(0.02)
        await peer.send(plain(b"not yours"))
        await peer.request()

    async with serving(script) as server:
        assert await fetch(client, server) == b"hello"
        assert await server.peers[0].gone()
        assert client.open_connections == 0
        assert await fetch(client, server) == b"hello"


async def test_bytes_behind_an_unread_reply_leave_it_readable(client: WireUpstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"hello"), pause_s=0.02)
        await peer.send(plain(b"not yours"))
        await peer.request()

    async with serving(script) as server:
        response = await client.send(server.post(), SOON, PRIVATE)
        assert await server.peers[0].gone()
        assert await response.read(100) == b"hello"


async def test_header_names_are_lower_case_and_order_is_kept(client: WireUpstream) -> None:
    extra = b"X-One: 1\r\nx-two: 2\r\nX-ONE: 3\r\n"
    async with serving(replying(plain(b"", extra=extra))) as server:
        response = await client.send(server.post(), SOON, PRIVATE)
        assert response.headers[:3] == [(b"x-one", b"1"), (b"x-two", b"2"), (b"x-one", b"3")]
        assert response.header(b"x-one") == b"1"
        assert response.header(b"x-none") is None
        response.close()


@pytest.mark.parametrize("size", [11, 1_000_000])
async def test_a_body_beyond_the_readers_limit_is_refused(client: WireUpstream, size: int) -> None:
    async with serving(replying(plain(b"a" * size))) as server:
        response = await client.send(server.post(), SOON, PRIVATE)
        with pytest.raises(BodyTooLarge):
            await response.read(10)


async def test_a_big_body_is_read_whole_without_being_a_stream(client: WireUpstream) -> None:
    body = bytes(range(256)) * 20_000
    async with serving(replying(plain(body))) as server:
        assert await fetch(client, server) == body
        assert await fetch(client, server) == body
        assert len(server.peers) == 1


def mutated(rng: random.Random, wire: bytes) -> bytes:
    """Return a response with a few bytes changed, dropped, doubled or swapped."""
    data = bytearray(wire)
    for _ in range(rng.randint(1, 4)):
        at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        piece = rng.choice([b"", b"\r\n", b"\0", b"0", b"9" * 20, bytes(data[at:end]) * 2])
        data[at : rng.choice([at, at + 1, end])] = piece
    return bytes(data)


async def test_mutated_responses_end_in_an_answer_or_an_error(client: WireUpstream) -> None:
    rng = random.Random(7)
    shapes = [wire for wire, _ in SHAPES.values()] + list(VIOLATIONS.values())[:12]

    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.send(mutated(rng, rng.choice(shapes)))
            if rng.random() < 0.5:
                return

    async with serving(script) as server:

        async def one(number: int) -> str:
            async with few:
                try:
                    streams = number % 2 == 0
                    response = await client.send(server.post(), quick, PRIVATE, stream=streams)
                    await response.read(1000)
                except UpstreamError as error:
                    return type(error).__name__
                return "answer"

        quick = Timeouts(first_byte_s=0.2, idle_s=0.2)
        few = asyncio.Semaphore(60)  # at once, or the last of them time out in the queue
        outcomes = Counter(await asyncio.gather(*[one(number) for number in range(600)]))
        assert outcomes["answer"] > 25
        assert outcomes["ProtocolViolation"] > 50
        assert (
            outcomes["FirstByteTimeout"] + outcomes["IdleTimeout"] + outcomes["ConnectionLost"] > 5
        )


async def test_a_fault_in_a_callback_ends_only_its_own_exchange(
    client: WireUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Connection.on_body

    def faulty(self: Connection, body: bytes) -> None:
        if body == b"5":
            raise KeyError("a fault of ours")
        honest(self, body)

    monkeypatch.setattr(Connection, "on_body", faulty)

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            await peer.send(CHUNKED, chunk(request.body), b"0\r\n\r\n", pause_s=0.002)

    async with serving(script) as server:

        async def one(number: int) -> bytes:
            response = await client.send(server.post(b"%d" % number), SOON, PRIVATE, stream=True)
            return await response.read(100)

        for _ in range(3):
            got = await asyncio.gather(
                *[one(number) for number in range(9)], return_exceptions=True
            )
            assert isinstance(got.pop(5), ProtocolViolation)
            assert got == [b"%d" % number for number in (0, 1, 2, 3, 4, 6, 7, 8)]
