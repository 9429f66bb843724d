"""Network addresses: where a request comes from, what is remembered of it, which are public.

Free of Django and of HTTP. Called by the relay for calls and by the portal for pages, so that both
believe the same proxies; and by all that call a host which somebody has typed in.
"""

import ipaddress
from collections.abc import Sequence
from hashlib import blake2b

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_SITE_BITS = 64

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


def client_address(peer: str, *, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the address a request comes from, "" when the server does not know it.

    `forwarded` is the value of X-Forwarded-For. It is read from its end, and only as far as the
    hops are trusted proxies: what stands before them may be anybody's invention.
    """
    address = peer
    if not trusted:
        return address
    for hop in reversed(forwarded.split(",")):
        if not is_in(address, trusted) or not hop.strip():
            break
        address = hop.strip()
    return address


def is_in(address: str, networks: Sequence[Network]) -> bool:
    """Tell whether an address lies in one of the networks; what is no address lies in none."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def network_of(address: str) -> str:
    """Return what one subscriber has: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _IPV6_SITE_BITS), strict=False))
    return str(parsed) if parsed is not None else address


def address_hash(address: str, *, salt: bytes) -> int:
    """Return a keyed hash that fits a signed 64-bit column."""
    digest = blake2b(address.encode(), key=salt, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def is_public(address: IPAddress) -> bool:
    """Say whether an address is ordinary public unicast; embedded IPv4 forms are not."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in net for net in _REFUSED_V4)
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return False
    return address.is_global and not any(address in net for net in _REFUSED_V6)
