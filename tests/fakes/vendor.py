"""What the fake upstream says: an OpenAI-compatible vendor as pure functions over requests.

Independent of the code under test on purpose: its usage is what the relay must charge, so it is
made up by a rule of its own (a word is a token; a prompt costs 7 and a third of its bytes).
"""

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

Json = dict[str, Any]

WORDS = re.findall(
    r"\w+",
    "the time people water world life hand part place case week company system program question"
    " work number night point home room mother area money story fact month right study book",
)
CHARACTERS = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过"
)
DEFAULT_TOKENS = 12
TOOL_ARGUMENTS = '{"city": "Beijing", "days": 3}'

_DIRECTIVE = re.compile(r"\[fake ([^\]]*)\]")
_REF = re.compile(r"\[ref=([^\]]+)\]")


@dataclass
class Script:
    """What one request is told to get; every field is a directive of that name."""

    status: int = 200
    retry_after: int = 0
    code: str = ""
    html: bool = False
    empty: bool = False
    truncated: bool = False
    drop_before_headers: bool = False
    hang: bool = False
    silent_ms: int = 0
    pause_ms: int = 0
    delay_ms: int = 0
    cut: int = -1
    error_event: int = -1
    role_then_error: bool = False
    junk: int = -1
    no_done: bool = False
    no_finish: bool = False
    crlf: bool = False
    ping: bool = False
    split: int = 0
    gzip: bool = False
    headers: bool = False
    usage: str = "asked"
    cached: int = 0
    reasoning: int = 0
    tokens: int = DEFAULT_TOKENS
    chunk_chars: int = 0
    lang: str = "en"
    tool: bool = False
    refusal: bool = False
    echo: bool = False

    def read(self, text: str) -> None:
        """Take over the directives of a text: words that are flags, or name=value."""
        for word in re.split(r"[\s,]+", text.strip()):
            name, _, value = word.partition("=")
            known = getattr(self, name, None)
            if isinstance(known, bool):
                setattr(self, name, True)
            elif isinstance(known, int):
                setattr(self, name, int(value))
            elif isinstance(known, str):
                setattr(self, name, value)


@dataclass
class Truth:
    """What really happened to one request, as its vendor saw it."""

    path: str
    model: str
    stream: bool
    ref: str
    prompt: str
    headers: dict[str, str]
    body: str
    query: str = ""
    status: int = 0
    text: str = ""
    pieces: int = 0
    usage: Json | None = None
    ended: str = "open"

    @property
    def finished(self) -> bool:
        """Return whether the answer went out whole."""
        return self.ended == "whole"

    @property
    def closed_by_client(self) -> bool:
        """Return whether the relay hung up first."""
        return self.ended == "client_gone"


@dataclass
class Answer:
    """An answer as pieces to send; `pieces` are texts of the model, the rest is around them."""

    request: Json
    script: Script
    chat: bool
    pieces: list[str] = field(default_factory=list)
    finish_reason: str = "stop"
    usage: Json = field(default_factory=dict)


def last_prompt(request: Json) -> str:
    """Return the text that directives and refs are looked for in."""
    messages = request.get("messages")
    if isinstance(messages, list) and messages:
        users = [m for m in messages if m.get("role") == "user"] or messages
        return text_of(users[-1].get("content"))
    return text_of(request.get("prompt", request.get("input")))


def text_of(content: Any) -> str:
    """Return the text of a content in any form."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return text_of(content.get("text"))
    return " ".join(text_of(item) for item in content) if isinstance(content, list) else ""


def tell(script: Script, prompt: str, prefix: str = "") -> None:
    """Tell a script what a prompt asks for, on top of what the base URL's path does."""
    script.read(prefix.replace("/", " "))
    for directive in _DIRECTIVE.findall(prompt):
        script.read(directive)


def ref_of(prompt: str) -> str:
    """Return the tag by which a test finds its request again."""
    found = _REF.search(prompt)
    return found[1] if found else ""


def answer_to(request: Json, script: Script, *, chat: bool) -> Answer:
    """Return what a chat or completion gets, within the request's limit."""
    words = list(islice(cycle(CHARACTERS if script.lang == "zh" else WORDS), script.tokens))
    if script.lang != "zh":
        words = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
    if script.echo:
        words = re.split(r"(?= )", last_prompt(request))
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    answer = Answer(request, script, chat)
    if limit is not None and len(words) > limit:
        words, answer.finish_reason = words[:limit], "length"
    if script.tool:
        words, answer.finish_reason = [TOOL_ARGUMENTS], "tool_calls"
    answer.pieces = _pieces("".join(words), script.chunk_chars) if script.chunk_chars else words
    written = len(words) * (request.get("n") or 1) + script.reasoning
    answer.usage = usage_of(request, script, written)
    return answer


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def usage_of(request: Json, script: Script, written: int | None) -> Json:
    """Return the vendor's own count; `written` None for an answer without tokens."""
    texts = [text_of(message.get("content")) for message in request.get("messages") or ()]
    texts.append(text_of(request.get("prompt", request.get("input"))))
    asked = 7 + len("".join(texts).encode()) // 3
    usage: Json = {"prompt_tokens": asked + script.cached}
    if written is not None:
        usage["completion_tokens"] = written
    usage["total_tokens"] = usage["prompt_tokens"] + (written or 0)
    if script.cached:
        usage["prompt_tokens_details"] = {"cached_tokens": script.cached, "audio_tokens": 0}
    if script.reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": script.reasoning}
    return usage


