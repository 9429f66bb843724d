"""What can go wrong with an upstream; raised by `relay/wire` and `relay/upstream.py` only.

    UpstreamError
    +-- InvalidRequest        our own mistake: unusable URL, header or path (also a ValueError)
    +-- AddressRefused        the address policy forbids this target
    +-- ConnectFailed         nobody answered: DNS, refused, unreachable
    |   +-- TlsFailed         no handshake, or a certificate we don't trust
    |   +-- PoolFull          too many connections, and too many waiting for one
    +-- UpstreamTimeout
    |   +-- ConnectTimeout    includes the wait for a free connection
    |   +-- WriteTimeout      the upstream doesn't take our request
    |   +-- FirstByteTimeout  no complete response head in time
    |   +-- IdleTimeout       silence between two pieces of the body
    |   +-- TotalTimeout      the whole exchange took too long
    +-- ConnectionLost        cut before the response was complete
    +-- ProtocolViolation     not HTTP/1.1 as we accept it
    +-- BodyTooLarge          more bytes than the reader allows, or a decompression bomb

The retry loop reads two flags instead of guessing from classes: `request_sent` (a byte of the
request may have reached the upstream) and `response_started` (a byte of its answer reached us).
"""

import ssl

import httptools


class UpstreamError(Exception):
    """An upstream call failed; `str()` is for our logs, never for clients."""

    def __init__(
        self, detail: str = "", *, request_sent: bool = False, response_started: bool = False
    ) -> None:
        super().__init__(detail)
        self.request_sent = request_sent
        self.response_started = response_started


class InvalidRequest(UpstreamError, ValueError):
    """The request can't be expressed safely: bad URL, header, path or method."""


class AddressRefused(UpstreamError):
    """The target's scheme or address is not permitted by the policy."""


class ConnectFailed(UpstreamError):
    """No connection could be made; nothing was sent."""


class TlsFailed(ConnectFailed):
    """The handshake failed or the certificate is not trusted."""


class PoolFull(ConnectFailed):
    """Every connection of this origin is busy and the queue for one is full."""


class UpstreamTimeout(UpstreamError):
    """A phase of the exchange took too long."""


class ConnectTimeout(UpstreamTimeout):
    """No usable connection in time; nothing was sent."""


class WriteTimeout(UpstreamTimeout):
    """The upstream stopped taking our request body."""


class FirstByteTimeout(UpstreamTimeout):
    """The response head did not arrive in time."""


class IdleTimeout(UpstreamTimeout):
    """Nothing arrived for too long in mid-body."""


class TotalTimeout(UpstreamTimeout):
    """The exchange as a whole took too long."""


class ConnectionLost(UpstreamError):
    """The connection ended before the response was complete."""


class ProtocolViolation(UpstreamError):
    """The upstream's bytes are not a response we accept."""


class BodyTooLarge(UpstreamError):
    """The body exceeds the reader's limit or inflates beyond reason."""


def translate(error: BaseException) -> UpstreamError:
    """Return ours for an exception of the standard library or of httptools."""
    if isinstance(error, UpstreamError):
        return error
    if isinstance(error, httptools.HttpParserCallbackError) and error.__context__ is not None:
        return translate(error.__context__)
    if isinstance(error, httptools.HttpParserError):
        return ProtocolViolation(str(error))
    if isinstance(error, ssl.SSLError | ssl.CertificateError):
        return TlsFailed(str(error))
    if isinstance(error, TimeoutError):
        return ConnectTimeout(str(error) or "timed out")
    if isinstance(error, OSError):
        return ConnectionLost(str(error))
    # A fault of ours; its text could quote what somebody wrote, its class can't.
    return ProtocolViolation(type(error).__name__)


def translate_connecting(error: OSError) -> UpstreamError:
    """Return ours for what happened before there was a connection."""
    ours = translate(error)
    if isinstance(ours, ConnectionLost):
        return ConnectFailed(str(error))
    return ours
