"""The upstream's side of a realtime conversation: connected to a checked address, or the demo's.

Redirects are not followed and proxies not used: a channel with a proxy serves no conversations.
Called by `realtime`.
"""

import asyncio
import ssl
from functools import cache
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.uri import parse_uri

from relay.forwarding import AttemptFailed
from relay.headers import encoded
from relay.providers.base import (
    Conversation,
    ConversationOver,
    Failure,
    LocalCall,
    transport_failure,
)
from relay.routing import Choice
from relay.upstream import UpstreamError, parse_base_url
from relay.wire.dialing import default_tls, dial
from relay.wire.errors import ConnectionLost, FirstByteTimeout, ProtocolViolation
from relay.wire.messages import Header, render_headers

if TYPE_CHECKING:
    from relay.exchange import Exchange

MAX_EVENT_BYTES = 16 * 1024 * 1024
PING_S = 20.0
CLOSE_S = 1.0
_BETA = b"openai-beta"


async def open_conversation(exchange: "Exchange", choice: Choice) -> Conversation:
    """Return an open conversation with a channel; raises AttemptFailed."""
    offer = choice.offer
    channel = offer.channel
    if channel.provider.local is not None:
        call = LocalCall(offer.endpoint, offer.served, b"", channel.timeouts, stream=True)
        return channel.provider.local.converse(call)
    if channel.proxy_url:
        raise AttemptFailed(Failure("unavailable", "relay_no_channel", status=503))
    try:
        return await _connected(exchange, choice)
    except UpstreamError as error:
        raise AttemptFailed(transport_failure(error)) from None


async def _connected(exchange: "Exchange", choice: Choice) -> "Socket":
    channel = choice.offer.channel
    origin, _ = parse_base_url(channel.base_url)
    channel.policy.check_scheme(origin)
    headers = _headers(exchange, choice)
    path = channel.provider.path(
        channel.base_url, choice.offer.endpoint, choice.offer.served, stream=True
    )
    is_secure = origin.scheme == "https"
    uri = parse_uri(f"{'wss' if is_secure else 'ws'}://{origin.authority}{path}")
    connection = await dial(
        origin,
        lambda: ClientConnection(
            ClientProtocol(uri, max_size=MAX_EVENT_BYTES),
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=CLOSE_S,
        ),
        policy=channel.policy,
        tls=trusted_tls() if is_secure else None,
        timeout_s=channel.timeouts.connect_s,
    )
    try:
        async with asyncio.timeout(channel.timeouts.first_byte_s):
            await connection.handshake(
                [(name.decode(), value.decode("latin-1")) for name, value in headers], None
            )
    except (TimeoutError, InvalidHandshake, OSError, EOFError, ConnectionClosed) as error:
        connection.transport.abort()
        raise _failure(choice, error) from None
    except asyncio.CancelledError:
        connection.transport.abort()
        raise
    connection.start_keepalive()
    return Socket(connection)


def _headers(exchange: "Exchange", choice: Choice) -> list[Header]:
    """Return our headers, and the one in which a client asks for the beta's events."""
    channel = choice.offer.channel
    extra = encoded(channel.extra_headers)
    asked = exchange.call.headers.get(_BETA)
    if asked is not None:
        extra.append((_BETA, asked))
    headers = channel.provider.headers(choice.credential.secret, extra)
    render_headers(headers)
    return headers


def _failure(choice: Choice, error: Exception) -> Exception:
    """Return what it means that a conversation was not opened."""
    if isinstance(error, InvalidStatus):
        response = error.response
        named = [(n.lower().encode(), v.encode("latin-1")) for n, v in response.headers.raw_items()]
        return AttemptFailed(
            choice.offer.channel.provider.classify(
                response.status_code,
                named,
                bytes(response.body or b""),
                credential=choice.credential.secret,
            )
        )
    if isinstance(error, TimeoutError):
        return FirstByteTimeout("no answer to the upgrade", request_sent=True)
    if isinstance(error, InvalidHandshake):
        return ProtocolViolation("the answer is no upgrade", request_sent=True)
    return ConnectionLost("cut before the upgrade", request_sent=True)


@cache
def trusted_tls() -> ssl.SSLContext:
    """Return whom we trust; made once, for making it takes longer than a connection."""
    return default_tls()


class Socket:
    """A WebSocket to a vendor, as a Conversation."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        """Send an event; raises ConversationOver."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise _over(closed) from None

    async def receive(self) -> str:
        """Return the next event; raises ConversationOver."""
        try:
            event = await self._connection.recv(decode=True)
        except ConnectionClosed as closed:
            raise _over(closed) from None
        except UnicodeDecodeError:
            raise ConversationOver(1007) from None
        return str(event)

    async def close(self) -> None:
        """Hang up; takes a second at most."""
        await self._connection.close()


def _over(closed: ConnectionClosed) -> ConversationOver:
    return ConversationOver(closed.rcvd.code if closed.rcvd is not None else 1006)
