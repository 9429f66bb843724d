"""A kept-alive connection that turns out dead is replaced once; nothing else is sent twice."""

import pytest

from relay.upstream import Timeouts, WireUpstream
from relay.wire.errors import ConnectionLost, FirstByteTimeout

from .peers import PRIVATE, SOON, Peer, Server, plain, serving


async def fetch(client: WireUpstream, server: Server) -> bytes:
    return await (await client.send(server.post(), SOON, PRIVATE)).read(100)


class DyingServer:
    """Answers once per connection, then ends the second request in the given way."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.connections = 0

    async def __call__(self, peer: Peer) -> None:
        self.connections += 1
        await peer.request()
        if self.way == "always":
            return
        await peer.send(plain(b"%d" % self.connections))
        await peer.request()
        if self.way == "reset":
            peer.reset()
        elif self.way == "after a byte":
            await peer.send(b"H")


@pytest.mark.parametrize("way", ["close", "reset"])
async def test_a_stale_connection_is_replaced(client: WireUpstream, way: str) -> None:
    async with serving(DyingServer(way)) as server:
        assert await fetch(client, server) == b"1"
        assert await fetch(client, server) == b"2"
        assert [len(peer.requests) for peer in server.peers] == [2, 1]


async def test_nothing_is_sent_again_after_the_first_byte(client: WireUpstream) -> None:
    async with serving(DyingServer("after a byte")) as server:
        assert await fetch(client, server) == b"1"
        with pytest.raises(ConnectionLost) as caught:
            await fetch(client, server)
        assert caught.value.response_started
        assert len(server.requests) == 2


async def test_a_fresh_connection_is_not_replaced(client: WireUpstream) -> None:
    async with serving(DyingServer("always")) as server:
        with pytest.raises(ConnectionLost) as caught:
            await fetch(client, server)
        assert caught.value.request_sent
        assert not caught.value.response_started
        assert len(server.requests) == 1


async def test_the_replacement_is_not_replaced(client: WireUpstream) -> None:
    behaviour = DyingServer("close")
    async with serving(behaviour) as server:
        assert await fetch(client, server) == b"1"
        behaviour.way = "always"
        with pytest.raises(ConnectionLost):
            await fetch(client, server)
        assert len(server.requests) == 3


async def test_a_time_out_on_a_reused_connection_sends_nothing_again(
    client: WireUpstream,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"a"))
        while await peer.request():
            pass

    async with serving(script) as server:
        await fetch(client, server)
        with pytest.raises(FirstByteTimeout):
            await client.send(server.post(), Timeouts(first_byte_s=0.1), PRIVATE)
        assert len(server.requests) == 2


async def test_a_connection_closed_while_idle_is_not_used(client: WireUpstream) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"a"), pause_s=0.01)

    async with serving(script) as server:
        for _ in range(3):
            assert await fetch(client, server) == b"a"
            assert await server.peers[-1].gone()
        assert [len(peer.requests) for peer in server.peers] == [1, 1, 1]
