"""Scripted HTTP servers on loopback: a test says what goes over the wire, byte by byte."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from relay.upstream import (
    AddressPolicy,
    HeadTemplate,
    Origin,
    Timeouts,
    UpstreamRequest,
    parse_base_url,
)

PRIVATE = AddressPolicy(allow_private=True)
SOON = Timeouts(connect_s=5, write_s=5, first_byte_s=5, idle_s=5, total_s=10)


@dataclass
class Request:
    """What a server has read."""

    head: bytes
    body: bytes


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.requests: list[Request] = []
        self.ended = asyncio.Event()
        self.sent_bytes = 0

    async def request(self) -> Request | None:
        """Return the next request, None when the client has gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            request = Request(head, await self.reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self.requests.append(request)
        return request

    async def send(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Write pieces, each in a segment of its own if there is a pause."""
        for piece in pieces:
            if self.writer.is_closing():
                raise ConnectionResetError("the client has gone")
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause_s)

    async def gone(self, *, within_s: float = 1.0) -> bool:
        """Say whether the client has closed within this time; the script must be reading."""
        try:
            await asyncio.wait_for(self.ended.wait(), within_s)
        except TimeoutError:
            return False
        return True

    def reset(self) -> None:
        """Close with a reset instead of a proper end."""
        peer = self.writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class Server:
    """A running scripted server."""

    origin: Origin
    peers: list[Peer] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    @property
    def requests(self) -> list[Request]:
        return [request for peer in self.peers for request in peer.requests]

    def post(self, body: bytes = b"{}", *, path: bytes = b"/v1/x") -> UpstreamRequest:
        return HeadTemplate(method="POST", origin=self.origin, path=path, headers=[]).request(body)

    def ask(self, method: str, path: bytes = b"/v1/x") -> UpstreamRequest:
        return UpstreamRequest(method, self.origin, path, [])


@contextlib.asynccontextmanager
async def serving(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run `script` for every connection; a fault in it fails the test."""
    running: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        server.peers.append(peer)
        try:
            await script(peer)
        except ConnectionError:
            pass
        except Exception as error:  # shown by the test that owns the script
            server.faults.append(error)
        finally:
            peer.ended.set()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def spawn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(accept(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    listener = await asyncio.start_server(spawn, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    origin, _ = parse_base_url(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
    server = Server(origin)
    try:
        yield server
    finally:
        listener.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert server.faults == []


def replying(*pieces: bytes, close: bool = False, pause_s: float = 0.0) -> Script:
    """Return a script that answers every request with these pieces."""

    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.send(*pieces, pause_s=pause_s)
            if close:
                return

    return script


def plain(body: bytes, *, status: bytes = b"200 OK", extra: bytes = b"") -> bytes:
    """Return a whole response with a content length."""
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, extra, len(body), body)


def chunk(body: bytes) -> bytes:
    """Return one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(body), body)


CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
