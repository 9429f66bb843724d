"""The demo's responses, whole and as events, and what it says of one later. Called by `demo`.

It keeps no text: a response that is looked up is there, but says so instead of what it said.
"""

import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from relay.errors import BadRequest
from relay.protocols.decoding import decode
from relay.providers.base import LocalCall
from relay.providers.demo_base import (
    JSON_HEADERS,
    SSE_HEADERS,
    DemoResponse,
    json_answer,
    once,
    paced,
    refused,
    wait,
)
from relay.providers.demo_openai import error_of, told_to_fail
from relay.providers.demo_schema import sample
from relay.providers.demo_text import (
    Directives,
    answer_tokens,
    count_prompt,
    read_directives,
    tokens_of,
)
from relay.wire.errors import FirstByteTimeout

_KEPT = "The demo keeps no text."


class _Tool(msgspec.Struct):
    type: str = ""
    name: str = ""
    parameters: Any = None


class _Format(msgspec.Struct):
    type: str = "text"
    schema: Any = None


class _Text(msgspec.Struct):
    format: _Format | None = None


class _Request(msgspec.Struct):
    model: str = ""
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    stream: bool | None = None
    store: bool | None = None
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    metadata: dict[str, Any] | None = None
    tools: list[_Tool] | None = None
    text: _Text | None = None


_REQUEST = msgspec.json.Decoder(_Request)


async def answer(call: LocalCall) -> DemoResponse:
    """Return the answer to a request that has been read and found valid."""
    if call.tail:
        return _looked_up(call)
    try:
        request: _Request = decode(_REQUEST, call.body)
    except BadRequest as error:
        return refused(400, error_of(error.message, 400))
    told = read_directives(_prompt(request))
    await wait(told.delay_ms, call.timeouts.first_byte_s, FirstByteTimeout)
    if told.status:
        return told_to_fail(told)
    written = _Answer(request, told)
    if not request.stream:
        return json_answer(written.response("completed"), told, call.timeouts)
    failure = _event(0, "error", code="server_error", message="The demo was told to fail.")
    return DemoResponse(
        200, SSE_HEADERS, paced(written.events(), told, call.timeouts, error=failure)
    )


class _Said(NamedTuple):
    """The item that the demo puts out: its tokens, and the tool that they are for, if any."""

    tokens: list[str]
    is_cut: bool = False
    tool: str = ""
    has_searched: bool = False


