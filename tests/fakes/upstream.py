"""A fake OpenAI-compatible vendor on loopback: a real server that answers as each prompt tells it.

In a test: `with FakeUpstream() as fake:` runs it in a thread with a loop of its own; channels get
`fake.base_url` and a credential that begins with `sk-fake-`. As a process:
`python -m tests.fakes.upstream --port 0` prints its base URL and answers `GET /truth`.

A directive in the last user message decides: `[fake status=429 retry_after=1]`, `[fake cut=5]`,
`[fake tokens=120 chunk_chars=7 delay_ms=5]`, `[fake usage=none]`; all of them are the fields of
`vendor.Script`. The same words as the first part of the base URL's path
(`http://127.0.0.1:1234/status=503/v1`) apply to all requests of a channel. `[ref=abc]` marks a
request so that a test finds it in `truth`. Credential `sk-bad` is refused with 401, `sk-quota` has
used up its quota.
"""

import argparse
import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict
from http import HTTPStatus
from typing import Self

from tests.fakes import vendor
from tests.fakes.vendor import Json, Script, Truth

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>fake gateway</body></html>"
SECRET_HEADERS = {
    "set-cookie": "session=fake",
    "openai-organization": "org-FakeOrg123456",
    "anthropic-organization-id": "fake-organization",
    "anthropic-ratelimit-requests-remaining": "59",
    "request-id": "req_fake",
    "via": "1.1 fake",
    "alt-svc": "h3",
    "x-ratelimit-remaining-requests": "59",
    "server": "fake/1.0",
    "openai-processing-ms": "42",
    "openai-version": "2020-10-01",
}
_STREAMS = {"/v1/chat/completions", "/v1/completions"}


class _ClientGone(Exception):
    """The other side hung up."""


