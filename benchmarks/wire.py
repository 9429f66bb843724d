"""CPU time per upstream call: our client beside httpx, in interleaved rounds, in about 15 s.

Run `python -m benchmarks.wire [--seconds 15]`. The server is a process of its own on loopback and
answers 1 KB without looking at the request, so what is measured is the client and its system calls.
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from relay.upstream import (
    AddressPolicy,
    HeadTemplate,
    HttpxUpstream,
    Origin,
    Timeouts,
    Upstream,
    WireUpstream,
)

IN_FLIGHT = 32
STREAM_CHUNKS = 50
BODY = b'{"model":"m","messages":[{"role":"user","content":"' + b"a" * 900 + b'"}]}'
ANSWER = b'{"choices":[{"message":{"content":"' + b"a" * 950 + b'"}}],"usage":{}}'
HEAD = b"HTTP/1.1 200 OK\r\ndate: x\r\nserver: x\r\ncontent-type: application/json\r\n"
WHOLE = HEAD + b"x-request-id: x\r\nx-a: 1\r\nx-b: 2\r\ncontent-length: %d\r\n\r\n%b" % (
    len(ANSWER),
    ANSWER,
)
EVENT = b"data: " + b"a" * 250 + b"\n\n"
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
PRIVATE = AddressPolicy(allow_private=True)
TIMEOUTS = Timeouts()


class Answering(asyncio.Protocol):
    """Answers each request, told apart by its path: /s is a stream of single writes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"POST /s"):
            self.transport.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
            self._next(STREAM_CHUNKS)
        elif data.startswith(b"POST"):  # httpx sends its bodies in a segment of their own
            self.transport.write(WHOLE)

    def _next(self, left: int) -> None:
        if left:
            self.transport.write(CHUNK)
            asyncio.get_running_loop().call_soon(self._next, left - 1)
        else:
            self.transport.write(b"0\r\n\r\n")


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


async def spend(call: Callable[[], Awaitable[None]], seconds: float) -> tuple[float, float]:
    """Return CPU microseconds per call and calls per second."""
    calls = 0
    stop_at = time.perf_counter() + seconds

    async def worker() -> None:
        nonlocal calls
        while time.perf_counter() < stop_at:
            await call()
            calls += 1

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[worker() for _ in range(IN_FLIGHT)])
    used, took = time.process_time() - cpu, time.perf_counter() - began
    return used / calls * 1e6, calls / took


def whole(upstream: Upstream, origin: Origin) -> Callable[[], Awaitable[None]]:
    template = HeadTemplate(
        method="POST",
        origin=origin,
        path=b"/w",
        headers=[(b"authorization", b"Bearer x"), (b"content-type", b"application/json")],
    )

    async def call() -> None:
        response = await upstream.send(template.request(BODY), TIMEOUTS, PRIVATE)
        assert await response.read(1_000_000) == ANSWER

    return call


def streamed(upstream: Upstream, origin: Origin) -> Callable[[], Awaitable[None]]:
    template = HeadTemplate(method="POST", origin=origin, path=b"/s", headers=[])

    async def call() -> None:
        response = await upstream.send(template.request(BODY), TIMEOUTS, PRIVATE, stream=True)
        size = 0
        while chunk := await response.next_chunk():
            size += len(chunk)
        assert size == STREAM_CHUNKS * len(EVENT)

    return call


class Bare(asyncio.Protocol):
    """The floor: write a request, wait for that many bytes; no HTTP at all."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.got = 0

    def data_received(self, data: bytes) -> None:
        self.got += len(data)
        if self.got >= len(WHOLE):
            self.got = 0
            self.done.set_result(None)

    async def call(self) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(b"POST /w HTTP/1.1\r\n\r\n" + BODY)
        await self.done


async def bare(origin: Origin) -> Callable[[], Awaitable[None]]:
    loop = asyncio.get_running_loop()
    free = [
        (await loop.create_connection(Bare, origin.host, origin.port))[1] for _ in range(IN_FLIGHT)
    ]

    async def call() -> None:
        connection = free.pop()
        await connection.call()
        free.append(connection)

    return call


async def measure(port: int, seconds: float) -> None:
    origin = Origin("http", "127.0.0.1", port)
    wire, httpx = WireUpstream(), HttpxUpstream(connections=IN_FLIGHT)
    contenders = {
        "bare protocol (floor)": await bare(origin),
        "wire, 1 KB": whole(wire, origin),
        "httpx, 1 KB": whole(httpx, origin),
        f"wire, {STREAM_CHUNKS} chunks": streamed(wire, origin),
        f"httpx, {STREAM_CHUNKS} chunks": streamed(httpx, origin),
    }
    rounds = 5
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            figures[name].append(await spend(call, seconds / rounds / len(contenders)))
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {type(asyncio.get_running_loop()).__module__},")
    print(f"{IN_FLIGHT} in flight, medians of {rounds} interleaved rounds, load {load:.1f}\n")
    print("| client | CPU us per call | calls/s |\n|---|---|---|")
    for name, rows in figures.items():
        cpu = statistics.median(row[0] for row in rows)
        rate = statistics.median(row[1] for row in rows)
        print(f"| {name} | {cpu:.1f} | {rate:.0f} |")
    await wire.aclose()
    await httpx.aclose()


def _fastest_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=_fastest_loop) as runner:
        if options.serve:
            runner.run(serve())
            return
        command = [sys.executable, "-m", "benchmarks.wire", "--serve"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            try:
                runner.run(measure(int(server.stdout.readline()), options.seconds))
            finally:
                server.stdin.close()


if __name__ == "__main__":
    main()
