"""Private networks are out of reach, however their address is written."""

import asyncio
import socket
from typing import Any

import pytest

from relay.upstream import (
    AddressPolicy,
    HeadTemplate,
    HttpxUpstream,
    Origin,
    Upstream,
    WireUpstream,
    parse_base_url,
)
from relay.wire.errors import AddressRefused, ConnectFailed, InvalidRequest, UpstreamError

from .peers import PRIVATE, SOON, Peer, plain, replying, serving

PUBLIC_ONLY = AddressPolicy()

# Every way to write loopback, a private network, the cloud's metadata service or nonsense.
_SPELLINGS = r"""
127.0.0.1 127.0.0.2 127.1 127.0.1 127.255.255.254 0.0.0.0 0 0.1 0x0 00
0177.0.0.1 0177.1 017700000001 0x7f.0.0.1 0x7f.1 0x7f000001 0X7F000001 2130706433 02130706433
127.0.0.1. 127.000.000.001 0127.0.0.1 00177.0.0.1 0x7f.0x0.0x0.0x1 127.0.0.0x1 4294967295
localhost LOCALHOST localhost. LocalHost localhost.localdomain ip6-localhost
10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254 192.168.0.1 192.168.1.254 100.64.0.1
100.127.255.254 169.254.169.254 169.254.0.1 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 198.18.0.1
198.19.255.254 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
0xa9fea9fe 2852039166 0251.0376.0251.0376 0xc0a80101 3232235777 10.1 192.168.257
[::1] [::] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [::127.0.0.1]
[::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:10.0.0.1] [::ffff:8.8.8.8] [0:0:0:0:0:ffff:127.0.0.1]
[::ffff:0:127.0.0.1] [::ffff:169.254.169.254] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1]
[64:ff9b::8.8.8.8] [64:ff9b:1::1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:1::1]
[2002:a9fe:a9fe::] [2002:808:808::] [2001::1] [2001:0:7f00:1::] [2001:db8::1] [2001:10::1]
[2001:20::1] [3fff::1] [fc00::1] [fd00::1] [fd00:ec2::254] [fe80::1] [fe80::1%lo] [fe80::1%25lo]
[febf::1] [fec0::1] [ff02::1] [ff0e::1] [100::1] [5f00::1] [4000::1] [::2] [::ffff:0:0]
127.0.0.1%00.example.com 127.0.0.1@127.0.0.1 a@127.0.0.1 127.0.0.1#@example.com
127.0.0.1?example.com \127.0.0.1 127.0.0.1\.example.com 127.0.0.1/.example.com
１２７.０.０.１ 127。0。0。1 ①②⑦.0.0.1 ⓛocalhost [::１] [127.0.0.1] [::1 ::1
"""
HOSTS = [host for line in _SPELLINGS.splitlines() for host in line.split()]


def target(url: str) -> Any:
    """Return a request to a URL; may raise InvalidRequest."""
    origin, path = parse_base_url(url)
    return HeadTemplate(
        method="POST", origin=origin, path=path + b"/chat", headers=[(b"authorization", b"x")]
    ).request(b"{}")


class Canary:
    """Loopback listeners of both families on one port; counts who comes."""

    def __init__(self) -> None:
        self.hits = 0
        self.port = 0
        self.listeners: list[asyncio.Server] = []

    async def open(self) -> None:
        first = await asyncio.start_server(self._hit, "127.0.0.1", 0)
        self.port = first.sockets[0].getsockname()[1]
        self.listeners.append(first)
        if socket.has_ipv6:
            try:
                self.listeners.append(await asyncio.start_server(self._hit, "::1", self.port))
            except OSError:
                return

    def _hit(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        writer.close()

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()


@pytest.mark.parametrize("kind", ["wire", "httpx"])
async def test_no_spelling_of_a_private_address_reaches_it(kind: str) -> None:
    canary = Canary()
    await canary.open()
    upstream: Upstream = WireUpstream() if kind == "wire" else HttpxUpstream()
    accepted = []
    for host in HOSTS:
        for scheme in ("https", "http"):
            url = f"{scheme}://{host}:{canary.port}/v1"
            try:
                await upstream.send(target(url), SOON, PUBLIC_ONLY)
            except (InvalidRequest, AddressRefused, ConnectFailed):
                continue
            accepted.append(url)
    await upstream.aclose()
    await asyncio.sleep(0.05)
    canary.close()
    assert accepted == []
    assert canary.hits == 0


@pytest.mark.parametrize("host", ["0x7f000001", "2130706433", "127.1", "0177.0.0.1", "localhost"])
async def test_what_the_resolver_makes_of_a_host_is_checked(
    client: WireUpstream, host: str
) -> None:
    request = target("https://api.example.com/v1")
    request.origin = Origin("https", host, 443)
    with pytest.raises(AddressRefused):
        await client.send(request, SOON, PUBLIC_ONLY)


async def test_the_canary_sings_when_private_networks_are_allowed(client: WireUpstream) -> None:
    canary = Canary()
    await canary.open()
    with pytest.raises(UpstreamError):
        await client.send(target(f"http://127.0.0.1:{canary.port}"), SOON, PRIVATE)
    await asyncio.sleep(0.02)
    canary.close()
    assert canary.hits == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_host_is_refused_for_its_address_not_its_name(
    client: WireUpstream, host: str
) -> None:
    with pytest.raises(AddressRefused):
        await client.send(target(f"https://{host}:1/v1"), SOON, PUBLIC_ONLY)


async def test_plain_http_is_refused_without_any_look_up(client: WireUpstream) -> None:
    with pytest.raises(AddressRefused):
        await client.send(target("http://api.example.com/v1"), SOON, PUBLIC_ONLY)


@pytest.mark.asyncio(loop_factories=["asyncio"])  # uvloop's look-up can't be replaced
async def test_a_name_that_changes_its_answer_gains_nothing(
    client: WireUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is what is checked and what is connected to; there is no second look-up."""
    loop = asyncio.get_running_loop()
    asked = []

    async with serving(replying(plain(b"a"))) as server:
        port = server.origin.port

        async def rebinding(host: str, port: int, **_: Any) -> Any:
            asked.append(host)
            address = "127.0.0.1" if len(asked) == 1 else "127.0.0.9"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(loop, "getaddrinfo", rebinding)
        response = await client.send(target(f"http://changing.example:{port}"), SOON, PRIVATE)
        assert await response.read(10) == b"a"
        assert asked == ["changing.example"]


async def test_a_redirect_is_an_answer_like_any_other(client: WireUpstream) -> None:
    canary = Canary()
    await canary.open()
    location = b"location: http://127.0.0.1:%d/\r\n" % canary.port
    async with serving(replying(plain(b"", status=b"302 Found", extra=location))) as server:
        httpx_client = HttpxUpstream()
        for upstream in (client, httpx_client):
            response = await upstream.send(server.post(), SOON, PRIVATE)
            assert (response.status, await response.read(10)) == (302, b"")
        await httpx_client.aclose()
    canary.close()
    assert canary.hits == 0


async def test_a_dead_first_address_costs_no_call(
    client: WireUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def two_answers(self: AddressPolicy, host: str, port: int) -> list[str]:
        return ["127.0.0.77", "127.0.0.1"]

    monkeypatch.setattr(AddressPolicy, "resolve", two_answers)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"a"))

    async with serving(script) as server:
        assert await (await client.send(server.post(), SOON, PRIVATE)).read(10) == b"a"
