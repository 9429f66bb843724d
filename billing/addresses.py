"""Network addresses: which one a request comes from, and what is remembered of it.

Free of Django and of HTTP. Called by the relay for calls and by the portal for pages, so that both
believe the same proxies.
"""

import ipaddress
from collections.abc import Sequence
from hashlib import blake2b

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_SITE_BITS = 64


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
