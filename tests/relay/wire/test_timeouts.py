"""Each phase has its own time-out, its own error, and an accuracy of about 0.3 s."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from relay.upstream import HeadTemplate, Origin, Timeouts, WireUpstream
from relay.wire.errors import (
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    TotalTimeout,
    UpstreamTimeout,
    WriteTimeout,
)

from .peers import CHUNKED, PRIVATE, Peer, Server, chunk, plain, replying, serving

SLACK_S = 1.2


async def fails_with(
    error: type[UpstreamTimeout],
    client: WireUpstream,
    server: Server,
    timeouts: Timeouts,
    *,
    stream: bool = False,
    body: bytes = b"{}",
) -> UpstreamTimeout:
    """Call, read to the end, and return the time-out, which must come after 0.3 s and soon."""
    began = time.monotonic()
    with pytest.raises(error) as caught:
        response = await client.send(server.post(body), timeouts, PRIVATE, stream=stream)
        while await response.next_chunk():
            pass
    assert 0.25 <= time.monotonic() - began < 0.3 + SLACK_S
    assert client.running == 0
    return caught.value


@pytest.fixture
def full_backlog() -> Iterator[Origin]:
    """A listener that never accepts and whose queue is full: connecting hangs."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    yield Origin("http", "127.0.0.1", port)
    for each in (listener, *fillers):
        each.close()


async def test_connecting_times_out(client: WireUpstream, full_backlog: Origin) -> None:
    request = HeadTemplate(method="GET", origin=full_backlog, path=b"/", headers=[]).request(b"")
    began = time.monotonic()
    with pytest.raises(ConnectTimeout) as caught:
        await client.send(request, Timeouts(connect_s=0.3), PRIVATE)
    assert 0.25 <= time.monotonic() - began < 0.3 + SLACK_S
    assert not caught.value.request_sent
    assert client.open_connections == 0


async def test_a_silent_upstream_misses_the_first_byte(client: WireUpstream) -> None:
    async with serving(replying()) as server:
        late = await fails_with(FirstByteTimeout, client, server, Timeouts(first_byte_s=0.3))
        assert late.request_sent
        assert not late.response_started
        assert await server.peers[0].gone()


async def test_a_trickling_head_does_not_postpone_the_first_byte(client: WireUpstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n", *[b"x-a: 1\r\n"] * 100, pause_s=0.05)

    async with serving(script) as server:
        late = await fails_with(FirstByteTimeout, client, server, Timeouts(first_byte_s=0.3))
        assert late.response_started


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_silence_in_a_body_is_idleness(client: WireUpstream, stream: bool) -> None:
    async with serving(replying(CHUNKED, chunk(b"a"))) as server:
        await fails_with(IdleTimeout, client, server, Timeouts(idle_s=0.3), stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_late_head_leaves_the_body_its_own_time(client: WireUpstream, stream: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.3)
        await peer.send(CHUNKED, pause_s=0.5)
        await peer.send(chunk(b"a"), b"0\r\n\r\n")

    async with serving(script) as server:
        patient = Timeouts(first_byte_s=0.5, idle_s=2)
        response = await client.send(server.post(), patient, PRIVATE, stream=stream)
        assert await response.read(100) == b"a"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_endless_body_meets_the_total(client: WireUpstream, stream: bool) -> None:
    endless = replying(CHUNKED, *[chunk(b"a")] * 200, pause_s=0.02)
    async with serving(endless) as server:
        await fails_with(TotalTimeout, client, server, Timeouts(total_s=0.3), stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_steady_body_is_never_idle(client: WireUpstream, stream: bool) -> None:
    steady = replying(CHUNKED, *[chunk(b"a")] * 9, b"0\r\n\r\n", pause_s=0.07)
    async with serving(steady) as server:
        quick = Timeouts(first_byte_s=0.3, idle_s=0.3)
        response = await client.send(server.post(), quick, PRIVATE, stream=stream)
        assert await response.read(100) == b"a" * 9


async def test_the_total_also_ends_a_stream_nobody_reads(client: WireUpstream) -> None:
    async with serving(replying(CHUNKED, chunk(b"a"))) as server:
        quick = Timeouts(total_s=0.3)
        response = await client.send(server.post(), quick, PRIVATE, stream=True)
        assert await server.peers[0].gone(within_s=0.3 + SLACK_S)
        assert await response.next_chunk() == b"a"
        with pytest.raises(TotalTimeout):
            await response.next_chunk()


async def test_a_complete_reply_nobody_fetches_loses_only_its_connection(
    client: WireUpstream,
) -> None:
    async with serving(replying(plain(b"kept"))) as server:
        response = await client.send(server.post(), Timeouts(total_s=0.3), PRIVATE)
        assert client.idle_connections == 0
        await asyncio.sleep(0.9)
        assert client.idle_connections == 1
        assert await response.read(10) == b"kept"


async def test_an_upstream_that_takes_no_body_misses_the_write(client: WireUpstream) -> None:
    stop = asyncio.Event()

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await stop.wait()

    async with serving(script) as server:
        big = b"a" * 30_000_000
        late = await fails_with(WriteTimeout, client, server, Timeouts(write_s=0.3), body=big)
        assert late.request_sent
        stop.set()


async def test_many_time_outs_at_once_all_fire(client: WireUpstream) -> None:
    async with serving(replying()) as server:
        quick = Timeouts(first_byte_s=0.3)
        began = time.monotonic()
        calls = [client.send(server.post(), quick, PRIVATE) for _ in range(50)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {FirstByteTimeout}
        assert time.monotonic() - began < 0.3 + SLACK_S
