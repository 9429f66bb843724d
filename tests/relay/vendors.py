"""Vendors whose answers are scripted byte by byte, and what a client receives through a relay.

`peers` has the scripts; here they run on a thread of their own, because the relay under test has
one, too. What a client received is read by other means than the relay's.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from billing.models import UsageRecord
from tests.relay.asking import CHAT, bearer, chat
from tests.relay.conftest import Shop
from tests.relay.wire.peers import CHUNKED, Peer, Script, Server, chunk, serving

Json = dict[str, Any]

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"content-type: application/json\r\n"
EVENTS = b"content-type: text/event-stream\r\n"
DONE = b"data: [DONE]\n\n"

_LINE_END = re.compile(rb"\r\n|\n|\r")


@contextmanager
def vendor(script: Script) -> Iterator[Server]:
    """Run a scripted server on a thread; a fault in its script fails the test."""
    ready: Future[tuple[Server, asyncio.Event]] = Future()

    async def serve() -> None:
        async with serving(script) as server:
            stop = asyncio.Event()
            ready.set_result((server, stop))
            await stop.wait()

    loop, ended = asyncio.new_event_loop(), Future[None]()

    def run() -> None:
        try:
            ended.set_result(loop.run_until_complete(serve()))
        except BaseException as error:  # handed to whoever waits for the end
            ended.set_exception(error)
        finally:
            loop.close()

    threading.Thread(target=run, daemon=True).start()
    server, stop = ready.result(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        ended.result(10)


def by_prompt(answers: Mapping[str, Sequence[bytes]], *, pause_s: float = 0.0) -> Script:
    """Return a script that answers with the pieces that stand under the prompt; b"" hangs up."""

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            for piece in answers[json.loads(request.body)["messages"][-1]["content"]]:
                if not piece:
                    return
                await peer.send(piece, pause_s=pause_s)

    return script


def streamed(*pieces: bytes) -> list[bytes]:
    """Return a chunked stream of these pieces, for `by_prompt`."""
    return [CHUNKED, *(chunk(piece) for piece in pieces if piece), b"0\r\n\r\n"]


def add_channel(shop: Shop, server: Server, name: str = "scripted", **fields: Any) -> int:
    """Add a channel to a scripted vendor and return its id."""
    fields.setdefault("provider", "openai")
    return shop.channel(
        name,
        base_url=f"{server.origin}/v1",
        credential="sk-fake-credential",
        allow_private_network=True,
        **fields,
    )


@contextmanager
def selling(
    shop: Shop, script: Script, *, base_tokens: int = 90_000_000, provider: str = "openai"
) -> Iterator[str]:
    """Have a shop whose only channel is a scripted vendor; yield a key to it."""
    with vendor(script) as server:
        add_channel(shop, server, provider=provider)
        key = shop.key(base_tokens)
        shop.wait_for_relays()
        yield key


@dataclass
class Got:
    """What a client has received; not `is_whole` when the connection was dropped before its end."""

    status: int
    headers: httpx.Headers
    body: bytes
    is_whole: bool

    @property
    def request_id(self) -> str:
        """The id of the request, by which its usage is found."""
        return str(self.headers["x-request-id"])

    @property
    def data(self) -> list[bytes]:
        """The data of each event."""
        lines = _LINE_END.split(self.body.removeprefix(b"\xef\xbb\xbf"))
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]

    @property
    def chunks(self) -> list[Json]:
        """What the events say, the mark of their end left out."""
        return [json.loads(data) for data in self.data if data and data != b"[DONE]"]

    @property
    def text(self) -> str:
        """What the model has written, in events or whole."""
        if not self.headers.get("content-type", "").startswith("text/event-stream"):
            whole = json.loads(self.body)
            return "".join(choice["message"]["content"] for choice in whole.get("choices", ()))
        choices = [choice for chunk in self.chunks for choice in chunk.get("choices") or ()]
        return "".join(choice.get("delta", {}).get("content") or "" for choice in choices)

    @property
    def error(self) -> str:
        """The code of the error that the answer is, or ends with."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            found = [chunk["error"]["code"] for chunk in self.chunks if "error" in chunk]
            return str(found[-1]) if found else ""
        return str(json.loads(self.body).get("error", {}).get("code", ""))

    @property
    def tells_error(self) -> bool:
        """Whether a stream says in any dialect that it has failed."""
        return any(part.get("error") or part.get("type") == "error" for part in self.chunks)

    @property
    def is_finished(self) -> bool:
        """Whether the answer says that the model has come to its end."""
        choices = [choice for chunk in self.chunks for choice in chunk.get("choices") or ()]
        return any(c.get("finish_reason") for c in choices) or b"[DONE]" in self.data


def ask(
    client: httpx.Client,
    key: str,
    body: Json | None = None,
    path: str = CHAT,
    *,
    told: Callable[[], object] = lambda: None,
) -> Got:
    """Ask for a chat, streamed unless its body says otherwise, and take what comes.

    `told` is called whenever something has come.
    """
    asked = chat(stream=True) if body is None else body
    pieces: list[bytes] = []
    is_whole = False
    with client.stream("POST", path, headers=bearer(key), json=asked) as answer:
        try:
            for piece in answer.iter_bytes():
                pieces.append(piece)
                told()
            is_whole = True
        except httpx.RemoteProtocolError:
            pass
    return Got(answer.status_code, answer.headers, b"".join(pieces), is_whole)


def said(text: str, **more: Any) -> bytes:
    """Return an event in which the model says something."""
    return event({"choices": [{"index": 0, "delta": {"content": text}}], **more})


def finish(**more: Any) -> bytes:
    """Return the event with which a choice ends."""
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **more})


def usage(prompt: int, completion: int) -> bytes:
    """Return the event that only tells usage."""
    return event({"choices": [], "usage": used(prompt, completion)})


def used(prompt: int, completion: int) -> Json:
    """Return a usage."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def event(value: Json) -> bytes:
    """Return an event as most vendors write it."""
    return b"data: %b\n\n" % json.dumps(value, ensure_ascii=False).encode()


def whole(text: str, **more: Any) -> bytes:
    """Return the body of a whole answer."""
    choice = {"index": 0, "finish_reason": "stop"}
    choice["message"] = {"role": "assistant", "content": text}
    return json.dumps({"object": "chat.completion", "choices": [choice], **more}).encode()


def by_id(records: Sequence[UsageRecord]) -> dict[str, UsageRecord]:
    """Return usage records under the request ids that clients have seen."""
    return {str(record.id): record for record in records}
