"""Dialects as their clients and vendors see them: what is asked, the stages of a stream, its text.

Read here by other means than the relay's. A new dialect is one client, one vendor, and the pairs
that are to work together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.relay.asking import CHAT, chat
from tests.relay.vendors import DONE, Got, Json, event, finish, said, usage
from tests.relay.wire.peers import CHUNKED, chunk

USED = (11, 22)
FIRST, SECOND = "one two", " three four five"


@dataclass
class Client:
    """What a client asks for with a prompt, and what it makes of a stream."""

    path: str
    ask: Callable[[str], Json]
    text: Callable[[Got], str]
    is_finished: Callable[[Got], bool]


@dataclass
class Vendor:
    """A kind of upstream; `stages` is what it has sent at each stage of its stream."""

    provider: str
    stages: dict[str, list[bytes]]


def prompt_of(request: Json) -> str:
    """Return the last prompt of a request in any dialect."""
    if "contents" in request:
        return str(request["contents"][-1]["parts"][0]["text"])
    asked: Any = request.get("messages") or request.get("input") or request.get("prompt")
    return asked if isinstance(asked, str) else _text(asked[-1]["content"])


def _text(content: Any) -> str:
    return content if isinstance(content, str) else str(content[0]["text"])


def in_order(*parts: tuple[str, bytes]) -> dict[str, list[bytes]]:
    """Return the stages of an answer: each name with all that was sent up to there."""
    pieces = [piece for _, piece in parts]
    return {name: pieces[: number + 1] for number, (name, _) in enumerate(parts)}


def _choices(got: Got) -> list[Json]:
    return [choice for part in got.chunks for choice in part.get("choices") or ()]


def _of_type(got: Got, name: str) -> list[Json]:
    return [part for part in got.chunks if part.get("type") == name]


def _message_text(got: Got) -> str:
    deltas = [part["delta"] for part in _of_type(got, "content_block_delta")]
    return "".join(delta.get("text", "") for delta in deltas)


def _candidates(got: Got) -> list[Json]:
    return [one for part in got.chunks for one in part.get("candidates", ())]


def _generated_text(got: Got) -> str:
    contents = [one.get("content", {}) for one in _candidates(got)]
    return "".join(part["text"] for content in contents for part in content.get("parts", ()))


def _messages(name: str) -> Json:
    asked = [{"role": "user", "content": name}]
    return {"model": "gpt-4", "max_tokens": 999, "messages": asked, "stream": True}


CLIENTS = {
    "chat": Client(
        CHAT,
        lambda name: chat(name, stream=True),
        lambda got: got.text,
        lambda got: got.is_finished,
    ),
    "completions": Client(
        "/v1/completions",
        lambda name: {"model": "gpt-4", "prompt": name, "stream": True},
        lambda got: "".join(choice["text"] for choice in _choices(got)),
        lambda got: got.is_finished,
    ),
    "messages": Client(
        "/v1/messages",
        _messages,
        _message_text,
        lambda got: any(d["delta"].get("stop_reason") for d in _of_type(got, "message_delta")),
    ),
    "gemini": Client(
        "/v1beta/models/gpt-4:streamGenerateContent?alt=sse",
        lambda name: {"contents": [{"role": "user", "parts": [{"text": name}]}]},
        _generated_text,
        lambda got: any(one.get("finishReason") for one in _candidates(got)),
    ),
    "responses": Client(
        "/v1/responses",
        lambda name: {"model": "gpt-4", "input": name, "stream": True},
        lambda got: "".join(d["delta"] for d in _of_type(got, "response.output_text.delta")),
        lambda got: bool(_of_type(got, "response.completed")),
    ),
}


def _completion(text: str, **more: object) -> bytes:
    return event({"choices": [{"index": 0, "text": text, "finish_reason": None, **more}]})


def _named(value: Json) -> bytes:
    return b"event: %b\n%b" % (str(value["type"]).encode(), event(value))


def _delta(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return _named({"type": "content_block_delta", "index": 0, "delta": delta})


_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m"}
_BLOCK = {"type": "text", "text": ""}


def _generated(text: str, **more: object) -> bytes:
    content = {"role": "model", "parts": [{"text": text}]}
    return event({"candidates": [{"index": 0, "content": content}], **more})


def _end_of_generated() -> bytes:
    counts = dict(zip(("promptTokenCount", "candidatesTokenCount"), USED, strict=True))
    ended = {"index": 0, "content": {"role": "model", "parts": [{"text": ""}]}}
    return event({"candidates": [ended | {"finishReason": "STOP"}], "usageMetadata": counts})


def _response(kind: str, **more: object) -> bytes:
    response = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
    return _named({"type": kind, "response": {**response, **more}})


def _output_text(text: str) -> bytes:
    return _named({"type": "response.output_text.delta", "output_index": 0, "delta": text})


_WRITTEN = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": FIRST + SECOND}],
}

VENDORS = {
    "chat": Vendor(
        "openai",
        in_order(
            ("nothing", b""),
            ("half of its head", CHUNKED[:40]),
            ("its head", CHUNKED[40:]),
            ("its role", chunk(event({"choices": [{"index": 0, "delta": {"role": "a"}}]}))),
            ("half of an event", chunk(said(FIRST)[:30])),
            ("content", chunk(said(FIRST)[30:])),
            ("half of a chunk", chunk(said(SECOND))[:50]),
            ("more content", chunk(said(SECOND))[50:]),
            ("its finish", chunk(finish())),
            ("its usage", chunk(usage(*USED))),
            ("its mark", chunk(DONE)),
        ),
    ),
    "completions": Vendor(
        "openai",
        in_order(
            ("its head", CHUNKED),
            ("content", chunk(_completion(FIRST))),
            ("its finish", chunk(_completion(SECOND, finish_reason="stop"))),
            ("its usage", chunk(usage(*USED))),
        ),
    ),
    "messages": Vendor(
        "anthropic",
        in_order(
            ("its head", CHUNKED),
            (
                "its start",
                chunk(
                    _named(
                        {
                            "type": "message_start",
                            "message": {
                                **_MESSAGE,
                                "usage": {"input_tokens": USED[0], "output_tokens": 1},
                            },
                        }
                    )
                    + _named({"type": "content_block_start", "index": 0, "content_block": _BLOCK})
                ),
            ),
            ("a ping", chunk(_named({"type": "ping"}))),
            ("content", chunk(_delta(FIRST))),
            ("half of an event", chunk(_delta(SECOND)[:60])),
            ("more content", chunk(_delta(SECOND)[60:])),
            (
                "its usage",
                chunk(
                    _named({"type": "content_block_stop", "index": 0})
                    + _named(
                        {
                            "type": "message_delta",
                            "delta": {"stop_reason": "end_turn"},
                            "usage": {"output_tokens": USED[1]},
                        }
                    )
                ),
            ),
            ("its mark", chunk(_named({"type": "message_stop"}))),
        ),
    ),
    "gemini": Vendor(
        "gemini",
        in_order(
            ("its head", CHUNKED),
            ("content", chunk(_generated(FIRST))),
            ("half of an event", chunk(_generated(SECOND)[:60])),
            ("more content", chunk(_generated(SECOND)[60:])),
            ("its usage", chunk(_end_of_generated())),
        ),
    ),
    "responses": Vendor(
        "openai",
        in_order(
            ("its head", CHUNKED),
            ("its start", chunk(_response("response.created"))),
            ("content", chunk(_output_text(FIRST))),
            ("half of an event", chunk(_output_text(SECOND)[:60])),
            ("more content", chunk(_output_text(SECOND)[60:])),
            (
                "its usage",
                chunk(
                    _response(
                        "response.completed",
                        status="completed",
                        output=[_WRITTEN],
                        usage={"input_tokens": USED[0], "output_tokens": USED[1]},
                    )
                ),
            ),
        ),
    ),
}

PAIRS = (
    *((name, name) for name in CLIENTS),
    ("chat", "messages"),
    ("chat", "gemini"),
    ("messages", "chat"),
    ("responses", "messages"),
)
MORE_PAIRS = (("messages", "gemini"), ("responses", "gemini"))
"""Client and vendor, of one dialect or with a translation between; the second ones in proofs."""
