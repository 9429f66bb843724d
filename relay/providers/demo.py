"""An upstream inside this process, so that a fresh installation sells and serves at once.

It answers chats, completions and embeddings the same way every time, streams, keeps to limits and
reports usage. Told by a prompt, it fails, dawdles or breaks off (docs/reference/demo-provider.md).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from relay.errors import BadRequest
from relay.protocols.decoding import decode
from relay.protocols.openai import CHAT, EMBEDDINGS, Endpoint
from relay.providers.base import LocalAnswerer
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
from relay.providers.openai import OpenAIProvider
from relay.wire.errors import BodyTooLarge, ConnectionLost, FirstByteTimeout, IdleTimeout
from relay.wire.messages import Header, Timeouts

JSON_HEADERS: Sequence[Header] = ((b"content-type", b"application/json"),)
SSE_HEADERS: Sequence[Header] = ((b"content-type", b"text/event-stream; charset=utf-8"),)

_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_DIMENSIONS = {"text-embedding-3-large": 3072}


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[Any] | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


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

    def wants_usage_event(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage is True


_REQUEST = msgspec.json.Decoder(_Request)


class DemoProvider(OpenAIProvider):
    """OpenAI's dialect without an upstream."""

    name = "demo"
    needs_credential = False

    @property
    def local(self) -> LocalAnswerer:  # type: ignore[override]
        """Return itself: it answers in this process."""
        return self

    async def respond(self, endpoint: Endpoint, body: bytes, timeouts: Timeouts) -> "DemoResponse":
        """Return the answer to a request that has been read and found valid."""
        try:
            request: _Request = decode(_REQUEST, body)
        except BadRequest as error:
            return _refusal(error.message)
        prompts = _prompts(request)
        told = read_directives(prompts[-1])
        await _wait(told.delay_ms, timeouts.first_byte_s, FirstByteTimeout)
        if told.status:
            return _error_response(told)
        if endpoint is EMBEDDINGS:
            return DemoResponse(200, JSON_HEADERS, _whole(_embeddings(request), told, timeouts))
        answer = _Answer(endpoint, request, prompts, told)
        if request.stream:
            return DemoResponse(200, SSE_HEADERS, answer.events(timeouts))
        return DemoResponse(200, JSON_HEADERS, _whole(answer.whole(), told, timeouts))


