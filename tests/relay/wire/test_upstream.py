"""Both clients behind the one face give the same answers and the same errors."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from relay.upstream import (
    AddressPolicy,
    HttpxUpstream,
    Timeouts,
    Upstream,
    UpstreamRequest,
    WireUpstream,
)
from relay.wire.errors import (
    AddressRefused,
    BodyTooLarge,
    ConnectFailed,
    ConnectionLost,
    FirstByteTimeout,
    IdleTimeout,
    TotalTimeout,
    UpstreamError,
)

from .peers import CHUNKED, PRIVATE, SOON, Peer, chunk, plain, replying, serving

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(params=["wire", "httpx"])
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[Upstream]:
    made: Upstream = WireUpstream() if request.param == "wire" else HttpxUpstream()
    yield made
    await made.aclose()


SHAPES = {
    "plain": plain(b"hello", extra=b"X-A: 1\r\nx-a: 2\r\nContent-Type: text/plain\r\n"),
    "empty": plain(b""),
    "chunked": CHUNKED + chunk(b"hel") + chunk(b"lo") + b"0\r\n\r\n",
    "trailers": CHUNKED + chunk(b"hello") + b"0\r\nx-sum: 1\r\n\r\n",
    "until close": OK + b"x-a: 1\r\n\r\nhello",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nx-a: 1\r\n\r\nhello",
    "close": plain(b"hello", extra=b"connection: close\r\n"),
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + plain(b"hello"),
    "early hints": b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + plain(b"hello"),
    "no content": b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nx-a: 1\r\n\r\n",
    "redirect": plain(b"", status=b"307 Go", extra=b"location: http://127.0.0.1:1/\r\n"),
    "client error": plain(b'{"error":{}}', status=b"400 Bad Request"),
    "rate limit": plain(b"{}", status=b"429 Slow", extra=b"retry-after: 7\r\n"),
    "server error": plain(b"oops", status=b"500 Oops"),
    "odd status": plain(b"?", status=b"599 Odd"),
    "gzip": plain(gzip.compress(b"hello" * 99), extra=b"content-encoding: gzip\r\n"),
    "binary": plain(bytes(range(256)) * 999),
    "cookies": plain(b"x", extra=b"set-cookie: a=1\r\nset-cookie: b=2\r\n"),
    "empty header": plain(b"x", extra=b"x-empty:\r\n"),
    "spaces around a value": plain(b"x", extra=b"x-a: \t a b \t \r\n"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_both_clients_read_the_same(shape: str, stream: bool) -> None:
    async with serving(replying(SHAPES[shape], close=True)) as server:
        seen = []
        for upstream in (WireUpstream(), HttpxUpstream()):
            response = await upstream.send(server.post(), SOON, PRIVATE, stream=stream)
            body = await response.read(1_000_000)
            assert response.complete
            seen.append((response.status, sorted(response.headers), body))
            await upstream.aclose()
        assert seen[0] == seen[1]


@pytest.mark.parametrize("path", [b"/v1/x", b"/v1/a:b?beta=true&x=%2F+", b"/a//b/%7Ec/", b"/?q={}"])
async def test_both_clients_send_the_same(path: bytes) -> None:
    headers = [(b"authorization", b"Bearer x"), (b"X-Mixed", b"\xe9"), (b"x-two", b"1")]
    async with serving(replying(plain(b""))) as server:
        for upstream in (WireUpstream(), HttpxUpstream()):
            request = UpstreamRequest("POST", server.origin, path, headers, b"{}")
            (await upstream.send(request, SOON, PRIVATE)).close()
            await upstream.aclose()
        first, second = (request.head.lower().split(b"\r\n") for request in server.requests)
        assert first[0] == second[0]
        assert sorted(first) == sorted(second)


CUTS = {
    "before the head": b"",
    "in the head": b"HTTP/1.1 200 OK\r\nx-a",
    "in a chunk": CHUNKED + b"5\r\nhel",
    "between chunks": CHUNKED + chunk(b"hello"),
    "in the size of a chunk": CHUNKED + chunk(b"hello") + b"5;a",
    "in a body with length": OK + b"content-length: 9\r\n\r\nhello",
}


@pytest.mark.parametrize("case", CUTS)
async def test_a_cut_is_an_error(upstream: Upstream, case: str) -> None:
    async with serving(replying(CUTS[case], close=True)) as server:
        with pytest.raises(ConnectionLost) as caught:
            await (await upstream.send(server.post(), SOON, PRIVATE)).read(100)
        assert caught.value.request_sent


async def test_a_dead_port_is_a_failed_connection(upstream: Upstream) -> None:
    async with serving(replying()) as server:
        request = server.post()
    with pytest.raises(ConnectFailed) as caught:
        await upstream.send(request, SOON, PRIVATE)
    assert not caught.value.request_sent


LATE: dict[str, tuple[type[UpstreamError], bytes, Timeouts]] = {
    "no head": (FirstByteTimeout, b"", Timeouts(first_byte_s=0.2)),
    "silence": (IdleTimeout, CHUNKED + chunk(b"a"), Timeouts(idle_s=0.2)),
    "total, head": (TotalTimeout, b"", Timeouts(total_s=0.2)),
    "total, body": (TotalTimeout, CHUNKED + chunk(b"a"), Timeouts(total_s=0.2)),
}


@pytest.mark.parametrize("case", LATE)
async def test_phases_time_out(upstream: Upstream, case: str) -> None:
    error, wire, timeouts = LATE[case]
    async with serving(replying(wire)) as server:
        with pytest.raises(error):
            response = await upstream.send(server.post(), timeouts, PRIVATE, stream=True)
            while await response.next_chunk():
                pass
        assert await server.peers[0].gone(within_s=0.5)


async def test_a_body_beyond_the_limit_is_refused(upstream: Upstream) -> None:
    async with serving(replying(plain(b"a" * 5_000_000))) as server:
        response = await upstream.send(server.post(), SOON, PRIVATE)
        with pytest.raises(BodyTooLarge):
            await response.read(1000)
        assert await server.peers[0].gone(within_s=0.5)


async def test_a_bomb_is_refused(upstream: Upstream) -> None:
    bomb = gzip.compress(b"\0" * 64_000_000)
    async with serving(replying(plain(bomb, extra=b"content-encoding: gzip\r\n"))) as server:
        response = await upstream.send(server.post(), SOON, PRIVATE)
        with pytest.raises(BodyTooLarge):
            await response.read(1_000_000_000)


async def test_closing_a_stream_closes_its_socket(upstream: Upstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED, chunk(b"a"))
        await peer.reader.read()

    async with serving(script) as server:
        response = await upstream.send(server.post(), SOON, PRIVATE, stream=True)
        assert await response.next_chunk() == b"a"
        response.close()
        response.close()
        assert await server.peers[0].gone(within_s=0.2)


async def test_cancelling_a_reader_closes_its_socket(upstream: Upstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED, chunk(b"a"))
        await peer.reader.read()

    async with serving(script) as server:
        response = await upstream.send(server.post(), SOON, PRIVATE, stream=True)
        assert await response.next_chunk() == b"a"
        waiting = asyncio.ensure_future(response.next_chunk())
        await asyncio.sleep(0.02)
        waiting.cancel()
        assert await server.peers[0].gone(within_s=0.2)


async def proxy(peer: Peer) -> None:
    """A forward proxy that answers by itself."""
    while request := await peer.request():
        await peer.send(plain(request.head.split(b"\r\n")[0]))


async def test_a_proxy_is_used_and_may_resolve_names_we_cannot() -> None:
    async with serving(proxy) as server:
        upstream = HttpxUpstream(proxy=str(server.origin))
        request = server.post()
        request.origin = server.origin._replace(host="unknown.invalid", port=80)
        request.head = b""
        response = await upstream.send(request, SOON, PRIVATE)
        assert await response.read(100) == b"POST http://unknown.invalid/v1/x HTTP/1.1"
        await upstream.aclose()


async def test_a_proxy_does_not_open_private_networks() -> None:
    async with serving(proxy) as server:
        upstream = HttpxUpstream(proxy=str(server.origin))
        for host in ("127.0.0.1", "localhost", "10.0.0.1", "::1"):
            request = server.post()
            request.origin = server.origin._replace(scheme="https", host=host)
            with pytest.raises(AddressRefused):
                await upstream.send(request, SOON, AddressPolicy())
        assert server.peers == []
        await upstream.aclose()


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(replying(plain(b"direct"))) as server:
        upstream = HttpxUpstream()
        assert await (await upstream.send(server.post(), SOON, PRIVATE)).read(10) == b"direct"
        await upstream.aclose()
