"""The demo's messages and its counting of tokens, in Anthropic's dialect. Called by `demo`."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from relay.errors import BadRequest
from relay.protocols.decoding import decode
from relay.providers.base import LocalCall
from relay.providers.demo_base import (
    SSE_HEADERS,
    DemoResponse,
    json_answer,
    paced,
    refused,
    wait,
)
from relay.providers.demo_schema import sample
from relay.providers.demo_text import (
    Directives,
    answer_tokens,
    count_prompt,
    cut_at_stop,
    read_directives,
    tokens_of,
)
from relay.wire.errors import FirstByteTimeout

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_FAILURE = "The demo was told to fail."
_THOUGHT = "The demo thinks for a moment before it answers."
_SIGNATURE = "ZGVtbw=="
# So many events carry the arguments of a call.
_CALL_EVENTS = 3


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[dict[str, Any]] | None = None


class _Tool(msgspec.Struct):
    name: str = ""
    input_schema: dict[str, Any] | None = None


class _Choice(msgspec.Struct):
    type: str = "auto"
    name: str = ""


class _Thinking(msgspec.Struct):
    type: str = ""


class _Format(msgspec.Struct):
    schema: dict[str, Any] | None = None


class _OutputConfig(msgspec.Struct):
    format: _Format | None = None


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message]
    max_tokens: int | None = None
    stream: bool | None = None
    system: str | list[dict[str, Any]] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    stop_sequences: list[str] | None = None


class _Block(NamedTuple):
    """A block of the answer: its tokens as text, as a thought, or as what `tool` is called with."""

    kind: str
    tokens: list[str]
    tool: str = ""


_REQUEST = msgspec.json.Decoder(_Request)


async def answer(call: LocalCall) -> DemoResponse:
    """Return the answer to a request that has been read and found valid."""
    try:
        request: _Request = decode(_REQUEST, call.body)
    except BadRequest as error:
        return refused(400, error_of(error.message, 400))
    prompt = _text(request.messages[-1].content)
    told = read_directives(prompt)
    await wait(told.delay_ms, call.timeouts.first_byte_s, FirstByteTimeout)
    if told.status:
        failure = error_of(_FAILURE, told.status)
        return refused(told.status, failure, retry_after=told.retry_after)
    if call.endpoint.name == "count_tokens":
        return json_answer({"input_tokens": _prompt_tokens(request)}, told, call.timeouts)
    written = _Answer(request, prompt, told)
    if not request.stream:
        return json_answer(written.whole(), told, call.timeouts)
    failed = b"event: error\ndata: %b\n\n" % error_of(_FAILURE, 500)
    return DemoResponse(
        200, SSE_HEADERS, paced(written.events(), told, call.timeouts, error=failed)
    )


def error_of(message: str, status: int) -> bytes:
    """Return an error body as Anthropic writes them."""
    described = {"type": _ERRORS.get(status, "api_error"), "message": message}
    return msgspec.json.encode({"type": "error", "error": described, "request_id": "req_demo"})


class _Answer:
    """What the demo will say to one request, before it is put into JSON."""

    def __init__(self, request: _Request, prompt: str, told: Directives) -> None:
        self._request = request
        self._told = told
        self._blocks, self._reason, self._stopped_by = _said(request, prompt, told)
        written = sum(len(block.tokens) for block in self._blocks)
        self._usage = {"input_tokens": _prompt_tokens(request), "output_tokens": written}

    def whole(self) -> dict[str, Any]:
        """Return the answer as one object."""
        answer = self._head()
        answer["content"] = [_whole_block(block) for block in self._blocks]
        answer["stop_reason"], answer["stop_sequence"] = self._reason, self._stopped_by
        return answer | self._used(self._usage)

    def events(self) -> Iterator[bytes]:
        """Yield the answer as events, one token each."""
        begun = self._used(self._usage | {"output_tokens": 1})
        yield _event("message_start", message=self._head() | begun)
        for index, block in enumerate(self._blocks):
            yield _event("content_block_start", index=index, content_block=_empty_block(block))
            for delta in _deltas(block):
                yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
        end = {"stop_reason": self._reason, "stop_sequence": self._stopped_by}
        yield _event("message_delta", delta=end, **self._used(self._usage))
        yield _event("message_stop")

    def _head(self) -> dict[str, Any]:
        return {
            "id": "msg_demo",
            "type": "message",
            "role": "assistant",
            "model": self._request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _used(self, usage: dict[str, int]) -> dict[str, Any]:
        return {} if self._told.usage == "none" else {"usage": usage}


def _said(request: _Request, prompt: str, told: Directives) -> tuple[list[_Block], str, str | None]:
    """Return the blocks of the answer, why it ends, and the stop sequence that has ended it."""
    blocks: list[_Block] = []
    if request.thinking is not None and request.thinking.type != "disabled":
        blocks.append(_Block("thinking", tokens_of(_THOUGHT)))
    called = _called(request) if told.tool else None
    if called is not None:
        return [*blocks, called], "tool_use", None
    tokens = _words(request, prompt, told)
    kept = cut_at_stop(tokens, request.stop_sequences or [])
    blocks.append(_Block("text", kept))
    limited = _limited(blocks, request.max_tokens)
    if limited != blocks:
        return limited, "max_tokens", None
    if kept is tokens:
        return blocks, "end_turn", None
    rest = "".join(tokens)[len("".join(kept)) :]
    stop = next(stop for stop in request.stop_sequences or [] if stop and rest.startswith(stop))
    return blocks, "stop_sequence", stop


def _words(request: _Request, prompt: str, told: Directives) -> list[str]:
    form = request.output_config.format if request.output_config else None
    if form is not None and form.schema is not None:
        return tokens_of(msgspec.json.encode(sample(form.schema)).decode())
    return answer_tokens(prompt, told.tokens)


def _called(request: _Request) -> _Block | None:
    """Return a call of the first tool, or the one that is asked for; none for a tool's result."""
    content = request.messages[-1].content
    is_result = isinstance(content, list) and any(b.get("type") == "tool_result" for b in content)
    choice = request.tool_choice or _Choice()
    if is_result or choice.type == "none":
        return None
    for tool in request.tools or ():
        if tool.name == choice.name or not choice.name:
            arguments = msgspec.json.encode(sample(tool.input_schema or {})).decode()
            return _Block("tool_use", tokens_of(arguments), tool.name)
    return None


