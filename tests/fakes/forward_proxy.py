"""A forward proxy on loopback, for channels that reach their vendor through one.

It speaks plain HTTP: absolute addresses, and `CONNECT` tunnels for whatever is inside. In a test:
`with ForwardProxy() as proxy:`; `proxy.asked` has the first line of each connection.
"""

import asyncio
import threading
from typing import Self
from urllib.parse import urlsplit


class ForwardProxy:
    """The server, in a thread with a loop of its own; `authorization` is asked for if given."""

    def __init__(self, *, authorization: str = "") -> None:
        self.asked: list[str] = []
        self._authorization = authorization
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="forward-proxy", daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the proxy did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request, and tie the client to where it leads."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, _, headers = head.partition("\r\n")
            self.asked.append(first)
            wanted = f"proxy-authorization: {self._authorization}"
            if self._authorization and wanted.lower() not in headers.lower():
                writer.write(b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n")
                return
            method, target, _ = first.split(" ", 2)
            address = urlsplit(f"//{target}" if method == "CONNECT" else target)
            there = await asyncio.open_connection(address.hostname, address.port)
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = address.path + (f"?{address.query}" if address.query else "")
                there[1].write(f"{method} {path} HTTP/1.1\r\n{headers}".encode("latin-1"))
            await asyncio.gather(_pipe(reader, there[1]), _pipe(there[0], writer))
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass everything on until one side ends."""
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
