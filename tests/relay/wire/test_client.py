"""Calls through pooled connections: whose reply is whose, how many connections, which one."""

import asyncio

import pytest

from relay.upstream import AddressPolicy, Timeouts, WireUpstream
from relay.wire.errors import (
    AddressRefused,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    PoolFull,
)
from relay.wire.pool import PoolLimits

from .peers import CHUNKED, PRIVATE, SOON, Peer, Server, chunk, plain, replying, serving


async def echo_oddly(peer: Peer) -> None:
    """Answer with the request's body, three times over, framed and split in varying ways."""
    while request := await peer.request():
        body, turn = request.body, len(peer.requests)
        if turn % 3 == 0:
            await peer.send(plain(body * 3))
        elif turn % 3 == 1:
            wire = CHUNKED + b"".join(chunk(body) for _ in range(3)) + b"0\r\n\r\n"
            await peer.send(*[wire[at : at + 61] for at in range(0, len(wire), 61)])
        else:
            await peer.send(CHUNKED, chunk(body), chunk(body * 2), b"0\r\n\r\n", pause_s=0.001)


async def call(client: WireUpstream, server: Server, number: int) -> None:
    body = b"%d." % number * (1 + number % 50)
    response = await client.send(server.post(body), SOON, PRIVATE, stream=number % 2 == 0)
    if number % 5 == 0:
        await asyncio.sleep(0.002)
    if number % 3 == 0:
        parts = []
        while part := await response.next_chunk():
            parts.append(part)
        assert b"".join(parts) == body * 3
    else:
        assert await response.read(1_000_000) == body * 3


@pytest.mark.parametrize("in_flight", [64, 256])
async def test_replies_are_never_mixed_up(client: WireUpstream, in_flight: int) -> None:
    gate = asyncio.Semaphore(in_flight)
    async with serving(echo_oddly) as server:

        async def one(number: int) -> None:
            async with gate:
                await call(client, server, number)

        await asyncio.gather(*[one(number) for number in range(1000)])
        assert len(server.requests) == 1000
        assert len(server.peers) <= in_flight


async def test_a_reply_that_is_read_late_is_still_its_own(client: WireUpstream) -> None:
    async with serving(echo_oddly) as server:
        early = await client.send(server.post(b"early"), SOON, PRIVATE)
        await asyncio.gather(*[call(client, server, number) for number in range(20)])
        assert await early.read(1000) == b"early" * 3


async def test_a_connection_is_not_free_before_its_reply_is_read(client: WireUpstream) -> None:
    async with serving(replying(plain(b"a"))) as server:
        unread = await client.send(server.post(), SOON, PRIVATE)
        other = await client.send(server.post(), SOON, PRIVATE)
        assert len(server.peers) == 2
        assert await unread.read(10) == await other.read(10) == b"a"


async def test_a_read_reply_frees_its_connection_for_the_next_call(client: WireUpstream) -> None:
    async with serving(replying(plain(b"a"))) as server:
        for _ in range(5):
            await (await client.send(server.post(), SOON, PRIVATE)).read(10)
        assert len(server.peers) == 1


async def test_closing_an_unread_complete_reply_frees_its_connection(client: WireUpstream) -> None:
    async with serving(replying(plain(b"a"))) as server:
        for _ in range(3):
            (await client.send(server.post(), SOON, PRIVATE)).close()
        assert len(server.peers) == 1


async def test_the_connection_used_last_is_used_next(client: WireUpstream) -> None:
    async with serving(replying(plain(b"a"))) as server:
        held = [await client.send(server.post(), SOON, PRIVATE) for _ in range(3)]
        for response in held:
            await response.read(10)
        await (await client.send(server.post(), SOON, PRIVATE)).read(10)
        assert [len(peer.requests) for peer in server.peers] == [1, 1, 2]


async def test_closing_twice_does_not_touch_the_next_call(client: WireUpstream) -> None:
    async with serving(replying(plain(b"a"))) as server:
        first = await client.send(server.post(), SOON, PRIVATE)
        first.close()
        second = await client.send(server.post(), SOON, PRIVATE)
        first.close()
        assert await second.read(10) == b"a"
        assert len(server.peers) == 1


async def test_connections_beyond_the_idle_limit_are_closed() -> None:
    client = WireUpstream(limits=PoolLimits(idle=2))
    async with serving(replying(plain(b"a"))) as server:
        held = [await client.send(server.post(), SOON, PRIVATE) for _ in range(5)]
        for response in held:
            await response.read(10)
        assert client.open_connections == client.idle_connections == 2
        await client.aclose()


async def test_a_connection_idle_too_long_is_not_used_again() -> None:
    client = WireUpstream(limits=PoolLimits(idle_s=0.05))
    async with serving(replying(plain(b"a"))) as server:
        for _ in range(2):
            await (await client.send(server.post(), SOON, PRIVATE)).read(10)
            await asyncio.sleep(0.1)
        assert len(server.peers) == 2
        await client.aclose()


async def test_idle_connections_are_closed_without_further_calls() -> None:
    client = WireUpstream(limits=PoolLimits(idle_s=0.05))
    async with serving(replying(plain(b"a"))) as server:
        await (await client.send(server.post(), SOON, PRIVATE)).read(10)
        await asyncio.sleep(0.6)
        assert client.open_connections == 0
        await client.aclose()