def _limited(blocks: list[_Block], limit: int | None) -> list[_Block]:
    """Return the blocks within a limit, which what is thought takes up, too."""
    if limit is None:
        return blocks
    kept: list[_Block] = []
    left = limit
    for block in blocks:
        if left > 0 or not kept:
            kept.append(block._replace(tokens=block.tokens[:left]))
            left -= len(block.tokens)
    return kept


def _whole_block(block: _Block) -> dict[str, Any]:
    text = "".join(block.tokens)
    if block.tool:
        return _empty_block(block) | {"input": msgspec.json.decode(text)}
    signed = {"signature": _SIGNATURE} if block.kind == "thinking" else {}
    return {"type": block.kind, block.kind: text} | signed


def _empty_block(block: _Block) -> dict[str, Any]:
    if block.tool:
        return {"type": "tool_use", "id": "toolu_demo", "name": block.tool, "input": {}}
    signed = {"signature": ""} if block.kind == "thinking" else {}
    return {"type": block.kind, block.kind: ""} | signed


def _deltas(block: _Block) -> Iterator[dict[str, str]]:
    """Yield what a block is made of: a token each, the arguments of a call in a few pieces."""
    if block.tool:
        text = "".join(block.tokens)
        size = -(-len(text) // _CALL_EVENTS)
        for start in range(0, len(text), size):
            yield {"type": "input_json_delta", "partial_json": text[start : start + size]}
        return
    for token in block.tokens:
        yield {"type": f"{block.kind}_delta", block.kind: token}
    if block.kind == "thinking":
        yield {"type": "signature_delta", "signature": _SIGNATURE}


def _text(content: str | list[dict[str, Any]] | None) -> str:
    """Return the text of a content; that of a tool's result stands one deeper."""
    if not isinstance(content, list):
        return content or ""
    parts = []
    for block in content:
        inner = block.get("content") if block.get("type") == "tool_result" else block.get("text")
        if isinstance(inner, list):
            inner = _text([one for one in inner if isinstance(one, dict)])
        parts.append(inner if isinstance(inner, str) else "")
    return "\n".join(part for part in parts if part)


def _prompt_tokens(request: _Request) -> int:
    texts = [_text(request.system), *(_text(message.content) for message in request.messages)]
    if request.tools:
        texts.append(msgspec.json.encode(request.tools).decode())
    return count_prompt(texts, messages=len(request.messages))


def _event(kind: str, **fields: Any) -> bytes:
    data = msgspec.json.encode({"type": kind} | fields)
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
