"""Which addresses the relay may talk to: the guard against requests into private networks.

Names are resolved once, every answer is checked, and only a checked address is connected to, so a
name that changes its answer between check and use gains nothing.
"""

import asyncio
import ipaddress
import socket
from typing import NamedTuple

from relay.wire.errors import AddressRefused, ConnectFailed
from relay.wire.origin import Origin

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_ADDRESSES = 8

# Beyond what `is_global` knows: anycast relays and blocks kept for special use.
_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(net)
    for net in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "224.0.0.0/3",
    )
)
# Prefixes inside the global unicast block that embed or tunnel to another address, or lead nowhere.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(net)
    for net in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


class AddressPolicy(NamedTuple):
    """May this call use plain http and non-public addresses? Only an operator can allow it."""

    allow_private: bool = False

    def check_scheme(self, origin: Origin) -> None:
        """Raise AddressRefused for plain http unless private networks are allowed."""
        if origin.scheme != "https" and not self.allow_private:
            raise AddressRefused("plain http is only for allowed private networks")

    def permits(self, address: IPAddress) -> bool:
        """Say whether we may connect to this address."""
        return self.allow_private or is_public(address)

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return permitted numeric addresses, families alternating; at least one.

        Raises AddressRefused if none is permitted, ConnectFailed if the name has no address.
        """
        found = await lookup(host, port)
        permitted = [address for address in found if self.permits(address)]
        if not permitted:
            raise AddressRefused("the host's address is not public")
        return [str(address) for address in _alternating(permitted)][:MAX_ADDRESSES]


def is_public(address: IPAddress) -> bool:
    """Say whether an address is ordinary public unicast; embedded IPv4 forms are not."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in net for net in _REFUSED_V4)
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return False
    return address.is_global and not any(address in net for net in _REFUSED_V6)


async def lookup(host: str, port: int) -> list[IPAddress]:
    """Return every address of a host; numeric hosts need no look-up."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectFailed(f"the host name has no address: {error}") from None
    return list(dict.fromkeys(ipaddress.ip_address(row[4][0]) for row in rows))


def _alternating(addresses: list[IPAddress]) -> list[IPAddress]:
    """IPv4 first, then in turns, so that one broken family costs one failed try."""
    v4: list[IPAddress] = [address for address in addresses if address.version == 4]
    v6: list[IPAddress] = [address for address in addresses if address.version == 6]
    mixed: list[IPAddress] = []
    while v4 or v6:
        mixed += v4[:1] + v6[:1]
        v4, v6 = v4[1:], v6[1:]
    return mixed
