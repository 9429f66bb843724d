"""The one door from payment providers to their gateways: bounded HTTP calls to public addresses.

Called by the providers of this package. The address of a gateway is typed in by a shop, so a name
is resolved first, and only a checked address is connected to, under the name's own Host and
certificate. The time of a call, its answer's size and its addresses are limited; redirects are not
followed, and no proxy or cookie of the environment plays a part.
"""

import asyncio
import contextlib
import ipaddress
import queue
import socket
import ssl
import time
from collections.abc import Mapping
from functools import lru_cache
from threading import Thread
from urllib.parse import urlencode

import httpx
from django.conf import settings

from billing.errors import PaymentAway

CONNECT_S = 5.0
WHOLE_S = 15.0
ANSWER_BYTES = 256 * 1024

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Beyond what `is_global` knows: anycast relays, and blocks kept for special use.
_REFUSED_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/3"),
    )
)
_ORDINARY_V6 = ipaddress.IPv6Network("2000::/3")
# Inside of it: what embeds or tunnels to another address, or leads nowhere.
_REFUSED_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)


def get(url: str, query: Mapping[str, str]) -> bytes:
    """GET an address with a query; return the body of a 200. Raises PaymentAway."""
    return _ask(httpx.Request("GET", _checked(url).copy_with(query=urlencode(query).encode())))


def post(url: str, form: Mapping[str, str]) -> bytes:
    """POST a form to an address; return the body of a 200. Raises PaymentAway."""
    return _ask(httpx.Request("POST", _checked(url), data=form))


def is_usable(url: str) -> bool:
    """Tell whether a text is the address of a gateway; its host is not looked up."""
    try:
        _checked(url)
    except PaymentAway:
        return False
    return True


def is_public(address: IPAddress) -> bool:
    """Tell whether an address is ordinary public unicast; forms that embed another are not."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not any(address in net for net in _REFUSED_V4)
    if address.scope_id is not None or address not in _ORDINARY_V6:
        return False
    return address.is_global and not any(address in net for net in _REFUSED_V6)


def _checked(url: str) -> httpx.URL:
    """Return an http(s) address that has a host and nothing but a path behind it."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise PaymentAway("The gateway's address is not an address.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or not _is_port(parsed.port):
        raise PaymentAway("The gateway's address is not one of http or https.")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise PaymentAway("The gateway's address has more than a host and a path.")
    return parsed


def _is_port(port: int | None) -> bool:
    return port is None or 0 < port < 65536


def _ask(request: httpx.Request) -> bytes:
    host, ends_at = request.url.raw_host.decode("ascii"), time.monotonic() + WHOLE_S
    address = _address_of(host)
    outgoing = httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers={
            **request.headers,
            "host": request.headers["host"],
            "user-agent": "Tollgate",
            "accept-encoding": "identity",
            "connection": "close",
        },
        content=request.content,
        extensions={
            "sni_hostname": host,
            "timeout": {"connect": CONNECT_S, "read": WHOLE_S, "write": WHOLE_S, "pool": CONNECT_S},
        },
    )
    try:
        return asyncio.run(_exchange(outgoing, within_s=ends_at - time.monotonic()))
    except TimeoutError:
        raise PaymentAway(f"{host} did not answer in time.") from None
    except httpx.HTTPError as error:
        # Its own words may repeat the address, and with it a key.
        raise PaymentAway(f"{host} can't be asked: {type(error).__name__}.") from None


async def _exchange(request: httpx.Request, *, within_s: float) -> bytes:
    """Send and read within what is left of the time, however slowly the bytes come.

    By the transport and not by a client, because a client writes every address into the log.
    """
    async with (
        asyncio.timeout(within_s),
        httpx.AsyncHTTPTransport(
            verify=_tls(), trust_env=False, http1=True, http2=False, retries=0
        ) as transport,
    ):
        answer = await transport.handle_async_request(request)
        try:
            return await _body_of(answer, request.extensions["sni_hostname"])
        finally:
            await answer.aclose()


async def _body_of(answer: httpx.Response, host: str) -> bytes:
    if answer.status_code != 200:
        raise PaymentAway(f"{host} answered with status {answer.status_code}.")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise PaymentAway(f"{host} sent an encoding that was not asked for.")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > ANSWER_BYTES:
            raise PaymentAway(f"{host} answered with too much.")
    return bytes(body)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _address_of(host: str) -> IPAddress:
    """Return the address to connect to: the first permitted one, IPv4 before IPv6."""
    found = sorted(_lookup(host), key=lambda address: address.version)
    for address in found:
        if settings.PAYMENT_PRIVATE_NETWORK or is_public(address):
            return address
    raise PaymentAway(f"{host} has no public address." if found else f"{host} has no address.")


def _lookup(host: str) -> list[IPAddress]:
    """Return the addresses of a host, none if there are none or they are not found in time."""
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_address(host)]
    found: queue.SimpleQueue[list[IPAddress]] = queue.SimpleQueue()
    # The resolver has a patience of its own, which nothing shortens: it is left behind.
    Thread(target=lambda: found.put(_resolve(host)), daemon=True).start()
    try:
        return found.get(timeout=CONNECT_S)
    except queue.Empty:
        return []


def _resolve(host: str) -> list[IPAddress]:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(row[4][0]) for row in rows]
