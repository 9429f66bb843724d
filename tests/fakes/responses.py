"""A fake of OpenAI's Responses API on loopback: the server of `upstream`, which says responses.

In a test: `with FakeResponses() as fake:`; channels get `fake.base_url` and a credential that
begins with `sk-fake-`. Directives are those of `upstream`, and `searched=N` searches before the
text. Usage is made up by a rule of its own (a word is a token; a prompt costs 7 and a third of its
bytes), so that what the relay charges is compared with a count that is not the relay's.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from uuid import uuid4

from tests.fakes import vendor
from tests.fakes.upstream import Exchange, FakeUpstream, Request
from tests.fakes.vendor import Json, Script, Truth

Named = tuple[str, str, Json]


@dataclass
class ResponseScript(Script):
    """More directives. `failed=N`: the response fails after N pieces, as an event of its own kind.
    `boundless`: it does not keep to a limit."""

    searched: int = 0
    failed: int = -1
    boundless: bool = False


class Response:
    """An answer: items, and the usage that it really has."""

    def __init__(self, asked: Json, script: ResponseScript) -> None:
        self.asked = asked
        self.script = script
        self.id = f"resp_fake{uuid4().hex}"
        words = list(islice(cycle(vendor.WORDS), script.tokens))
        words = [word if number == 0 else f" {word}" for number, word in enumerate(words)]
        limit = None if script.boundless else asked.get("max_output_tokens")
        self.is_cut = limit is not None and len(words) > limit
        self.pieces = [vendor.TOOL_ARGUMENTS] if script.tool else words[:limit]
        written = len(self.pieces) + script.reasoning
        given = prompt_tokens(asked) + script.cached
        self.usage = {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": script.cached},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": script.reasoning},
            "total_tokens": given + written,
        }

    def whole(self, status: str = "completed") -> Json:
        """Return the response as an object."""
        is_over = status != "in_progress"
        return {
            "id": self.id,
            "object": "response",
            "created_at": 1_763_770_000,
            "status": "incomplete" if is_over and self.is_cut else status,
            "error": None,
            "model": self.asked["model"],
            "output": self.items() if is_over else [],
            "usage": self.usage if is_over and self.script.usage not in ("none", "null") else None,
        }

    def items(self) -> list[Json]:
        """Return what is put out."""
        action = {"type": "search", "query": "fake"}
        search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action}
        return [search] * self.script.searched + [self._said()]

    def _said(self) -> Json:
        text = "".join(self.pieces)
        if self.script.tool:
            call = {"name": "get_weather", "call_id": "call_1", "arguments": text}
            return {"type": "function_call", "id": "fc_1", "status": "completed", **call}
        kind = "refusal" if self.script.refusal else "output_text"
        part = {"type": kind, "refusal" if self.script.refusal else "text": text}
        return {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}

    def events(self) -> Iterator[Named]:
        """Yield the events of a stream: text of the model in it ("" for frames), name, fields."""
        yield "", "response.created", {"response": self.whole("in_progress")}
        yield "", "response.in_progress", {"response": self.whole("in_progress")}
        items = self.items()
        for index, item in enumerate(items):
            yield "", "response.output_item.added", {"output_index": index, "item": item}
            if item is items[-1]:
                yield from self._deltas(index)
            yield "", "response.output_item.done", {"output_index": index, "item": item}
        if not self.script.no_finish:
            end = "incomplete" if self.is_cut else "completed"
            yield "", f"response.{end}", {"response": self.whole()}

    def _deltas(self, index: int) -> Iterator[Named]:
        kind = "refusal" if self.script.refusal else "output_text"
        kind = "function_call_arguments" if self.script.tool else kind
        at = {"output_index": index, "item_id": "msg_1"}
        for piece in self.pieces:
            yield piece, f"response.{kind}.delta", {**at, "delta": piece}
        yield "", f"response.{kind}.done", {**at, "text": "".join(self.pieces)}


def prompt_tokens(asked: Json) -> int:
    """Return the vendor's own count of a prompt."""
    return 7 + len(_prompt(asked).encode()) // 3


def _prompt(asked: Json) -> str:
    given = asked.get("input") or ()
    items = [{"content": given}] if isinstance(given, str) else given
    texts = [vendor.text_of(item.get("content")) for item in items]
    return "".join([asked.get("instructions") or "", *texts])


class ResponseExchange(Exchange):
    """One request and its answer as a response."""

    def __init__(
        self,
        fake: FakeUpstream,
        request: Request,
        writer: asyncio.StreamWriter,
        upcoming: "asyncio.Task[Request | None]",
    ) -> None:
        super().__init__(fake, request, writer, upcoming)
        self._script: ResponseScript = ResponseScript()

    def _asked(self) -> Json:
        asked: Json = json.loads(self._request.body)
        # Where the machinery looks for directives.
        return asked | {"prompt": _prompt(asked)}

    async def _deliver(self, asked: Json, truth: Truth) -> bool:
        response = Response(asked, self._script)
        if truth.stream:
            return await self._send_events(response, truth)
        truth.text = "".join(response.pieces)
        kept = await self._send_whole(response.whole(), truth)
        truth.usage = response.usage if truth.ended == "whole" else None
        return kept

    async def _send_events(self, response: Response, truth: Truth) -> bool:
        script = self._script
        await self._write(self._head(200, "text/event-stream; charset=utf-8", length=None))
        for number, (piece, kind, fields) in enumerate(response.events()):
            trouble = self._trouble(number, piece, truth)
            if trouble is not None:
                if trouble:
                    await self._write_chunk(trouble)
                return await self._break_off(truth, cleanly=bool(trouble))
            await self._named_event(number, kind, fields)
            if piece:
                truth.text += piece
                truth.pieces += 1
                await self._pause(script.pause_ms if truth.pieces == 1 else script.delay_ms)
        await self._write(b"0\r\n\r\n")
        truth.usage, truth.ended = response.usage, "whole"
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
        if truth.pieces == script.failed:
            error = vendor.error_body(500, script.code)["error"]
            failed = {"id": "resp_1", "status": "failed", "error": error, "usage": None}
            return _event("response.failed", {"response": failed}, number)
        if truth.pieces == script.error_event:
            return self._failure()
        return b"event: x\ndata: {not json\n\n" if truth.pieces == script.junk else None

    def _failure(self) -> bytes:
        error = vendor.error_body(500, self._script.code)["error"]
        return _event("error", {**error, "type": "error"}, 0)

    async def _named_event(self, number: int, kind: str, fields: Json) -> None:
        event = _event(kind, fields, number)
        await self._write_chunk(event.replace(b"\n", b"\r\n") if self._script.crlf else event)


def _event(kind: str, fields: Json, number: int) -> bytes:
    data = vendor.encode({"type": kind, "sequence_number": number} | fields)
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


class FakeResponses(FakeUpstream):
    """The server."""

    exchange = ResponseExchange