class Request:
    """One request as it came."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        pairs = (line.partition(":") for line in lines[1:] if line)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self.body = body
        prefix, version, rest = self.target.partition("?")[0].partition("/v1/")
        self.prefix, self.path = (prefix, version + rest) if version else ("", prefix)


class FakeUpstream:
    """The server; `truth` tells what happened to every model request, in order of arrival.

    `exchange` is what answers a request; another vendor brings its own.
    """

    exchange: "type[Exchange]"

    def __init__(self, port: int = 0) -> None:
        self.truth: list[Truth] = []
        self.connections = 0
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fake-upstream", daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event

    @property
    def base_url(self) -> str:
        """Return what a channel takes as its base URL."""
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        """Return the address without a path, to put directives behind."""
        return f"http://127.0.0.1:{self._port}"

    def told(self, ref: str) -> list[Truth]:
        """Return the truth about the requests marked `[ref=...]`: one for each attempt."""
        return [truth for truth in self.truth if truth.ref == ref]

    def start(self) -> Self:
        """Start the thread; returns once the port is open."""
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fake upstream did not start")
        return self

    def close(self) -> None:
        """Stop, cutting every connection."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self.serve())
        self._loop.close()

    async def serve(self) -> None:
        """Serve until closed."""
        self._stop = asyncio.Event()
        running: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve_connection(reader, writer))
            running.add(task)
            task.add_done_callback(running.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", self._port, backlog=1_000)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        upcoming = asyncio.create_task(_read_request(reader))
        try:
            while request := await upcoming:
                upcoming = asyncio.create_task(_read_request(reader))
                exchange = self.exchange(self, request, writer, upcoming)
                if not await exchange.run():
                    break
        finally:
            upcoming.cancel()
            writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request, None once the other side is gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        request = Request(head[:-4], b"")
        length = int(request.headers.get("content-length", "0"))
        request.body = await reader.readexactly(length) if length else b""
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        return None
    return request


class Exchange:
    """One request and its answer, sent as the script wants it."""

    def __init__(
        self,
        fake: FakeUpstream,
        request: Request,
        writer: asyncio.StreamWriter,
        upcoming: "asyncio.Task[Request | None]",
    ) -> None:
        self._fake = fake
        self._request = request
        self._writer = writer
        self._upcoming = upcoming
        self._script = Script()

    async def run(self) -> bool:
        """Answer; return whether the connection may be used again."""
        request = self._request
        if request.path == "/truth":
            return await self._send(
                200, vendor.encode({"truth": [asdict(t) for t in self._fake.truth]})
            )
        refused = self._refusal()
        if refused:
            return await self._send(refused[0], vendor.encode(refused[1]))
        if request.method == "GET":
            models = [{"id": name, "object": "model"} for name in ("gpt-4o", "gpt-4o-mini")]
            return await self._send(200, vendor.encode({"object": "list", "data": models}))
        asked = self._asked()
        truth = self._note(asked)
        try:
            return await self._answer(asked, truth)
        except (_ClientGone, OSError):
            truth.ended = "client_gone"
            return False
        except asyncio.CancelledError:
            truth.ended = "cut"
            raise

    def _asked(self) -> Json:
        asked: Json = json.loads(self._request.body)
        return asked

    def _refusal(self) -> tuple[int, Json] | None:
        credential = self._request.headers.get("authorization", "").removeprefix("Bearer ")
        if credential == "sk-quota":
            return 429, self._error(429, "insufficient_quota")
        return None if credential.startswith("sk-fake-") else (401, self._error(401))

    def _error(self, status: int, code: str = "", *, quoting: str = "") -> Json:
        return vendor.error_body(status, code, quoting=quoting)

    def _note(self, asked: Json) -> Truth:
        prompt = vendor.last_prompt(asked)
        vendor.tell(self._script, prompt, self._request.prefix)
        truth = Truth(
            path=self._request.path,
            model=str(asked.get("model")),
            stream=bool(asked.get("stream")),
            ref=vendor.ref_of(prompt),
            prompt=prompt,
            headers=self._request.headers,
            body=self._request.body.decode(errors="surrogateescape"),
            query=self._request.target.partition("?")[2],
        )
        self._fake.truth.append(truth)
        return truth

    async def _answer(self, asked: Json, truth: Truth) -> bool:
        script = self._script
        await self._pause(script.silent_ms)
        if script.hang:
            await self._pause(600_000)
        if script.drop_before_headers or script.hang:
            truth.ended = "cut"
            return False
        truth.status = script.status
        special = self._special(script, quoting=truth.prompt if script.echo else "")
        if special is not None:
            truth.ended = "whole"
            return await self._send(script.status, special)
        return await self._deliver(asked, truth)

    async def _deliver(self, asked: Json, truth: Truth) -> bool:
        script = self._script
        if truth.path not in _STREAMS:
            return await self._send_whole(vendor.embeddings(asked, script), truth)
        answer = vendor.answer_to(asked, script, chat=truth.path.startswith("/v1/chat"))
        if truth.stream:
            return await self._send_stream(answer, truth)
        truth.text = "".join(answer.pieces) * (asked.get("n") or 1)
        return await self._send_whole(vendor.whole(answer), truth)

    def _special(self, script: Script, *, quoting: str) -> bytes | None:
        if script.html:
            return HTML
        if script.empty:
            return b""
        return (
            vendor.encode(self._error(script.status, script.code, quoting=quoting))
            if script.status != 200
            else None
        )

    async def _send_whole(self, body: Json, truth: Truth) -> bool:
        """Send an answer that does not stream, or as much of it as the script allows."""
        data = vendor.encode(body)
        if self._script.cut >= 0:
            await self._write(self._head(200, "application/json", length=len(data)))
            await self._write(data[: len(data) // 2])
            truth.ended, truth.text = "cut", ""
            return False
        if self._script.truncated:
            data = data[: len(data) // 2]
        kept = await self._send(200, data)
        truth.usage, truth.ended = body.get("usage"), "whole"
        return kept

    async def _send_stream(self, answer: vendor.Answer, truth: Truth) -> bool:
        script = self._script
        await self._write(self._head(200, "text/event-stream", length=None))
        if script.ping:
            await self._write_chunk(b": ping\n\n")
        for number, (piece, chunk) in enumerate(vendor.chunks(answer)):
            trouble = self._trouble(number, piece, truth)
            if trouble is not None:
                if trouble:
                    await self._write_chunk(trouble)
                return await self._break_off(truth, cleanly=bool(trouble))
            await self._event(vendor.encode(chunk))
            if piece:
                truth.text += piece
                truth.pieces += 1
                truth.usage = chunk.get("usage")
                await self._pause(script.pause_ms if truth.pieces == 1 else script.delay_ms)
            truth.usage = chunk.get("usage") or truth.usage
        if script.usage == "asked" and vendor.asks_usage(answer.request):
            await self._event(vendor.encode(vendor.usage_chunk(answer)))
            truth.usage = answer.usage
        if not script.no_done:
            await self._event(b"[DONE]")
        await self._write(b"0\r\n\r\n")
        truth.ended = "whole"
        return True

    def _trouble(self, number: int, piece: str, truth: Truth) -> bytes | None:
        """Return what ends the stream before this chunk: an event, or b"" for a cut."""
        script = self._script
        if script.role_then_error and number == 1:
            return b"data: " + vendor.encode(vendor.error_body(500)) + b"\n\n"
        if not piece and truth.pieces == 0:
            return None
        if truth.pieces == script.cut:
            return b""
        if truth.pieces == script.error_event:
            return b"data: " + vendor.encode(vendor.error_body(500, script.code)) + b"\n\n"
        return b"data: {not json\n\n" if truth.pieces == script.junk else None

    async def _break_off(self, truth: Truth, *, cleanly: bool) -> bool:
        truth.ended = "cut"
        if cleanly:
            await self._write(b"0\r\n\r\n")
        return cleanly

    async def _event(self, data: bytes) -> None:
        end = b"\r\n\r\n" if self._script.crlf else b"\n\n"
        await self._write_chunk(b"data: " + data + end)

    async def _write_chunk(self, data: bytes) -> None:
        await self._write(b"%x\r\n%b\r\n" % (len(data), data))

    async def _send(self, status: int, data: bytes) -> bool:
        kind = "text/html" if data is HTML else "application/json"
        packed = gzip.compress(data) if self._script.gzip else data
        await self._write(self._head(status, kind, length=len(packed)) + packed)
        return True

    def _head(self, status: int, kind: str, *, length: int | None) -> bytes:
        """Return the head of an answer; without a length it is chunked."""
        script = self._script
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Fake"
        lines = [f"HTTP/1.1 {status} {phrase}", f"content-type: {kind}", "x-request-id: req_fake"]
        lines.append(
            "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        )
        if script.gzip and length is not None:
            lines.append("content-encoding: gzip")
        if script.retry_after:
            lines.append(f"retry-after: {script.retry_after}")
        if script.headers:
            lines += [f"{name}: {value}" for name, value in SECRET_HEADERS.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def _write(self, data: bytes) -> None:
        """Send, in small TCP writes if the script wants that; raises once the client is gone."""
        for part in _parts(data, self._script.split):
            if self._is_gone():
                raise _ClientGone
            self._writer.write(part)
            await self._writer.drain()
            if self._script.split:
                await asyncio.sleep(0)

    async def _pause(self, pause_ms: int) -> None:
        if pause_ms:
            await asyncio.wait({self._upcoming}, timeout=pause_ms / 1000)
            if self._is_gone():
                raise _ClientGone

    def _is_gone(self) -> bool:
        return self._upcoming.done() and self._upcoming.result() is None


FakeUpstream.exchange = Exchange


def _parts(data: bytes, size: int) -> Iterator[bytes]:
    if not size:
        yield data
        return
    for start in range(0, len(data), size):
        yield data[start : start + size]


def main() -> None:
    """Serve as a process of its own until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    fake = FakeUpstream(parser.parse_args().port).start()
    print(fake.base_url, flush=True)  # noqa: T201  whoever started us reads it
    threading.Event().wait()


if __name__ == "__main__":
    main()
