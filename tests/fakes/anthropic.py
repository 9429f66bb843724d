"""A fake of Anthropic's API on loopback: the server of `upstream`, which says what Anthropic says.

In a test: `with FakeAnthropic() as fake:`; channels get `fake.origin` and a credential that begins
with `sk-fake-`. Directives are those of `upstream`, and those of `MessageScript` here. Usage is
made up by a rule of its own (a word is a token; a prompt costs 7 and a third of its bytes), so that
what the relay charges is compared with a count that is not the relay's.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from tests.fakes import vendor
from tests.fakes.upstream import Exchange, FakeUpstream, Request
from tests.fakes.vendor import Json, Script, Truth

THOUGHT = "first this then that"
TOOL_INPUT = '{"city": "Beijing", "days": 3}'


@dataclass
class MessageScript(Script):
    """More directives: what the cache has read and written, thinking, searches, how usage comes.

    `usage`: "asked" is Anthropic's own way, the prompt at the start and everything at the end;
    "output" tells only the output at the end, "end" nothing but zeros at the start, "null" and
    "none" nothing at all. `unsplit`: writes are not told apart.
    """

    written: int = 0
    written_1h: int = 0
    unsplit: bool = False
    searched: int = 0
    thinking: bool = False
    redacted: bool = False


class Message:
    """An answer: blocks of pieces, and the usage that it really has."""

    def __init__(self, asked: Json, script: MessageScript) -> None:
        self.asked = asked
        self.script = script
        self.reason = "end_turn"
        self.blocks: list[tuple[Json, list[str]]] = []
        if script.redacted:
            self.blocks.append(({"type": "redacted_thinking", "data": "c2VhbGVk"}, []))
        if script.thinking:
            self.blocks.append(({"type": "thinking"}, THOUGHT.split(" ")))
        self.blocks.append(self._call() if script.tool else ({"type": "text"}, self._words()))
        self.usage = self._used(self._written())

    def _call(self) -> tuple[Json, list[str]]:
        self.reason = "tool_use"
        name = (self.asked.get("tools") or [{"name": "get_weather"}])[0]["name"]
        return {"type": "tool_use", "id": "toolu_fake", "name": name}, [
            TOOL_INPUT[:9],
            TOOL_INPUT[9:],
        ]

    def _words(self) -> list[str]:
        script = self.script
        words = list(islice(cycle(vendor.WORDS), script.tokens))
        limit = self.asked["max_tokens"]
        if len(words) > limit:
            words, self.reason = words[:limit], "max_tokens"
        words = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
        text, size = "".join(words), script.chunk_chars
        return [text[at : at + size] for at in range(0, len(text), size)] if size else words

    def _written(self) -> int:
        return (
            sum(len("".join(pieces).split()) for _, pieces in self.blocks) + self.script.reasoning
        )

    def _used(self, written: int) -> Json:
        script = self.script
        usage: Json = {
            "input_tokens": prompt_tokens(self.asked),
            "cache_read_input_tokens": script.cached,
            "cache_creation_input_tokens": script.written + script.written_1h,
            "output_tokens": written,
            "service_tier": "standard",
        }
        if not script.unsplit:
            usage["cache_creation"] = {
                "ephemeral_5m_input_tokens": script.written,
                "ephemeral_1h_input_tokens": script.written_1h,
            }
        if script.reasoning:
            usage["output_tokens_details"] = {"thinking_tokens": script.reasoning}
        if script.searched:
            usage["server_tool_use"] = {"web_search_requests": script.searched}
        return usage

    def whole(self) -> Json:
        """Return the answer in one piece."""
        content = []
        for block, pieces in self.blocks:
            text = "".join(pieces)
            if block["type"] == "tool_use":
                content.append(block | {"input": json.loads(text)})
            elif block["type"] == "thinking":
                content.append(block | {"thinking": " ".join(pieces), "signature": "c2ln"})
            else:
                content.append(block | ({"text": text} if block["type"] == "text" else {}))
        body = self._head() | {"content": content, "stop_reason": self.reason}
        usage = self.script.usage
        return body | (
            {} if usage == "none" else {"usage": None if usage == "null" else self.usage}
        )

    def _head(self) -> Json:
        return {
            "id": "msg_fake",
            "type": "message",
            "role": "assistant",
            "model": self.asked["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def events(self) -> Iterator[tuple[str, Json]]:
        """Yield the events of a stream, each with the text of the model in it ("" for frames)."""
        yield "", {"type": "message_start", "message": self._head() | self._told(at_start=True)}
        yield "", {"type": "ping"}
        for index, (block, pieces) in enumerate(self.blocks):
            kind = block["type"]
            first: Json = {"text": {"text": ""}, "thinking": {"thinking": ""}}.get(kind, {})
            first = first | ({"input": {}} if kind == "tool_use" else {})
            yield (
                "",
                {"type": "content_block_start", "index": index, "content_block": block | first},
            )
            for piece in pieces:
                delta = _delta(kind, piece)
                yield piece, {"type": "content_block_delta", "index": index, "delta": delta}
            yield "", {"type": "content_block_stop", "index": index}
        if not self.script.no_finish:
            end = {"stop_reason": self.reason, "stop_sequence": None}
            yield "", {"type": "message_delta", "delta": end} | self._told(at_start=False)
        if not self.script.no_done:
            yield "", {"type": "message_stop"}

    def _told(self, *, at_start: bool) -> Json:
        style = self.script.usage
        if style == "none":
            return {}
        if style == "null":
            return {"usage": None}
        if at_start:
            zeros = {"input_tokens": 0, "output_tokens": 0}
            return {"usage": zeros if style == "end" else self.usage | {"output_tokens": 1}}
        if style == "output":
            return {"usage": {"output_tokens": self.usage["output_tokens"]}}
        return {"usage": self.usage}


def _delta(kind: str, piece: str) -> Json:
    if kind == "tool_use":
        return {"type": "input_json_delta", "partial_json": piece}
    if kind == "thinking":
        return {"type": "thinking_delta", "thinking": f"{piece} "}
    return {"type": "text_delta", "text": piece}


def prompt_tokens(asked: Json) -> int:
    """Return the vendor's own count of a prompt."""
    texts = [vendor.text_of(asked.get("system") or "")]
    texts += [vendor.text_of(message["content"]) for message in asked["messages"]]
    return 7 + len("".join(texts).encode()) // 3


