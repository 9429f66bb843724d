"""Anthropic's clients on channels that speak OpenAI's chats: what is answered.

Called through `relay.translate`.
"""

from typing import Any

import msgspec

from billing.pricing import Counts
from relay.protocols.anthropic import MessagesFacts
from relay.protocols.base import EventFacts, RequestFacts
from relay.translate.messages_conversation import REASONING
from relay.translate.shapes import (
    as_index,
    as_object,
    as_text,
    objects_of,
    read_answer,
    read_event,
    text_of,
    thought_of,
)

Json = dict[str, Any]

_ANY = msgspec.json.Decoder()
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_NO_COUNTS = Counts()


def _wants_thinking(facts: RequestFacts) -> bool:
    """Say whether a client has asked for thinking; others look for text in the first block."""
    thinking = facts.thinking if isinstance(facts, MessagesFacts) else b""
    return bool(thinking) and b'"disabled"' not in thinking


def message_answer(body: bytes, counts: Counts | None, facts: RequestFacts) -> bytes:
    """Return a whole chat as a message."""
    answer = read_answer(body)
    choice = next(objects_of(answer.get("choices")), {})
    said = as_object(choice.get("message"))
    content: list[Json] = []
    if (thought := thought_of(said)) and _wants_thinking(facts):
        content.append({"type": "thinking", "thinking": thought, "signature": REASONING})
    if text := _text_of(said):
        content.append({"type": "text", "text": text})
    calls = list(objects_of(said.get("tool_calls")))
    content += [_tool_use(answer, call, at) for at, call in enumerate(calls)]
    message = _message(answer)
    message["content"] = content
    message["stop_reason"] = _stop_reason(
        choice.get("finish_reason"), has_calls=bool(calls), is_refusal=bool(said.get("refusal"))
    )
    message["usage"] = _usage(counts or _NO_COUNTS)
    return msgspec.json.encode(message)


def _message(answer: Json) -> Json:
    """Return a message that has nothing yet."""
    return {
        "id": _id_of(answer),
        "type": "message",
        "role": "assistant",
        "model": as_text(answer.get("model")),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _id_of(answer: Json) -> str:
    return f"msg_{as_text(answer.get('id')).removeprefix('chatcmpl-') or 'translated'}"


def _text_of(said: Json) -> str:
    return text_of(said) + as_text(said.get("refusal"))


def _call_id(answer_id: str, call: Json, at: int) -> str:
    return as_text(call.get("id")) or f"toolu_{answer_id.removeprefix('msg_')}_{at}"


def _tool_use(answer: Json, call: Json, at: int) -> Json:
    """Return a call; arguments that are no object stay as they are under a name of their own."""
    function = as_object(call.get("function"))
    arguments = as_text(function.get("arguments"))
    try:
        given = _ANY.decode(arguments) if arguments.strip() else {}
    except (msgspec.DecodeError, RecursionError):
        given = None
    return {
        "type": "tool_use",
        "id": _call_id(_id_of(answer), call, at),
        "name": as_text(function.get("name")),
        "input": given if isinstance(given, dict) else {"arguments": arguments},
    }


def _stop_reason(reason: object, *, has_calls: bool, is_refusal: bool) -> str:
    if is_refusal:
        return "refusal"
    stopped = _STOP_REASONS.get(str(reason), "end_turn")
    return "tool_use" if stopped == "end_turn" and has_calls else stopped


def _usage(counts: Counts) -> Json:
    """Return disjoint counts as Anthropic reports them."""
    return {
        "input_tokens": counts.input + counts.audio_in,
        "cache_creation_input_tokens": counts.cache_write_5m + counts.cache_write_1h,
        "cache_read_input_tokens": counts.cached_input,
        "output_tokens": counts.output + counts.reasoning + counts.audio_out,
    }


def _event(kind: str, **members: Any) -> bytes:
    data = msgspec.json.encode({"type": kind, **members})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


class MessageEvents:
    """Turns the chunks of one chat into the events of a message.

    A block is open until another begins. Usage comes last in a chat, after the reason why it
    stopped, so both are told at the very end; at the beginning the prompt is not counted yet.
    """

    __slots__ = (
        "_blocks",
        "_calls",
        "_counts",
        "_id",
        "_is_refusal",
        "_model",
        "_open",
        "_reason",
        "_wants_thinking",
    )

    def __init__(self, facts: RequestFacts) -> None:
        self._model = facts.model
        self._id = ""
        self._counts = _NO_COUNTS
        self._blocks = 0
        self._open = ""
        self._calls: dict[int, int] = {}
        self._reason: object = None
        self._is_refusal = False
        self._wants_thinking = _wants_thinking(facts)

    def feed(self, event: bytes, facts: EventFacts) -> bytes:
        """Return the events for a chunk; see EventTranslator."""
        self._counts = facts.usage or self._counts
        chunk = read_event(event)
        choice = next(objects_of(chunk.get("choices")), None)
        if choice is None:
            return b""
        self._reason = choice.get("finish_reason") or self._reason
        return self._begin(chunk) + self._delta(as_object(choice.get("delta")))

    def end(self) -> bytes:
        """Return the end of the last block, why the message stopped, and what it used."""
        reason = _stop_reason(
            self._reason, has_calls=bool(self._calls), is_refusal=self._is_refusal
        )
        delta = {"stop_reason": reason, "stop_sequence": None}
        told = _event("message_delta", delta=delta, usage=_usage(self._counts))
        return self._begin({}) + self._close() + told + _event("message_stop")

    def _begin(self, chunk: Json) -> bytes:
        if self._id:
            return b""
        message = _message({"model": self._model} | chunk)
        self._id = message["id"]
        return _event("message_start", message=message | {"usage": _usage(_NO_COUNTS)})

    def _delta(self, delta: Json) -> bytes:
        told = b""
        if self._wants_thinking and (thought := thought_of(delta)):
            told += self._open_block("thinking", {"thinking": "", "signature": ""})
            told += self._written({"type": "thinking_delta", "thinking": thought})
        if text := _text_of(delta):
            told += self._open_block("text", {"text": ""})
            told += self._written({"type": "text_delta", "text": text})
        self._is_refusal = self._is_refusal or bool(delta.get("refusal"))
        for call in objects_of(delta.get("tool_calls")):
            told += self._called(call)
        return told

    def _called(self, call: Json) -> bytes:
        at = as_index(call.get("index"))
        function = as_object(call.get("function"))
        told = b""
        if at not in self._calls:
            begun = {"id": _call_id(self._id, call, at), "name": as_text(function.get("name"))}
            told = self._open_block("tool_use", begun | {"input": {}}, is_another=True)
            self._calls[at] = self._blocks - 1
        if arguments := as_text(function.get("arguments")):
            delta = {"type": "input_json_delta", "partial_json": arguments}
            told += _event("content_block_delta", index=self._calls[at], delta=delta)
        return told

    def _open_block(self, kind: str, begun: Json, *, is_another: bool = False) -> bytes:
        """Begin a block, unless one of this kind is open and may go on."""
        if self._open == kind and not is_another:
            return b""
        told = self._close()
        self._open = kind
        self._blocks += 1
        block = {"type": kind, **begun}
        return told + _event("content_block_start", index=self._blocks - 1, content_block=block)

    def _written(self, delta: Json) -> bytes:
        return _event("content_block_delta", index=self._blocks - 1, delta=delta)

    def _close(self) -> bytes:
        if not self._open:
            return b""
        told = b""
        if self._open == "thinking":
            told = self._written({"type": "signature_delta", "signature": REASONING})
        self._open = ""
        return told + _event("content_block_stop", index=self._blocks - 1)
