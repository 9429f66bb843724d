"""The one face of upstream HTTP for the relay: our own client, or httpx for outbound proxies.

`WireUpstream` is the hot path. `HttpxUpstream` serves cold paths and channels behind a proxy: same
requests, same response face, same errors, same address policy. Nothing else in the relay opens a
connection to an upstream.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Protocol

import httpx

from relay.wire.addresses import AddressPolicy
from relay.wire.client import WireClient
from relay.wire.encoding import BodyDecoder, decoder_for
from relay.wire.errors import (
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    InvalidRequest,
    PoolFull,
    ProtocolViolation,
    TlsFailed,
    TotalTimeout,
    UpstreamError,
    WriteTimeout,
)
from relay.wire.messages import (
    Header,
    HeadTemplate,
    Timeouts,
    UpstreamRequest,
    UpstreamResponse,
    render_prefix,
)
from relay.wire.origin import Origin, parse_base_url
from relay.wire.whole import read_whole

__all__ = [
    "AddressPolicy",
    "HeadTemplate",
    "HttpxUpstream",
    "Origin",
    "Timeouts",
    "Upstream",
    "UpstreamError",
    "UpstreamRequest",
    "UpstreamResponse",
    "WireUpstream",
    "parse_base_url",
]

WireUpstream = WireClient


class Upstream(Protocol):
    """Sends requests to upstreams; see `WireClient.send` for the meaning of `stream`."""

    async def send(
        self,
        request: UpstreamRequest,
        timeouts: Timeouts,
        policy: AddressPolicy,
        *,
        stream: bool = False,
    ) -> UpstreamResponse: ...

    async def aclose(self) -> None: ...


class HttpxUpstream:
    """Upstream calls through httpx, with or without an outbound proxy.

    Without a proxy the connection goes to the checked address. Through a proxy the proxy resolves
    the name, because an operator who needs one can't trust local answers; hosts that are private
    by name or by local resolution are refused all the same.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        connections: int = 100,
    ) -> None:
        self._proxied = proxy is not None
        self._closing: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(
            verify=tls if tls is not None else ssl.create_default_context(),
            proxy=proxy,
            trust_env=False,
            follow_redirects=False,
            http1=True,
            http2=False,
            limits=httpx.Limits(
                max_connections=connections,
                # httpx files direct connections under the checked address, not under the name
                # whose certificate they have shown: one name's must never serve another's calls.
                max_keepalive_connections=20 if self._proxied else 0,
                keepalive_expiry=50.0,
            ),
        )

    async def send(
        self,
        request: UpstreamRequest,
        timeouts: Timeouts,
        policy: AddressPolicy,
        *,
        stream: bool = False,
    ) -> "HttpxResponse":
        """Send a request; raises the leaves of UpstreamError."""
        total_at = asyncio.get_running_loop().time() + timeouts.total_s
        outgoing = self._outgoing(request, timeouts, await self._address(request, timeouts, policy))
        try:
            async with asyncio.timeout_at(total_at):
                answer = await self._client.send(outgoing, stream=True)
        except TimeoutError:
            raise TotalTimeout("the upstream is overdue", request_sent=True) from None
        except httpx.HTTPError as error:
            raise translate_httpx(error, reading=False) from None
        # httpx looks at this again for the body, whose idleness HttpxResponse measures itself.
        outgoing.extensions["timeout"]["read"] = None
        try:
            return HttpxResponse(
                answer, timeouts=timeouts, total_at=total_at, closing=self._closing
            )
        except UpstreamError as error:
            error.request_sent = error.response_started = True
            await answer.aclose()
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        await asyncio.gather(*self._closing)
        await self._client.aclose()

    async def _address(
        self, request: UpstreamRequest, timeouts: Timeouts, policy: AddressPolicy
    ) -> str | None:
        """Return the checked address to connect to, None to leave it to the proxy."""
        policy.check_scheme(request.origin)
        try:
            async with asyncio.timeout(timeouts.connect_s):
                found = await policy.resolve(request.origin.host, request.origin.port)
        except TimeoutError:
            raise ConnectTimeout("the host name was not resolved in time") from None
        except ConnectFailed:
            if self._proxied:
                return None
            raise
        return None if self._proxied else found[0]

    def _outgoing(
        self, request: UpstreamRequest, timeouts: Timeouts, address: str | None
    ) -> httpx.Request:
        origin = request.origin
        if not request.head:
            render_prefix(request.method, origin, request.path, request.headers)
        headers = [(b"host", origin.authority.encode("ascii")), *request.headers]
        if not any(name.lower() == b"accept-encoding" for name, _ in request.headers):
            headers.append((b"accept-encoding", b"identity"))
        return httpx.Request(
            request.method,
            httpx.URL(
                scheme=origin.scheme,
                host=address or origin.host,
                port=origin.port,
                raw_path=request.path,
            ),
            headers=headers,
            content=request.body or None,
            extensions={
                "sni_hostname": origin.host,
                "timeout": {
                    "connect": timeouts.connect_s,
                    "write": timeouts.write_s,
                    "read": timeouts.first_byte_s,
                    "pool": timeouts.connect_s,
                },
            },
        )