def error_body(status: int, code: str = "", *, quoting: str = "") -> Json:
    """Return the vendor's error for a status, with account details that must not get out."""
    usual = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        529: "overloaded_error",
    }.get(status, "api_error")
    account = "organization 6b3c1f2e-1234-4abc-9def-0123456789ab with key sk-ant-fake-secret"
    told = {"type": code or usual, "message": f"Fake trouble {status} of {account}. {quoting}"}
    return {"type": "error", "error": told, "request_id": "req_011CSFakeFakeFake"}


class MessageExchange(Exchange):
    """One request and its answer in Anthropic's dialect."""

    def __init__(
        self,
        fake: FakeUpstream,
        request: Request,
        writer: asyncio.StreamWriter,
        upcoming: "asyncio.Task[Request | None]",
    ) -> None:
        super().__init__(fake, request, writer, upcoming)
        self._script: MessageScript = MessageScript()

    def _refusal(self) -> tuple[int, Json] | None:
        credential = self._request.headers.get("x-api-key", "")
        if credential == "sk-quota":
            told = error_body(400)
            told["error"]["message"] = "Your credit balance is too low to access the Anthropic API."
            return 400, told
        if not self._request.headers.get("anthropic-version"):
            return 400, error_body(400, quoting="anthropic-version: header is required")
        return None if credential.startswith("sk-fake-") else (401, error_body(401))

    def _error(self, status: int, code: str = "", *, quoting: str = "") -> Json:
        return error_body(status, code, quoting=quoting)

    def _head(self, status: int, kind: str, *, length: int | None) -> bytes:
        return super()._head(status, kind, length=length).replace(b"x-request-id", b"request-id")

    async def _deliver(self, asked: Json, truth: Truth) -> bool:
        if truth.path.endswith("/count_tokens"):
            return await self._send_whole({"input_tokens": prompt_tokens(asked)}, truth)
        message = Message(asked, self._script)
        if truth.stream:
            return await self._send_events(message, truth)
        truth.text = "".join("".join(pieces) for _, pieces in message.blocks)
        kept = await self._send_whole(message.whole(), truth)
        truth.usage = message.usage if truth.ended == "whole" else None
        return kept

    async def _send_events(self, message: Message, truth: Truth) -> bool:
        script = self._script
        await self._write(self._head(200, "text/event-stream; charset=utf-8", length=None))
        for number, (piece, told) in enumerate(message.events()):
            trouble = self._trouble(number, piece, truth)
            if trouble is not None:
                if trouble:
                    await self._write_chunk(trouble)
                return await self._break_off(truth, cleanly=bool(trouble))
            await self._named_event(told)
            if piece:
                truth.text += piece
                truth.pieces += 1
                await self._pause(script.pause_ms if truth.pieces == 1 else script.delay_ms)
        await self._write(b"0\r\n\r\n")
        truth.usage, truth.ended = message.usage, "whole"
        return True

    def _trouble(self, number: int, piece: str, truth: Truth) -> bytes | None:
        """Return what ends the stream before this event: an event, or b"" for a cut."""
        script = self._script
        if script.role_then_error and number == 1:
            return self._failure()
        if not piece:
            return None
        if truth.pieces == script.cut:
            return b""
        if truth.pieces == script.error_event:
            return self._failure()
        return b"event: x\ndata: {not json\n\n" if truth.pieces == script.junk else None

    def _failure(self) -> bytes:
        told = error_body(529, self._script.code)
        return b"event: error\ndata: " + vendor.encode(told) + b"\n\n"

    async def _named_event(self, told: Json) -> None:
        end = b"\r\n" if self._script.crlf else b"\n"
        name = told["type"].encode()
        lines: list[Any] = [b"event: " + name, b"data: " + vendor.encode(told), b"", b""]
        await self._write_chunk(end.join(lines))


class FakeAnthropic(FakeUpstream):
    """The server; channels get its `origin`."""

    exchange = MessageExchange