class _Answer:
    """What the demo will say to one request, before it is put into JSON."""

    def __init__(self, request: _Request, told: Directives) -> None:
        self._request = request
        self._told = told
        self._id = uuid.uuid4().hex
        self._created_at = int(time.time())
        self._said = _said(request, told)
        asked = _prompt_tokens(request)
        self._usage = {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": len(self._said.tokens),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked + len(self._said.tokens),
        }

    def response(self, status: str) -> dict[str, Any]:
        """Return the response as an object; `completed` is what it is in the end."""
        request, is_cut = self._request, self._said.is_cut
        is_over = status == "completed"
        return {
            "id": f"resp_demo{self._id}",
            "object": "response",
            "created_at": self._created_at,
            "status": "incomplete" if is_over and is_cut else status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if is_over and is_cut else None,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "model": request.model,
            "output": self._items("completed") if is_over else [],
            "parallel_tool_calls": True,
            "previous_response_id": request.previous_response_id,
            "metadata": request.metadata or {},
            "store": request.store is not False,
            "tool_choice": "auto",
            "tools": msgspec.to_builtins(request.tools or []),
            "usage": self._usage if is_over and self._told.usage != "none" else None,
        }

    def events(self) -> Iterator[bytes]:
        """Yield the answer as events, one token each."""
        for number, (kind, fields) in enumerate(self._events()):
            yield _event(number, kind, **fields)

    def _events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "response.created", {"response": self.response("in_progress")}
        yield "response.in_progress", {"response": self.response("in_progress")}
        for index, item in enumerate(self._items("completed")):
            begun = self._items("in_progress")[index]
            yield "response.output_item.added", {"output_index": index, "item": begun}
            if item["type"] == "message":
                yield from self._text_events(index, item)
            elif item["type"] == "function_call":
                yield from self._call_events(index, item)
            yield "response.output_item.done", {"output_index": index, "item": item}
        end = "response.incomplete" if self._said.is_cut else "response.completed"
        yield end, {"response": self.response("completed")}

    def _text_events(
        self, index: int, item: dict[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        part = item["content"][0]
        at = {"item_id": item["id"], "output_index": index, "content_index": 0}
        yield "response.content_part.added", {**at, "part": {**part, "text": ""}}
        for token in self._said.tokens:
            yield "response.output_text.delta", {**at, "delta": token, "logprobs": []}
        yield "response.output_text.done", {**at, "text": part["text"], "logprobs": []}
        yield "response.content_part.done", {**at, "part": part}

    def _call_events(
        self, index: int, item: dict[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        at = {"item_id": item["id"], "output_index": index}
        for token in self._said.tokens:
            yield "response.function_call_arguments.delta", {**at, "delta": token}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield "response.function_call_arguments.done", {**at, **done}

    def _items(self, status: str) -> list[dict[str, Any]]:
        """Return what is put out; nothing is written in it yet while it is in progress."""
        said = self._said
        text = "".join(said.tokens) if status == "completed" else ""
        if said.tool:
            call = {"name": said.tool, "call_id": f"call_{self._id}", "arguments": text}
            return [{"type": "function_call", "id": f"fc_{self._id}", "status": status, **call}]
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        message = {
            "type": "message",
            "id": f"msg_{self._id}",
            "status": status,
            "role": "assistant",
            "content": [part] if status == "completed" else [],
        }
        if not said.has_searched:
            return [message]
        action = {"type": "search", "query": "demo"}
        found = {"type": "web_search_call", "id": f"ws_{self._id}", "status": status}
        return [{**found, "action": action}, message]


def _said(request: _Request, told: Directives) -> _Said:
    tools = (request.tools or []) if told.tool and _is_asked_by_a_person(request) else []
    for tool in tools:
        if tool.type == "function":
            arguments = msgspec.json.encode(sample(tool.parameters or {})).decode()
            return _Said(tokens_of(arguments), tool=tool.name)
    form = request.text.format if request.text else None
    if form is not None and form.type != "text":
        schema = form.schema or {"type": "object"}
        tokens = tokens_of(msgspec.json.encode(sample(schema)).decode())
    else:
        tokens = answer_tokens(_prompt(request), told.tokens)
    limit = request.max_output_tokens
    searches = any(tool.type.startswith("web_search") for tool in tools)
    return _Said(
        tokens[:limit],
        is_cut=limit is not None and len(tokens) > limit,
        has_searched=searches,
    )


def _is_asked_by_a_person(request: _Request) -> bool:
    """Say whether a person has the last word, and not a tool that has answered."""
    given = request.input
    return not isinstance(given, list) or not given or given[-1].get("role") == "user"


def _prompt(request: _Request) -> str:
    """Return what is to be answered: the last message of a user."""
    if isinstance(request.input, str):
        return request.input
    items = request.input or []
    asked = [item for item in items if item.get("role") == "user"]
    return "".join(_text(item) for item in (asked or items)[-1:])


def _prompt_tokens(request: _Request) -> int:
    items = request.input
    texts = [items] if isinstance(items, str) else [_text(item) for item in items or []]
    return count_prompt([request.instructions or "", *texts], messages=len(texts))


def _text(item: dict[str, Any]) -> str:
    content = item.get("content") or item.get("output")
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content or () if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))


def _looked_up(call: LocalCall) -> DemoResponse:
    """Return what an upstream says later of a response that it keeps."""
    response_id, _, what = call.tail.strip("/").partition("/")
    if what == "cancel":
        return refused(400, error_of("Only a response in the background can be cancelled.", 400))
    found: dict[str, Any]
    if what == "input_items":
        found = {"object": "list", "data": [], "first_id": None, "last_id": None}
        found["has_more"] = False
    elif call.method == "DELETE":
        found = {"id": response_id, "object": "response", "deleted": True}
    else:
        request = _Request(model=call.served)
        found = _Answer(request, Directives()).response("completed")
        part = {"type": "output_text", "text": _KEPT, "annotations": []}
        found["output"][0]["content"] = [part]
        found |= {"id": response_id, "usage": None}
    return DemoResponse(200, JSON_HEADERS, once(msgspec.json.encode(found)))


def _event(number: int, kind: str, **fields: Any) -> bytes:
    data = msgspec.json.encode({"type": kind, "sequence_number": number, **fields})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
