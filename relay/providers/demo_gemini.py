"""The demo's answers in Gemini's dialect, whole and as events. Called by `demo`."""

import base64
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from relay.protocols.gemini import BATCH_EMBED, COUNT_TOKENS, EMBED
from relay.protocols.gemini_errors import status_of
from relay.protocols.gemini_members import camel
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
    vector,
)
from relay.wire.errors import FirstByteTimeout

Json = dict[str, Any]

_FAILURE = "The demo was told to fail."
_DIMENSIONS = {"text-embedding-004": 768}
_MOST_DIMENSIONS = 4_096
_IMAGE_TOKENS = 1_290
# One grey pixel, and a quarter of a second of silence.
_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
_SILENCE = base64.b64encode(bytes(12_000)).decode()
_MEDIA = {
    "IMAGE": {"mimeType": "image/png", "data": _PIXEL},
    "AUDIO": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": _SILENCE},
}


async def answer(call: LocalCall) -> DemoResponse:
    """Return the answer to a request that has been read and found valid."""
    try:
        request = msgspec.json.decode(call.body, type=Json)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return refused(400, error_of("The request body is not valid JSON.", 400))
    prompts = _prompts(request)
    told = read_directives(prompts[-1] if prompts else "")
    await wait(told.delay_ms, call.timeouts.first_byte_s, FirstByteTimeout)
    if told.status:
        body = error_of(_FAILURE, told.status)
        return refused(told.status, body, retry_after=told.retry_after)
    if call.endpoint.name == COUNT_TOKENS.name:
        return json_answer({"totalTokens": _prompt_tokens(_inside(request))}, told, call.timeouts)
    if call.endpoint.name == EMBED.name:
        return json_answer(_embeddings(call, request), told, call.timeouts)
    written = _Answer(call.served, request, told)
    if not call.stream:
        return json_answer(written.whole(), told, call.timeouts)
    error = b"data: %b\r\n\r\n" % error_of(_FAILURE, 500)
    return DemoResponse(200, SSE_HEADERS, paced(written.events(), told, call.timeouts, error=error))


def error_of(message: str, status: int) -> bytes:
    """Return an error body as Google writes them."""
    described = {"code": status, "message": message, "status": status_of(status)}
    return msgspec.json.encode({"error": described})


class _Said(NamedTuple):
    """One candidate: its tokens, why it ends, and the tool they are the arguments for, if any."""

    tokens: list[str]
    reason: str
    tool: str = ""


class _Answer:
    """What the demo will say to one request, before it is put into JSON."""

    def __init__(self, model: str, request: Json, told: Directives) -> None:
        self._model = model
        self._told = told
        config = _of(request, "generation_config") or {}
        wanted = {str(kind).upper() for kind in _of(config, "response_modalities") or ()}
        self._media = sorted(wanted & _MEDIA.keys())
        said = _said(request, config, told)
        self._candidates = [said] * (_number(config, "candidate_count") or 1)
        self._asked = _prompt_tokens(request)

    def whole(self) -> Json:
        """Return the answer as one object."""
        candidates = []
        for index, said in enumerate(self._candidates):
            parts = [_part(said, "".join(said.tokens)), *self._media_parts()]
            candidates.append(_candidate(index, parts, said.reason))
        return self._head(candidates, sum(len(said.tokens) for said in self._candidates))

    def events(self) -> Iterator[bytes]:
        """Yield the answer as events, one token each; each has the usage so far."""
        sent = 0
        for index, said in enumerate(self._candidates):
            pieces = ["".join(said.tokens)] if said.tool else said.tokens or [""]
            for number, piece in enumerate(pieces, start=1):
                is_last = number == len(pieces)
                sent += len(said.tokens) if said.tool else 1
                parts = [_part(said, piece), *(self._media_parts() if is_last else ())]
                candidate = _candidate(index, parts, said.reason if is_last else None)
                yield _event(self._head([candidate], sent))

    def _media_parts(self) -> list[Json]:
        return [{"inlineData": _MEDIA[kind]} for kind in self._media]

    def _head(self, candidates: list[Json], written: int) -> Json:
        answer = {"candidates": candidates, "modelVersion": self._model, "responseId": "demo"}
        return (
            answer
            if self._told.usage == "none"
            else answer | {"usageMetadata": self._usage(written)}
        )

    def _usage(self, written: int) -> Json:
        details: list[Json] = [{"modality": "TEXT", "tokenCount": written}]
        if "IMAGE" in self._media:
            drawn = _IMAGE_TOKENS * len(self._candidates)
            details.append({"modality": "IMAGE", "tokenCount": drawn})
        elif "AUDIO" in self._media:
            details[0]["modality"] = "AUDIO"
        written = sum(entry["tokenCount"] for entry in details)
        return {
            "promptTokenCount": self._asked,
            "candidatesTokenCount": written,
            "totalTokenCount": self._asked + written,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self._asked}],
            "candidatesTokensDetails": details,
        }


