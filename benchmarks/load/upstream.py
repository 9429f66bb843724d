"""The fake upstream where there is no C compiler: `python -m benchmarks.load.upstream PORT`.

It answers as `upstream.c` does, from one uvloop protocol, and costs several times as much; that
does not touch the processor time of a relay in front of it.
"""

import asyncio
import json
import re
import sys
import time

import uvloop

_DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_HEAD = {
    "id": "chatcmpl-0123456789abcdefghijklmnopqrs",
    "created": 1763770000,
    "model": "gpt-4o-mini-2024-07-18",
}
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAM_START = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class Upstream(asyncio.Protocol):
    """One connection: requests with a Content-Length, one after the other."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.received = b""
        self.streams: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while body := self._take_body():
            if b'"stream":true' in body:
                task = asyncio.get_running_loop().create_task(self._stream(body))
                self.streams.add(task)
                task.add_done_callback(self.streams.discard)
            else:
                self.transport.write(self.answer)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self.streams:
            task.cancel()

    def _take_body(self) -> bytes:
        head, separator, rest = self.received.partition(b"\r\n\r\n")
        declared = _LENGTH.search(head)
        if not separator or not declared or len(rest) < (length := int(declared[1])):
            return b""
        self.received = rest[length:]
        return rest[:length]

    async def _stream(self, body: bytes) -> None:
        count, delay_us = _number(body, b"n_chunks", 200), _number(body, b"delay_us", 20_000)
        self.transport.write(_STREAM_START)
        for at in range(count):
            choice = {"index": 0, "delta": {"content": f" word{at}"}, "finish_reason": None}
            self._write_event({"choices": [choice], "ts": time.monotonic_ns()})
            await asyncio.sleep(delay_us / 1e6)
        usage = {"prompt_tokens": 219, "completion_tokens": count, "total_tokens": 219 + count}
        self._write_event({"choices": [], "usage": usage | _DETAILS}, tail=b"data: [DONE]\n\n")
        self.transport.write(b"0\r\n\r\n")

    def _write_event(self, fields: dict[str, object], *, tail: bytes = b"") -> None:
        chunk = {"object": "chat.completion.chunk", **_HEAD, **fields}
        event = b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n" + tail
        self.transport.write(b"%x\r\n%s\r\n" % (len(event), event))


def _number(body: bytes, name: bytes, otherwise: int) -> int:
    found = re.search(rb'"%s":(\d+)' % name, body)
    return int(found[1]) if found else otherwise


def _prepared_answer() -> bytes:
    message = {"role": "assistant", "content": "lorem ipsum dolor sit amet, " * 22}
    usage = {"prompt_tokens": 219, "completion_tokens": 110, "total_tokens": 329}
    completion = {
        "object": "chat.completion",
        **_HEAD,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage | _DETAILS,
    }
    body = json.dumps(completion).encode()
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return (head % len(body)).encode() + body


async def serve(port: int) -> None:
    """Answer on the loopback port until the process is ended."""
    answer = _prepared_answer()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(answer), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
