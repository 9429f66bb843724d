"""TLS: who is trusted, what is asked for, and that nothing is sent to anybody else."""

import asyncio
import ssl

import pytest
import trustme

from relay.upstream import HttpxUpstream, Upstream, WireUpstream
from relay.wire.dialing import default_tls
from relay.wire.errors import ConnectFailed, ConnectionLost, TlsFailed
from tests.fakes.forward_proxy import ForwardProxy

from .peers import CHUNKED, PRIVATE, SOON, Peer, chunk, plain, replying, serving


def build(kind: str, tls: ssl.SSLContext | None) -> Upstream:
    return WireUpstream(tls=tls) if kind == "wire" else HttpxUpstream(tls=tls)


@pytest.fixture(params=["wire", "httpx"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_trusted_server_is_talked_to(
    kind: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    upstream = build(kind, client_tls)
    async with serving(replying(plain(b"secret")), tls=server_tls) as server:
        for _ in range(3):
            response = await upstream.send(server.post(), SOON, PRIVATE)
            assert await response.read(100) == b"secret"
        assert len(server.peers) == (1 if kind == "wire" else 3)
        await upstream.aclose()


async def test_a_connection_trusted_for_one_name_does_not_serve_another(
    kind: str, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    named = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(named)
    upstream = build(kind, client_tls)
    async with serving(replying(plain(b"secret")), tls=named) as server:
        request = server.post()
        request.origin = server.origin._replace(host="localhost")
        assert await (await upstream.send(request, SOON, PRIVATE)).read(100) == b"secret"
        with pytest.raises(TlsFailed):
            await upstream.send(server.post(), SOON, PRIVATE)
        assert len(server.requests) == 1
        await upstream.aclose()


async def test_an_unknown_authority_is_refused(kind: str, server_tls: ssl.SSLContext) -> None:
    upstream = build(kind, None)
    async with serving(replying(plain(b"secret")), tls=server_tls) as server:
        with pytest.raises(TlsFailed) as caught:
            await upstream.send(server.post(), SOON, PRIVATE)
        assert not caught.value.request_sent
        assert server.requests == []
        await upstream.aclose()


async def test_a_certificate_for_somebody_else_is_refused(
    kind: str, authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(other)
    upstream = build(kind, client_tls)
    async with serving(replying(plain(b"secret")), tls=other) as server:
        with pytest.raises(TlsFailed):
            await upstream.send(server.post(), SOON, PRIVATE)
        assert server.requests == []
        await upstream.aclose()


async def test_a_server_without_tls_is_refused(kind: str, client_tls: ssl.SSLContext) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)
        await peer.send(plain(b"no TLS here"))

    upstream = build(kind, client_tls)
    async with serving(script) as server:
        request = server.post()
        request.origin = server.origin._replace(scheme="https")
        with pytest.raises(ConnectFailed):
            await upstream.send(request, SOON, PRIVATE)
        await upstream.aclose()


async def test_the_server_name_is_sent_and_checked(
    kind: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    names = []
    server_tls.sni_callback = lambda _, name, __: names.append(name)
    upstream = build(kind, client_tls)
    async with serving(replying(plain(b"a")), tls=server_tls) as server:
        request = server.post()
        request.origin = server.origin._replace(host="localhost")
        response = await upstream.send(request, SOON, PRIVATE)
        response.close()
        assert names == ["localhost"]
        await upstream.aclose()


def test_only_http_1_1_over_current_tls_is_offered() -> None:
    context = default_tls()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


async def test_a_big_exchange_over_tls_is_whole(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    body = b"".join(b"%07d\n" % number for number in range(400_000))

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            await peer.send(CHUNKED, chunk(request.body), b"0\r\n\r\n")

    client = WireUpstream(tls=client_tls)
    async with serving(script, tls=server_tls) as server:
        response = await client.send(server.post(body), SOON, PRIVATE, stream=True)
        got = []
        while piece := await response.next_chunk():
            got.append(piece)
            await asyncio.sleep(0)
        assert b"".join(got) == body
        await client.aclose()


async def test_closing_a_tls_stream_closes_its_socket_at_once(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED, chunk(b"a"))
        await peer.reader.read()

    client = WireUpstream(tls=client_tls)
    async with serving(script, tls=server_tls) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        response.close()
        assert await server.peers[0].gone(within_s=0.2)
        assert client.open_connections == 0
        await client.aclose()


async def test_a_cut_tls_stream_is_lost(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    client = WireUpstream(tls=client_tls)
    cut = replying(CHUNKED, chunk(b"a"), close=True)
    async with serving(cut, tls=server_tls) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        assert await response.next_chunk() == b"a"
        with pytest.raises(ConnectionLost):
            await response.next_chunk()
        await client.aclose()


async def test_a_proxy_only_carries_what_is_said_to_a_trusted_server(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with ForwardProxy() as proxy:
        upstream = HttpxUpstream(proxy=f"http://127.0.0.1:{proxy.port}", tls=client_tls)
        async with serving(replying(plain(b"secret")), tls=server_tls) as server:
            response = await upstream.send(server.post(), SOON, PRIVATE)
            assert await response.read(100) == b"secret"
            assert proxy.asked == [f"CONNECT 127.0.0.1:{server.origin.port} HTTP/1.1"]
            await upstream.aclose()
