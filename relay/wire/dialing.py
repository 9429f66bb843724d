"""Opening a connection to a checked address, with TLS where the origin says so.

For the pool, and for whoever speaks another protocol than HTTP over a connection of its own.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from relay.wire.addresses import AddressPolicy
from relay.wire.errors import ConnectFailed, ConnectTimeout, UpstreamError, translate_connecting
from relay.wire.origin import Origin

P = TypeVar("P", bound=asyncio.Protocol)


def default_tls() -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and speaks HTTP/1.1 over TLS >= 1.2."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(
    origin: Origin,
    make: Callable[[], P],
    *,
    policy: AddressPolicy,
    tls: ssl.SSLContext | None,
    timeout_s: float,
) -> P:
    """Return a connection to the first permitted address that answers, else raise the last error.

    Each address may use its share of the time that is left, so one dead address costs no call.
    """
    loop = asyncio.get_running_loop()
    end_at = loop.time() + timeout_s
    addresses = await policy.resolve(origin.host, origin.port)
    failure: UpstreamError = ConnectFailed("no address")
    for tried, address in enumerate(addresses):
        share_s = (end_at - loop.time()) / (len(addresses) - tried)
        try:
            async with asyncio.timeout(share_s):
                return await _connect(loop, address, origin, make=make, tls=tls)
        except TimeoutError:
            failure = ConnectTimeout(f"no connection within {timeout_s:g} s")
        except OSError as error:
            failure = translate_connecting(error)
    raise failure


async def _connect(
    loop: asyncio.AbstractEventLoop,
    address: str,
    origin: Origin,
    *,
    make: Callable[[], P],
    tls: ssl.SSLContext | None,
) -> P:
    transport, connection = await loop.create_connection(
        make,
        address,
        origin.port,
        flags=socket.AI_NUMERICHOST,
        ssl=tls,
        server_hostname=origin.host if tls is not None else None,
    )
    peer = transport.get_extra_info("socket")
    if peer is not None:
        # Models may think for minutes: keep address translators from forgetting the connection.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if transport.is_closing():
        raise ConnectionAbortedError("closed as soon as it was open")
    return connection