def _said(request: Json, config: Json, told: Directives) -> _Said:
    contents = _listed(request.get("contents"))
    functions = _functions(request) if told.tool else []
    if functions and not _is_result(contents[-1]):
        schema = _of(functions[0], "parameters_json_schema") or functions[0].get("parameters") or {}
        arguments = msgspec.json.encode(sample(schema)).decode()
        return _Said(tokens_of(arguments), "STOP", str(functions[0].get("name")))
    if _of(config, "response_mime_type") == "application/json":
        schema = _of(config, "response_json_schema") or _of(config, "response_schema")
        tokens = tokens_of(msgspec.json.encode(sample(schema or {"type": "object"})).decode())
    else:
        asked = [content for content in contents if content.get("role") != "model"]
        tokens = answer_tokens(_text((asked or contents)[-1]), told.tokens)
        stops = _of(config, "stop_sequences")
        if isinstance(stops, list):
            tokens = cut_at_stop(tokens, [stop for stop in stops if isinstance(stop, str)])
    limit = _number(config, "max_output_tokens")
    if limit and len(tokens) > limit:
        return _Said(tokens[:limit], "MAX_TOKENS")
    return _Said(tokens, "STOP")


def _functions(request: Json) -> list[Json]:
    tools = _listed(request.get("tools"))
    return [one for tool in tools for one in _listed(_of(tool, "function_declarations"))]


def _is_result(content: Json) -> bool:
    return any(_of(part, "function_response") for part in _listed(content.get("parts")))


def _part(said: _Said, text: str) -> Json:
    if said.tool:
        return {"functionCall": {"name": said.tool, "args": msgspec.json.decode(text)}}
    return {"text": text}


def _candidate(index: int, parts: list[Json], reason: str | None) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": index}
    return candidate if reason is None else candidate | {"finishReason": reason}


def _prompts(request: Json) -> list[str]:
    """Return what may hold directives: what has been said, or is to be embedded."""
    asked = [one for one in _listed(_inside(request).get("contents")) if one.get("role") != "model"]
    for one in [request, *_listed(request.get("requests"))]:
        asked += _listed(one.get("content"))
    return [_text(content) for content in asked]


def _inside(request: Json) -> Json:
    """Return the request whose tokens are to be counted, which may stand inside another."""
    return next(iter(_listed(_of(request, "generate_content_request"))), request)


def _prompt_tokens(request: Json) -> int:
    contents = _listed(request.get("contents"))
    system = _listed(_of(request, "system_instruction"))
    texts = [_text(content) for content in system + contents]
    return count_prompt(texts, messages=len(contents))


def _embeddings(call: LocalCall, request: Json) -> Json:
    if call.endpoint is not BATCH_EMBED:
        return {"embedding": _embedding(call.served, request)}
    requests = _listed(request.get("requests"))
    return {"embeddings": [_embedding(call.served, one) for one in requests]}


def _embedding(model: str, request: Json) -> Json:
    wanted = _number(request, "output_dimensionality")
    if not 1 <= wanted <= _MOST_DIMENSIONS:
        wanted = _DIMENSIONS.get(model, 3_072)
    return {"values": vector(_text(request.get("content") or {}), wanted)}


def _of(value: Json, name: str) -> Any:
    """Return a member in either of its spellings."""
    return value.get(camel(name), value.get(name))


def _number(value: Json, name: str) -> int:
    """Return a number in any form that the vendor takes, 0 for what is none."""
    try:
        return int(float(_of(value, name) or 0))
    except (TypeError, ValueError, OverflowError):
        return 0


def _listed(value: Any) -> list[Json]:
    """Return the objects where one may stand for several."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(content: Json) -> str:
    texts = [part.get("text") for part in _listed(content.get("parts"))]
    return "\n".join(text for text in texts if isinstance(text, str))


def _event(chunk: Json) -> bytes:
    return b"data: %b\r\n\r\n" % msgspec.json.encode(chunk)
