"""Streams: pieces as they come, back-pressure, giving up, cancelling."""

import asyncio

import pytest

from relay.upstream import Timeouts, WireUpstream
from relay.wire.errors import ConnectionLost, IdleTimeout

from .peers import CHUNKED, PRIVATE, SOON, Peer, Server, chunk, plain, replying, serving


async def flood(peer: Peer) -> None:
    """Send an endless stream until the client goes away."""
    await peer.request()
    await peer.send(CHUNKED)
    while True:
        await peer.send(chunk(b"a" * 65536))
        peer.sent_bytes += 65536


async def trickle(peer: Peer) -> None:
    """Send a head and one chunk, then nothing, watching for the client's close."""
    await peer.request()
    await peer.send(CHUNKED, chunk(b"first"))
    await peer.reader.read()


async def opened(client: WireUpstream, server: Server) -> tuple[Peer, asyncio.Task[bytes]]:
    """Return the server's side and a task that waits for the second piece of a trickle."""
    response = await client.send(server.post(), SOON, PRIVATE, stream=True)
    assert await response.next_chunk() == b"first"
    waiting = asyncio.ensure_future(response.next_chunk())
    await asyncio.sleep(0.01)
    return server.peers[-1], waiting


async def test_pieces_are_handed_out_as_they_come(client: WireUpstream) -> None:
    turn = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        for piece in (b"one", b"two", b"three"):
            await turn.wait()
            turn.clear()
            await peer.send(chunk(piece))
        await peer.send(b"0\r\n\r\n")

    async with serving(script) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        for piece in (b"one", b"two", b"three"):
            turn.set()
            assert await response.next_chunk() == piece
        assert await response.next_chunk() == b""
        assert response.complete
        assert await response.next_chunk() == b""


async def test_what_has_arrived_meanwhile_comes_in_one_piece(client: WireUpstream) -> None:
    async with serving(replying(CHUNKED, chunk(b"a"), chunk(b"b"), b"0\r\n\r\n")) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        await asyncio.sleep(0.05)
        assert await response.next_chunk() == b"ab"


async def test_an_error_answer_to_a_stream_can_be_read_whole(client: WireUpstream) -> None:
    async with serving(replying(plain(b'{"error":1}', status=b"429 Slow down"))) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        assert (response.status, await response.read(1000)) == (429, b'{"error":1}')


async def test_a_slow_reader_stalls_the_server(client: WireUpstream) -> None:
    async with serving(flood) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        await asyncio.sleep(0.3)
        stalled_at = server.peers[0].sent_bytes
        await asyncio.sleep(0.3)
        assert server.peers[0].sent_bytes == stalled_at
        assert response.size < 1_000_000
        response.close()


async def test_a_stalled_stream_goes_on_when_its_reader_does(client: WireUpstream) -> None:
    async with serving(flood) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        read_bytes = largest = 0
        while read_bytes < 30_000_000:
            piece = await response.next_chunk()
            read_bytes += len(piece)
            largest = max(largest, len(piece))
        assert largest < 1_000_000
        response.close()


async def test_a_slow_reader_does_not_make_the_upstream_overdue(client: WireUpstream) -> None:
    async with serving(flood) as server:
        quick = Timeouts(idle_s=0.1, total_s=10)
        response = await client.send(server.post(), quick, PRIVATE, stream=True)
        await asyncio.sleep(0.7)
        assert await response.next_chunk()
        response.close()


async def test_every_byte_of_a_stalled_stream_arrives_once_and_in_order(
    client: WireUpstream,
) -> None:
    body = b"".join(b"%07d\n" % number for number in range(400_000))

    async def script(peer: Peer) -> None:
        await peer.request()
        wire = [chunk(body[at : at + 9_999]) for at in range(0, len(body), 9_999)]
        await peer.send(CHUNKED, *wire, b"0\r\n\r\n")
        await peer.request()

    async with serving(script) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        got = []
        while piece := await response.next_chunk():
            got.append(piece)
            await asyncio.sleep(0.002)
        assert b"".join(got) == body


async def test_closing_a_running_stream_closes_its_socket_at_once(client: WireUpstream) -> None:
    async with serving(trickle) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        response.close()
        response.close()
        assert await server.peers[0].gone(within_s=0.2)
        assert client.open_connections == 0
        with pytest.raises(ConnectionLost):
            await response.next_chunk()


async def test_closing_a_stream_whose_reader_is_behind_closes_its_socket(
    client: WireUpstream,
) -> None:
    async with serving(flood) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        await asyncio.sleep(0.1)
        response.close()
        assert await server.peers[0].gone(within_s=0.2)


async def test_cancelling_a_reader_closes_its_socket_at_once(client: WireUpstream) -> None:
    async with serving(trickle) as server:
        peer, waiting = await opened(client, server)
        waiting.cancel()
        assert await peer.gone(within_s=0.2)
        assert client.open_connections == 0


async def test_cancelling_a_call_closes_its_socket_at_once(client: WireUpstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    async with serving(script) as server:
        sending = asyncio.ensure_future(client.send(server.post(), SOON, PRIVATE))
        await asyncio.sleep(0.05)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert await server.peers[0].gone(within_s=0.2)
        assert client.open_connections == 0


async def test_cancelling_calls_at_any_moment_leaks_nothing(client: WireUpstream) -> None:
    async with serving(replying(CHUNKED, chunk(b"a"), b"0\r\n\r\n", pause_s=0.001)) as server:

        async def one() -> None:
            response = await client.send(server.post(), SOON, PRIVATE, stream=True)
            while await response.next_chunk():
                pass

        for delay in range(60):
            calls = [asyncio.ensure_future(one()) for _ in range(4)]
            await asyncio.sleep(delay * 0.0001)
            for running in calls:
                running.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        assert client.running == 0
        assert client.open_connections == client.idle_connections


async def test_a_cancelled_connection_attempt_leaks_nothing(client: WireUpstream) -> None:
    async with serving(replying(plain(b"a"))) as server:
        for turns in range(12):
            sending = asyncio.ensure_future(client.send(server.post(), SOON, PRIVATE))
            for _ in range(turns):
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            if not sending.cancelled():
                sending.result().close()
        assert client.open_connections == client.idle_connections


async def test_a_stream_that_falls_silent_ends_for_its_reader_only(client: WireUpstream) -> None:
    async with serving(trickle) as server:
        quick = Timeouts(idle_s=0.1)
        silent = await client.send(server.post(), quick, PRIVATE, stream=True)
        assert await silent.next_chunk() == b"first"
        _, other = await opened(client, server)
        with pytest.raises(IdleTimeout):
            await silent.next_chunk()
        assert not other.done()
        other.cancel()


async def test_two_readers_of_one_stream_are_a_mistake(client: WireUpstream) -> None:
    async with serving(trickle) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        await response.next_chunk()
        waiting = asyncio.ensure_future(response.next_chunk())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await response.next_chunk()
        waiting.cancel()


async def test_a_reset_in_mid_stream_is_an_error(client: WireUpstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED, chunk(b"first"), pause_s=0.02)
        peer.reset()

    async with serving(script) as server:
        response = await client.send(server.post(), SOON, PRIVATE, stream=True)
        assert await response.next_chunk() == b"first"
        with pytest.raises(ConnectionLost):
            await response.next_chunk()
