"""The one door from payment providers to their gateways: bounded HTTP calls to public addresses.

Called by the providers of this package. The address of a gateway is typed in by a shop, so a name
is resolved first, and only a checked address is connected to, under the name's own Host and
certificate; `exchange` limits the time of a call and its answer's size.
"""

import contextlib
import ipaddress
import queue
import socket
import time
from collections.abc import Mapping
from threading import Thread
from urllib.parse import urlencode

import httpx
from django.conf import settings

from billing.addresses import IPAddress, is_public
from billing.errors import PaymentAway
from billing.payments.exchange import CONNECT_S, WHOLE_S, exchange


def get(url: str, query: Mapping[str, str]) -> bytes:
    """GET an address with a query; return the body of a 200. Raises PaymentAway."""
    return _ask(httpx.Request("GET", _checked(url).copy_with(query=urlencode(query).encode())))


def post(url: str, form: Mapping[str, str], *, query: Mapping[str, str] | None = None) -> bytes:
    """POST a form to an address with a query; return the body of a 200. Raises PaymentAway."""
    address = _checked(url)
    if query:
        address = address.copy_with(query=urlencode(query).encode())
    return _ask(httpx.Request("POST", address, data=form))


def is_usable(url: str) -> bool:
    """Tell whether a text is the address of a gateway; its host is not looked up."""
    try:
        _checked(url)
    except PaymentAway:
        return False
    return True


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
    outgoing = httpx.Request(
        request.method,
        request.url.copy_with(host=str(_address_of(host))),
        headers={**request.headers, "host": request.headers["host"], "user-agent": "Tollgate"},
        content=request.content,
        extensions={"sni_hostname": host},
    )
    try:
        answer = exchange(outgoing, ends_at=ends_at)
    except TimeoutError:
        raise PaymentAway(f"{host} did not answer in time.") from None
    except httpx.HTTPError as error:
        # Its own words may repeat the address, and with it a key.
        raise PaymentAway(f"{host} can't be asked: {type(error).__name__}.") from None
    if answer.status != 200:
        raise PaymentAway(f"{host} answered with status {answer.status}.")
    return answer.body


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
