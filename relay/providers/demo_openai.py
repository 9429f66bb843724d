"""The demo's chats, completions and embeddings, in OpenAI's dialect. Called by `demo`."""

import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

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
    packed_vector,
    read_directives,
    tokens_of,
    vector,
)
from relay.wire.errors import FirstByteTimeout

_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
FAILURE = "The demo was told to fail."
_DIMENSIONS = {"text-embedding-3-large": 3072}


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[Any] | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Function(msgspec.Struct):
    name: str = ""
    parameters: Any = None


class _Tool(msgspec.Struct):
    function: _Function | None = None


class _JsonSchema(msgspec.Struct):
    schema: Any = None


class _Format(msgspec.Struct):
    type: str = "text"
    json_schema: _JsonSchema | None = None


class _Said(NamedTuple):
    """One choice: its tokens, why it ends, and the tool they are the arguments for, if any."""

    tokens: list[str]
    reason: str
    tool: str = ""


class _Request(msgspec.Struct):
    model: str
    messages: list[_Message] | None = None
    prompt: Any = None
    input: Any = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    best_of: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    echo: bool | None = None
    dimensions: Annotated[int, Meta(ge=1, le=4096)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    tools: list[_Tool] | None = None
    response_format: _Format | None = None

    def wants_usage_event(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage is True


_REQUEST = msgspec.json.Decoder(_Request)


async def answer(call: LocalCall) -> DemoResponse:
    """Return the answer to a request that has been read and found valid."""
    try:
        request: _Request = decode(_REQUEST, call.body)
    except BadRequest as error:
        return refused(400, error_of(error.message, 400))
    prompts = _prompts(request)
    told = read_directives(prompts[-1])
    await wait(told.delay_ms, call.timeouts.first_byte_s, FirstByteTimeout)
    if told.status:
        return told_to_fail(told)
    if call.endpoint.name == "embeddings":
        return json_answer(_embeddings(request, told), told, call.timeouts)
    written = _Answer(call.endpoint.name == "chat_completions", request, prompts, told)
    if not request.stream:
        return json_answer(written.whole(), told, call.timeouts)
    failure = b"data: %b\n\n" % error_of(FAILURE, 500)
    events = paced(written.events(), told, call.timeouts, error=failure)
    return DemoResponse(200, SSE_HEADERS, events)


def told_to_fail(told: Directives) -> DemoResponse:
    """Return the error that a prompt has asked for."""
    return refused(told.status, error_of(FAILURE, told.status), retry_after=told.retry_after)


def error_of(message: str, status: int) -> bytes:
    """Return an error body as OpenAI writes them."""
    type_, code = _ERRORS.get(status, ("server_error", None))
    described = {"message": message, "type": type_, "param": None, "code": code}
    return msgspec.json.encode({"error": described})


class _Answer:
    """What the demo will say to one request, before it is put into JSON."""

    def __init__(
        self, is_chat: bool, request: _Request, prompts: list[str], told: Directives
    ) -> None:
        self._is_chat = is_chat
        self._request = request
        self._told = told
        self._created = int(time.time())
        limit = request.max_completion_tokens or request.max_tokens
        called = _called(request) if told.tool else None
        said = [called or _limited(self._said_to(prompt), limit) for prompt in prompts]
        self._choices = [choice for choice in said for _ in range(request.n or 1)]
        best_of = max(1, (request.best_of or 1) // (request.n or 1))
        written = sum(len(choice.tokens) for choice in self._choices) * best_of
        asked = _prompt_tokens(request)
        self.usage = {
            "prompt_tokens": asked,
            "completion_tokens": written,
            "total_tokens": asked + written,
        }

    def _said_to(self, prompt: str) -> list[str]:
        form = self._request.response_format
        if form is not None and form.type != "text":
            schema = form.json_schema.schema if form.json_schema else {"type": "object"}
            return tokens_of(msgspec.json.encode(sample(schema)).decode())
        tokens = answer_tokens(prompt, self._told.tokens)
        if self._request.echo:
            tokens = tokens_of(prompt) + tokens
        stop = self._request.stop or []
        return cut_at_stop(tokens, [stop] if isinstance(stop, str) else stop)

    def whole(self) -> dict[str, Any]:
        """Return the answer as one object."""
        answer = self._head("chat.completion" if self._is_chat else "text_completion")
        answer["choices"] = [
            self._choice(index, "".join(said.tokens), said.reason, said.tool)
            for index, said in enumerate(self._choices)
        ]
        if self._told.usage != "none":
            answer["usage"] = self.usage
        return answer

    def events(self) -> Iterator[bytes]:
        """Yield the answer as events, one token each."""
        yield from map(_event, self._chunks())
        if self._told.usage != "none" and self._request.wants_usage_event():
            yield _event(self._chunk_head() | {"choices": [], "usage": self.usage})
        yield b"data: [DONE]\n\n"

    def _chunks(self) -> Iterator[dict[str, Any]]:
        head = self._chunk_head()
        for index, said in enumerate(self._choices):
            parts = _chat_parts(index, said) if self._is_chat else self._parts(index, said)
            for part in parts:
                yield head | {"choices": [part]}

    def _parts(self, index: int, said: _Said) -> Iterator[dict[str, Any]]:
        for token in said.tokens:
            yield self._choice(index, token, None)
        yield self._choice(index, "", said.reason)

    def _choice(self, index: int, text: str, reason: str | None, tool: str = "") -> dict[str, Any]:
        said: dict[str, Any] = {"text": text}
        if self._is_chat:
            message: dict[str, Any] = {"role": "assistant", "content": None if tool else text}
            if tool:
                message["tool_calls"] = [_tool_call(tool, text)]
            said = {"message": message}
        return {"index": index, **said, "logprobs": None, "finish_reason": reason}

    def _chunk_head(self) -> dict[str, Any]:
        return self._head("chat.completion.chunk" if self._is_chat else "text_completion")

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": "chatcmpl-demo" if self._is_chat else "cmpl-demo",
            "object": kind,
            "created": self._created,
            "model": self._request.model,
        }


def _limited(tokens: list[str], limit: int | None) -> _Said:
    if limit is not None and len(tokens) > limit:
        return _Said(tokens[:limit], "length")
    return _Said(tokens, "stop")


def _called(request: _Request) -> _Said | None:
    """Return a call of the first tool; none for an answer to what a tool has said."""
    functions = [tool.function for tool in request.tools or () if tool.function is not None]
    if not functions or not request.messages or request.messages[-1].role != "user":
        return None
    arguments = msgspec.json.encode(sample(functions[0].parameters or {})).decode()
    return _Said(tokens_of(arguments), "tool_calls", functions[0].name)


def _tool_call(name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": "call_demo", "type": "function", "function": function}


def _chat_parts(index: int, said: _Said) -> Iterator[dict[str, Any]]:
    first: dict[str, Any] = {"role": "assistant", "content": "" if not said.tool else None}
    if said.tool:
        first["tool_calls"] = [{"index": 0, **_tool_call(said.tool, "")}]
    yield _delta(index, first, None)
    for token in said.tokens:
        if said.tool:
            more = [{"index": 0, "function": {"arguments": token}}]
            yield _delta(index, {"tool_calls": more}, None)
        else:
            yield _delta(index, {"content": token}, None)
    yield _delta(index, {}, said.reason)


def _delta(index: int, delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}


def _prompts(request: _Request) -> list[str]:
    """Return what is to be answered: the last user message, or every prompt."""
    messages = request.messages
    if messages is not None:
        asked = [message for message in messages if message.role == "user"]
        return [_text((asked or messages)[-1].content)]
    prompt = request.input if request.prompt is None else request.prompt
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        return [_text(item) for item in prompt]
    return [_text(prompt)]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def _prompt_tokens(request: _Request) -> int:
    messages = request.messages
    if messages is not None:
        texts = [_text(message.content) for message in messages]
        return count_prompt(texts, messages=len(messages))
    prompt = request.input if request.prompt is None else request.prompt
    items = prompt if isinstance(prompt, list) else [prompt]
    ids = sum(len(item) if isinstance(item, list) else isinstance(item, int) for item in items)
    return ids + count_prompt([item for item in items if isinstance(item, str)], messages=0)


def _embeddings(request: _Request, told: Directives) -> dict[str, Any]:
    given = request.input
    texts = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    dimensions = request.dimensions or _DIMENSIONS.get(request.model, 1536)
    vectors = [vector(text, dimensions) for text in texts]
    is_packed = request.encoding_format == "base64"
    used = _prompt_tokens(request)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": packed_vector(numbers) if is_packed else numbers,
            }
            for index, numbers in enumerate(vectors)
        ],
        "model": request.model,
        **({} if told.usage == "none" else {"usage": usage}),
    }


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(chunk)