class HttpxResponse:
    """An UpstreamResponse that httpx fetched."""

    def __init__(
        self,
        answer: httpx.Response,
        *,
        timeouts: Timeouts,
        total_at: float,
        closing: set[asyncio.Task[None]],
    ) -> None:
        self.status = answer.status_code
        self.headers: list[Header] = [(name.lower(), value) for name, value in answer.headers.raw]
        self.complete = False
        self._answer = answer
        self._idle_s = timeouts.idle_s
        self._total_at = total_at
        self._decoder = self._bounded_decoder()
        self._pieces: AsyncIterator[bytes] = answer.aiter_raw()
        self._error: UpstreamError | None = None
        self._closing = closing
        self._closed = False

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of this lower-case name."""
        return next((value for found, value in self.headers if found == name), None)

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body; raises BodyTooLarge beyond the limit."""
        return await read_whole(self, limit_bytes)

    async def next_chunk(self) -> bytes:
        """Return the next piece, b"" at the proper end; raises like `Exchange.next_chunk`."""
        try:
            return await self._next_plain()
        except UpstreamError as error:
            error.request_sent = error.response_started = True
            self.close()
            raise
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Give the answer up. Idempotent."""
        if self._closed or self.complete:
            return
        self._closed = True
        self._error = self._error or ConnectionLost("given up by us")
        task = asyncio.ensure_future(self._shut())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _shut(self) -> None:
        with contextlib.suppress(httpx.HTTPError):
            await self._answer.aclose()

    def _bounded_decoder(self) -> BodyDecoder | None:
        if self._answer.request.method == "HEAD":
            return None
        decoder = decoder_for(self.header(b"content-encoding") or b"")
        if decoder is not None:
            dropped = (b"content-encoding", b"content-length")
            self.headers = [header for header in self.headers if header[0] not in dropped]
        return decoder

    async def _next_plain(self) -> bytes:
        decoder = self._decoder
        if decoder is None:
            return await self._next_raw()
        while not (plain := decoder.take()):
            raw = await self._next_raw()
            if not raw:
                decoder.finish()
                return b""
            decoder.feed(raw)
        return plain

    async def _next_raw(self) -> bytes:
        if self._error is not None:
            raise self._error
        if self.complete:
            return b""
        try:
            async with asyncio.timeout_at(self._total_at), asyncio.timeout(self._idle_s):
                async for piece in self._pieces:
                    if piece:
                        return piece
        except TimeoutError:
            late = asyncio.get_running_loop().time() >= self._total_at
            self._error = (TotalTimeout if late else IdleTimeout)("the upstream is overdue")
            raise self._error from None
        except httpx.HTTPError as error:
            self._error = translate_httpx(error, reading=True)
            raise self._error from None
        self.complete = True
        return b""


def translate_httpx(error: httpx.HTTPError, *, reading: bool) -> UpstreamError:
    """Return ours for an exception of httpx."""
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, httpx.PoolTimeout):
        return PoolFull(detail)
    if isinstance(error, httpx.ConnectTimeout):
        return ConnectTimeout(detail)
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        is_tls = "CERTIFICATE" in detail or "SSL" in detail
        return (TlsFailed if is_tls else ConnectFailed)(detail)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return InvalidRequest(detail)
    if isinstance(error, httpx.WriteTimeout):
        return WriteTimeout(detail, request_sent=True)
    if isinstance(error, httpx.RemoteProtocolError) and not _is_cut(detail):
        return ProtocolViolation(detail, request_sent=True, response_started=True)
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return ConnectionLost(detail, request_sent=True, response_started=reading)
    if isinstance(error, httpx.TimeoutException):
        late = IdleTimeout if reading else FirstByteTimeout
        return late(detail, request_sent=True, response_started=reading)
    return ProtocolViolation(detail, request_sent=True, response_started=reading)


def _is_cut(detail: str) -> bool:
    return "disconnected" in detail or "closed connection" in detail
