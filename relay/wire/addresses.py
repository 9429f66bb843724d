"""Which addresses the relay may talk to: the guard against requests into private networks.

Names are resolved once, every answer is checked, and only a checked address is connected to, so a
name that changes its answer between check and use gains nothing.
"""

import asyncio
import ipaddress
import socket
from typing import NamedTuple

from billing.addresses import IPAddress, is_public
from relay.wire.errors import AddressRefused, ConnectFailed
from relay.wire.origin import Origin

MAX_ADDRESSES = 8


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
