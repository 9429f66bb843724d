"""OpenAI's chat clients on channels that speak Anthropic's messages: what is answered.

Called through `relay.translate`.
"""

from typing import Any

import msgspec

from billing.pricing import Counts
from relay.protocols.base import EventFacts, RequestFacts
from relay.translate import chat_answers
from relay.translate.chat_to_messages import JSON_TOOL
from relay.translate.shapes import as_object, as_text, objects_of, read_answer, read_event

Json = dict[str, Any]

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def finish_reason_of(stop_reason: object, *, has_calls: bool) -> str:
    """Return why an answer has ended. Having answered in a form is no call."""
    if stop_reason == "tool_use" and not has_calls:
        return "stop"
    return _FINISH_REASONS.get(str(stop_reason), "stop")


def chat_answer(body: bytes, counts: Counts | None, facts: RequestFacts) -> bytes:
    """Return a whole message as a chat has it."""
    message = read_answer(body)
    text, thought = "", ""
    calls: list[Json] = []
    for block in objects_of(message.get("content")):
        kind = block.get("type")
        if kind == "text":
            text += as_text(block.get("text"))
        elif kind == "thinking":
            thought += as_text(block.get("thinking"))
        elif kind == "tool_use":
            arguments = msgspec.json.encode(block.get("input") or {}).decode()
            if block.get("name") == JSON_TOOL:
                text += arguments
            else:
                id_, name = str(block.get("id")), str(block.get("name"))
                calls.append(chat_answers.called(len(calls), id_, name, arguments))
    reason = finish_reason_of(message.get("stop_reason"), has_calls=bool(calls))
    choice = chat_answers.choice(text, thought, calls, finish_reason=reason)
    head = chat_answers.head(message.get("id"), message.get("model"))
    return chat_answers.whole(head, [choice], counts)


class ChatEvents:
    """Turns the events of one stream of messages into chunks of a chat."""

    __slots__ = ("_argued", "_block", "_calls", "_counts", "_head", "_wants_usage")

    def __init__(self, facts: RequestFacts) -> None:
        self._wants_usage = facts.wants_usage
        self._head = chat_answers.head(None, facts.model)
        self._counts: Counts | None = None
        self._calls = 0
        self._block: Json = {}
        self._argued = False

    def feed(self, event: bytes, facts: EventFacts) -> bytes:
        """Return the chunks for an event; see EventTranslator."""
        self._counts = facts.usage or self._counts
        said = read_event(event)
        kind = said.get("type")
        if kind == "content_block_delta":
            return self._delta(as_object(said.get("delta")))
        if kind == "content_block_start":
            return self._begin_block(as_object(said.get("content_block")))
        if kind == "content_block_stop":
            return self._end_block()
        if kind == "message_start":
            return self._begin(as_object(said.get("message")))
        if kind == "message_delta":
            stop_reason = as_object(said.get("delta")).get("stop_reason")
            if stop_reason:
                reason = finish_reason_of(stop_reason, has_calls=self._calls > 0)
                return self._chunk({}, finish_reason=reason)
        return b""

    def end(self) -> bytes:
        """Return the usage, if it was asked for, and the mark of the end."""
        if self._wants_usage and self._counts is not None:
            return chat_answers.usage_chunk(self._head, self._counts) + chat_answers.DONE
        return chat_answers.DONE

    def _chunk(self, delta: Json, finish_reason: str | None = None) -> bytes:
        return chat_answers.chunk(self._head, delta, finish_reason=finish_reason)

    def _begin(self, message: Json) -> bytes:
        model = message.get("model") or self._head.model
        self._head = chat_answers.head(message.get("id"), model)
        return self._chunk({"role": "assistant", "content": ""})

    def _begin_block(self, block: Json) -> bytes:
        self._block, self._argued = block, False
        kind = block.get("type")
        if kind == "text" and block.get("text"):
            return self._chunk({"content": block["text"]})
        if kind == "thinking" and block.get("thinking"):
            return self._chunk({"reasoning_content": block["thinking"]})
        if kind == "tool_use" and block.get("name") != JSON_TOOL:
            self._calls += 1
            id_, name = str(block.get("id")), str(block.get("name"))
            return self._chunk(chat_answers.called(self._calls - 1, id_, name, ""))
        return b""

    def _delta(self, delta: Json) -> bytes:
        if text := as_text(delta.get("text")):
            return self._chunk({"content": text})
        if thought := as_text(delta.get("thinking")):
            return self._chunk({"reasoning_content": thought})
        if arguments := as_text(delta.get("partial_json")):
            self._argued = True
            return self._arguments(arguments)
        return b""

    def _end_block(self) -> bytes:
        """End a call; one without arguments still is one with an object, for its reader."""
        block, self._block = self._block, {}
        if block.get("type") != "tool_use" or self._argued:
            return b""
        self._block = block
        arguments = self._arguments(msgspec.json.encode(block.get("input") or {}).decode())
        self._block = {}
        return arguments

    def _arguments(self, text: str) -> bytes:
        if self._block.get("name") == JSON_TOOL:
            return self._chunk({"content": text})
        return self._chunk(chat_answers.argued(self._calls - 1, text))