def whole(answer: Answer) -> Json:
    """Return an answer that does not stream."""
    text = "".join(answer.pieces)
    choices = [_choice(answer, index, text) for index in range(answer.request.get("n") or 1)]
    body = _head(answer, "chat.completion" if answer.chat else "text_completion")
    body["choices"] = choices
    if answer.script.usage == "null":
        body["usage"] = None
    elif answer.script.usage != "none":
        body["usage"] = answer.usage
    return body


def _choice(answer: Answer, index: int, text: str) -> Json:
    choice: Json = {"index": index, "logprobs": None, "finish_reason": answer.finish_reason}
    if not answer.chat:
        return choice | {"text": text}
    message: Json = {"role": "assistant", "content": text}
    if answer.script.tool:
        message = {"role": "assistant", "content": None, "tool_calls": [_call(text)]}
    elif answer.script.refusal:
        message = {"role": "assistant", "content": None, "refusal": text}
    return choice | {"message": message}


def _call(arguments: str) -> Json:
    function = {"name": "get_weather", "arguments": arguments}
    return {"id": "call_fake", "type": "function", "function": function}


def chunks(answer: Answer) -> Iterator[tuple[str, Json]]:
    """Yield the chunks of a stream, each with the text of the model in it ("" for the frame)."""
    count = answer.request.get("n") or 1
    for index in range(count):
        if answer.chat:
            yield "", _chunk(answer, index, {"role": "assistant", "content": ""}, done=0)
    for number, piece in enumerate(answer.pieces):
        for index in range(count):
            delta = _delta(answer, piece, is_first=number == 0)
            yield piece, _chunk(answer, index, delta, done=number + 1)
    for index in range(count):
        if not answer.script.no_finish:
            yield "", _chunk(answer, index, {}, done=len(answer.pieces), ends=True)


def _delta(answer: Answer, piece: str, *, is_first: bool) -> Json:
    if answer.script.refusal:
        return {"refusal": piece}
    if not answer.script.tool:
        return {"content": piece}
    call = _call(piece) if is_first else {"function": {"arguments": piece}}
    return {"tool_calls": [{"index": 0} | call]}


def _chunk(answer: Answer, index: int, delta: Json, *, done: int, ends: bool = False) -> Json:
    chunk = _head(answer, "chat.completion.chunk" if answer.chat else "text_completion")
    choice: Json = {"index": index, "logprobs": None, "finish_reason": None}
    if ends:
        choice["finish_reason"] = answer.finish_reason
    choice |= {"delta": delta} if answer.chat else {"text": delta.get("content", "")}
    chunk["choices"] = [choice]
    mode = answer.script.usage
    if mode == "each":
        chunk["usage"] = _running_usage(answer, done)
    elif mode == "last" and ends:
        chunk["usage"] = answer.usage
    elif mode == "null" or (mode == "asked" and asks_usage(answer.request)):
        chunk["usage"] = None
    return chunk


def _running_usage(answer: Answer, done: int) -> Json:
    written = answer.usage["completion_tokens"] * done // (len(answer.pieces) or 1)
    return usage_of(answer.request, answer.script, written)


def asks_usage(request: Json) -> bool:
    """Return whether a streaming request asks for a last chunk with usage."""
    return bool((request.get("stream_options") or {}).get("include_usage"))


def usage_chunk(answer: Answer) -> Json:
    """Return the last chunk of a stream whose request asked for usage."""
    kind = "chat.completion.chunk" if answer.chat else "text_completion"
    return _head(answer, kind) | {"choices": [], "usage": answer.usage}


def _head(answer: Answer, kind: str) -> Json:
    return {
        "id": "chatcmpl-fake",
        "object": kind,
        "created": 1_763_770_000,
        "model": answer.request.get("model"),
        "system_fingerprint": "fp_fake",
    }


def embeddings(request: Json, script: Script) -> Json:
    """Return vectors of eight numbers, as floats or in base64."""
    given = request["input"]
    items = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    packed = request.get("encoding_format") == "base64"
    usage = usage_of(request, script, None)
    body: Json = {"object": "list", "model": request.get("model"), "data": []}
    for index, item in enumerate(items):
        raw = struct.pack(
            "<8f", *(byte / 255 for byte in hashlib.sha256(repr(item).encode()).digest()[:8])
        )
        vector = base64.b64encode(raw).decode() if packed else list(struct.unpack("<8f", raw))
        body["data"].append({"object": "embedding", "index": index, "embedding": vector})
    return body if script.usage == "none" else body | {"usage": usage}


def error_body(status: int, code: str = "", *, quoting: str = "") -> Json:
    """Return the vendor's error for a status, with account details that must not get out.

    `quoting` is what some vendors repeat of the request.
    """
    type_, usual = {
        400: ("invalid_request_error", None),
        401: ("invalid_request_error", "invalid_api_key"),
        404: ("invalid_request_error", "model_not_found"),
        429: ("requests", "rate_limit_exceeded"),
    }.get(status, ("server_error", None))
    message = f"Fake trouble {status} for org-FakeOrg123456 with key sk-fake-secret-part. {quoting}"
    return {"error": {"message": message, "type": type_, "param": None, "code": code or usual}}


def encode(value: Json) -> bytes:
    """Return JSON as this vendor writes it: compact, nothing escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