class DemoResponse:
    """An UpstreamResponse made here, piece by piece."""

    def __init__(
        self, status: int, headers: Sequence[Header], pieces: AsyncIterator[bytes]
    ) -> None:
        self.status = status
        self.headers = list(headers)
        self.complete = False
        self._pieces = pieces
        self._closed = False

    def header(self, name: bytes) -> bytes | None:
        """Return the first header of this lower-case name."""
        return next((value for found, value in self.headers if found == name), None)

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body; raises BodyTooLarge beyond the limit."""
        body = b""
        while piece := await self.next_chunk():
            body += piece
            if len(body) > limit_bytes:
                self.close()
                raise BodyTooLarge("the answer is too long", request_sent=True)
        return body

    async def next_chunk(self) -> bytes:
        """Return the next piece, b"" at the end; raises ConnectionLost when told to."""
        if self._closed:
            raise ConnectionLost("given up by us", request_sent=True, response_started=True)
        piece = await anext(self._pieces, b"")
        self.complete = not piece
        return piece

    def close(self) -> None:
        """Give the answer up. Idempotent."""
        self._closed = not self.complete


class _Answer:
    """What the demo will say to one request, before it is put into JSON."""

    def __init__(
        self, endpoint: Endpoint, request: _Request, prompts: list[str], told: Directives
    ) -> None:
        self._is_chat = endpoint is CHAT
        self._request = request
        self._told = told
        self._created = int(time.time())
        limit = request.max_completion_tokens or request.max_tokens
        said = [_limited(self._said_to(prompt), limit) for prompt in prompts]
        self._choices = [choice for choice in said for _ in range(request.n or 1)]
        best_of = max(1, (request.best_of or 1) // (request.n or 1))
        written = sum(len(tokens) for tokens, _ in self._choices) * best_of
        asked = _prompt_tokens(request)
        self.usage = {
            "prompt_tokens": asked,
            "completion_tokens": written,
            "total_tokens": asked + written,
        }

    def _said_to(self, prompt: str) -> list[str]:
        tokens = answer_tokens(prompt, self._told.tokens)
        if self._request.echo:
            tokens = tokens_of(prompt) + tokens
        stop = self._request.stop or []
        return cut_at_stop(tokens, [stop] if isinstance(stop, str) else stop)

    def whole(self) -> dict[str, Any]:
        """Return the answer as one object."""
        answer = self._head("chat.completion" if self._is_chat else "text_completion")
        answer["choices"] = [
            self._choice(index, "".join(tokens), reason)
            for index, (tokens, reason) in enumerate(self._choices)
        ]
        if self._told.usage != "none":
            answer["usage"] = self.usage
        return answer

    async def events(self, timeouts: Timeouts) -> AsyncIterator[bytes]:
        """Yield the answer as events, one token each, as slow and as broken as told."""
        told = self._told
        for sent, chunk in enumerate(self._chunks()):
            if sent == told.cut:
                raise ConnectionLost("told to", request_sent=True, response_started=True)
            if sent == told.error_event:
                yield _event({"error": _error("The demo was told to fail.", 500)})
                return
            if sent:
                pause_ms = told.silent_ms if sent == 1 else 0
                await _wait(max(told.chunk_delay_ms, pause_ms), timeouts.idle_s, IdleTimeout)
            yield _event(chunk)
        if told.usage != "none" and self._request.wants_usage_event():
            yield _event(self._chunk_head() | {"choices": [], "usage": self.usage})
        yield b"data: [DONE]\n\n"

    def _chunks(self) -> Iterator[dict[str, Any]]:
        head = self._chunk_head()
        for index, (tokens, reason) in enumerate(self._choices):
            if self._is_chat:
                first = {"role": "assistant", "content": ""}
                yield head | {"choices": [_delta(index, first, None)]}
            for token in tokens:
                choice = _delta(index, {"content": token}, None)
                yield head | {
                    "choices": [choice if self._is_chat else self._choice(index, token, None)]
                }
            end = _delta(index, {}, reason) if self._is_chat else self._choice(index, "", reason)
            yield head | {"choices": [end]}

    def _choice(self, index: int, text: str, reason: str | None) -> dict[str, Any]:
        said = (
            {"message": {"role": "assistant", "content": text}} if self._is_chat else {"text": text}
        )
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


def _limited(tokens: list[str], limit: int | None) -> tuple[list[str], str]:
    if limit is not None and len(tokens) > limit:
        return tokens[:limit], "length"
    return tokens, "stop"


def _delta(index: int, delta: dict[str, str], reason: str | None) -> dict[str, Any]:
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


def _embeddings(request: _Request) -> dict[str, Any]:
    given = request.input
    texts = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    dimensions = request.dimensions or _DIMENSIONS.get(request.model, 1536)
    vectors = [vector(text, dimensions) for text in texts]
    is_packed = request.encoding_format == "base64"
    used = _prompt_tokens(request)
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
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


async def _whole(
    answer: dict[str, Any], told: Directives, timeouts: Timeouts
) -> AsyncIterator[bytes]:
    """Yield an answer that does not stream."""
    await _wait(told.silent_ms, timeouts.idle_s, IdleTimeout)
    if told.usage == "none":
        answer.pop("usage", None)
    body = msgspec.json.encode(answer)
    if told.cut >= 0:
        yield body[: len(body) // 2]
        raise ConnectionLost("told to", request_sent=True, response_started=True)
    yield body


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _wait(
    wait_ms: int, patience_s: float, late: type[FirstByteTimeout] | type[IdleTimeout]
) -> None:
    if not wait_ms:
        return
    await asyncio.sleep(min(wait_ms / 1000, patience_s))
    if wait_ms / 1000 > patience_s:
        raise late("told to", request_sent=True, response_started=late is IdleTimeout)


def _error_response(told: Directives) -> DemoResponse:
    headers = list(JSON_HEADERS)
    if told.retry_after:
        headers.append((b"retry-after", b"%d" % told.retry_after))
    body = msgspec.json.encode({"error": _error("The demo was told to fail.", told.status)})
    return DemoResponse(told.status, headers, _once(body))


def _refusal(message: str) -> DemoResponse:
    body = msgspec.json.encode({"error": _error(message, 400)})
    return DemoResponse(400, JSON_HEADERS, _once(body))


def _error(message: str, status: int) -> dict[str, str | None]:
    type_, code = _ERRORS.get(status, ("server_error", None))
    return {"message": message, "type": type_, "param": None, "code": code}


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(chunk)