async def test_an_old_connection_retires_after_its_reply() -> None:
    client = WireUpstream(limits=PoolLimits(age_s=0.0))
    async with serving(replying(plain(b"a"), pause_s=0.01)) as server:
        for _ in range(2):
            await (await client.send(server.post(), SOON, PRIVATE)).read(10)
        assert len(server.peers) == 2
        await client.aclose()


async def test_calls_beyond_the_connection_limit_take_turns() -> None:
    client = WireUpstream(limits=PoolLimits(connections=3))
    async with serving(echo_oddly) as server:
        await asyncio.gather(*[call(client, server, number) for number in range(60)])
        assert len(server.peers) == 3
        await client.aclose()


async def test_a_waiting_call_gets_the_place_of_a_broken_connection() -> None:
    client = WireUpstream(limits=PoolLimits(connections=1))
    async with serving(replying(CHUNKED, chunk(b"a"))) as server:
        first = await client.send(server.post(), SOON, PRIVATE, stream=True)
        waiting = asyncio.ensure_future(client.send(server.post(), SOON, PRIVATE, stream=True))
        await asyncio.sleep(0.02)
        first.close()
        second = await waiting
        assert await second.next_chunk() == b"a"
        second.close()
        await client.aclose()


async def test_a_full_queue_turns_calls_away_at_once() -> None:
    client = WireUpstream(limits=PoolLimits(connections=1, waiting=0))
    async with serving(replying(CHUNKED)) as server:
        first = await client.send(server.post(), SOON, PRIVATE, stream=True)
        with pytest.raises(PoolFull) as caught:
            await client.send(server.post(), SOON, PRIVATE)
        assert not caught.value.request_sent
        first.close()
        await client.aclose()


async def test_waiting_for_a_connection_counts_as_connecting() -> None:
    client = WireUpstream(limits=PoolLimits(connections=1))
    async with serving(replying(CHUNKED)) as server:
        first = await client.send(server.post(), SOON, PRIVATE, stream=True)
        with pytest.raises(ConnectTimeout):
            await client.send(server.post(), Timeouts(connect_s=0.05), PRIVATE)
        first.close()
        await client.aclose()


async def test_a_cancelled_waiter_does_not_lose_the_connection_it_was_given() -> None:
    client = WireUpstream(limits=PoolLimits(connections=1))
    async with serving(replying(plain(b"a"))) as server:
        first = await client.send(server.post(), SOON, PRIVATE)
        waiting = asyncio.ensure_future(client.send(server.post(), SOON, PRIVATE))
        await asyncio.sleep(0.02)
        await first.read(10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await (await client.send(server.post(), SOON, PRIVATE)).read(10) == b"a"
        assert client.open_connections == client.idle_connections == 1
        await client.aclose()


async def test_a_connection_that_dies_while_it_is_handed_over_is_replaced() -> None:
    client = WireUpstream(limits=PoolLimits(connections=1))
    async with serving(replying(plain(b"a"))) as server:
        first = await client.send(server.post(), SOON, PRIVATE)
        connection = first.connection
        assert connection is not None
        waiting = asyncio.ensure_future(client.send(server.post(), SOON, PRIVATE))
        await asyncio.sleep(0.02)
        await first.read(10)
        connection.drop()
        assert await (await waiting).read(10) == b"a"
        assert client.open_connections == 1
        assert [len(peer.requests) for peer in server.peers] == [1, 1]
        await client.aclose()


async def test_a_refused_connection_says_that_nothing_was_sent(client: WireUpstream) -> None:
    async with serving(replying()) as server:
        request = server.post()
    with pytest.raises(ConnectFailed) as caught:
        await client.send(request, SOON, PRIVATE)
    assert not caught.value.request_sent
    assert not caught.value.response_started


async def test_closing_the_client_fails_what_is_under_way() -> None:
    client = WireUpstream()
    async with serving(replying(CHUNKED)) as server:
        stream = await client.send(server.post(), SOON, PRIVATE, stream=True)
        waiting = asyncio.ensure_future(stream.next_chunk())
        await asyncio.sleep(0.01)
        await client.aclose()
        with pytest.raises(ConnectionLost):
            await waiting
        assert await server.peers[0].gone()


async def test_a_closed_client_sends_nothing() -> None:
    client = WireUpstream()
    async with serving(replying(plain(b"a"))) as server:
        await (await client.send(server.post(), SOON, PRIVATE)).read(10)
        dialing = asyncio.ensure_future(client.send(server.post(), SOON, PRIVATE))
        await client.aclose()
        for late in (dialing, client.send(server.post(), SOON, PRIVATE)):
            with pytest.raises(ConnectionLost):
                await late
        assert client.open_connections == 0


async def test_connections_of_a_private_policy_do_not_serve_a_public_one(
    client: WireUpstream,
) -> None:
    async with serving(replying(plain(b"a"))) as server:
        await (await client.send(server.post(), SOON, PRIVATE)).read(10)
        with pytest.raises(AddressRefused):
            await client.send(server.post(), SOON, AddressPolicy())
        assert len(server.requests) == 1
