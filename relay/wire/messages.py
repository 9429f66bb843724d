"""Requests, time-outs and the face of a response: what callers of an upstream put in and get out.

Everything that ends up in a request head is validated here, once, so that no caller can inject a
header or smuggle a second request.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from relay.wire.errors import InvalidRequest
from relay.wire.origin import Origin

Header = tuple[bytes, bytes]

MAX_REQUEST_HEADERS = 100

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_METHOD = re.compile(r"[A-Z]{1,20}")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]{0,16384}")
_PATH = re.compile(rb"/[\x21\x22\x24-\x7e]{0,16384}")
_OURS = frozenset(
    b"connection content-length expect host keep-alive proxy-authenticate proxy-authorization"
    b" proxy-connection te trailer transfer-encoding upgrade".split()
)
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds each phase may take; `connect_s` includes waiting for a free connection."""

    connect_s: float = 10.0
    write_s: float = 30.0
    first_byte_s: float = 120.0
    idle_s: float = 120.0
    total_s: float = 900.0


@dataclass(slots=True)
class UpstreamRequest:
    """One request. Path with query; no Host, Content-Length or hop-by-hop header (we add ours).

    `head` is filled by a HeadTemplate; a request made by hand is validated when it is sent.
    """

    method: str
    origin: Origin
    path: bytes
    headers: list[Header]
    body: bytes = b""
    head: bytes = b""


class HeadTemplate:
    """The constant part of a request head, validated and rendered once per channel and path."""

    __slots__ = ("headers", "method", "origin", "path", "prefix")

    def __init__(
        self, *, method: str, origin: Origin, path: bytes, headers: Sequence[Header]
    ) -> None:
        self.method = method
        self.origin = origin
        self.path = path
        self.headers = list(headers)
        self.prefix = render_prefix(method, origin, path, self.headers)

    def request(self, body: bytes, *, headers: Sequence[Header] = ()) -> UpstreamRequest:
        """Return a request with this body; `headers` come in addition and are validated."""
        if not headers:
            return UpstreamRequest(
                self.method, self.origin, self.path, self.headers, body, self.prefix
            )
        merged = [*self.headers, *headers]
        head = self.prefix + render_headers(headers)
        return UpstreamRequest(self.method, self.origin, self.path, merged, body, head)


class UpstreamResponse(Protocol):
    """An answer whose head has arrived; the body is read once, by one reader."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> list[Header]: ...

    @property
    def complete(self) -> bool: ...

    def header(self, name: bytes) -> bytes | None: ...

    async def read(self, limit_bytes: int) -> bytes: ...

    async def next_chunk(self) -> bytes: ...

    def close(self) -> None: ...


def render_prefix(method: str, origin: Origin, path: bytes, headers: Sequence[Header]) -> bytes:
    """Return request line, Host and headers; raises InvalidRequest for anything unsafe."""
    if not _METHOD.fullmatch(method):
        raise InvalidRequest("the method is not a method")
    if not _PATH.fullmatch(path):
        raise InvalidRequest("the path must begin with / and hold no white space or controls")
    if len(headers) > MAX_REQUEST_HEADERS:
        raise InvalidRequest("too many request headers")
    host = origin.authority.encode("ascii")
    head = b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (method.encode("ascii"), path, host)
    head += render_headers(headers)
    if not any(name.lower() == b"accept-encoding" for name, _ in headers):
        head += b"accept-encoding: identity\r\n"
    return head


def render_headers(headers: Sequence[Header]) -> bytes:
    """Return header lines; raises InvalidRequest for names we own and for control characters."""
    lines = []
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
            raise InvalidRequest(f"header name not allowed: {name[:40]!r}")
        if not _VALUE.fullmatch(value):
            raise InvalidRequest(f"the value of header {name[:40]!r} is not allowed")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)


def render_head(request: UpstreamRequest) -> bytes:
    """Return the whole head of a request, up to and with the empty line."""
    head = request.head or render_prefix(
        request.method, request.origin, request.path, request.headers
    )
    if request.body or request.method not in _BODILESS:
        return b"%bcontent-length: %d\r\n\r\n" % (head, len(request.body))
    return head + b"\r\n"
