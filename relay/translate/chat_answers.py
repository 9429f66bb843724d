"""Answers as OpenAI's chats have them, whole and in events. Called by the translations from chats.

Usage is what the upstream's own dialect has read, so a client is told what it is charged for.
"""

import time
from typing import Any

import msgspec

from billing.pricing import Counts, input_total

Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"


class Head(msgspec.Struct, frozen=True):
    """What is the same in every chunk of an answer. `created_at` is in seconds since 1970."""

    id: str
    model: str
    created_at: int

    def json(self, kind: str) -> Json:
        """Return the members that begin an object of a kind."""
        return {"id": self.id, "object": kind, "created": self.created_at, "model": self.model}


def head(id_: object, model: object) -> Head:
    """Return the head of an answer that an upstream names so."""
    return Head(f"chatcmpl-{id_ or 'translated'}", str(model or ""), int(time.time()))


def chunk(head: Head, delta: Json, *, index: int = 0, finish_reason: str | None = None) -> bytes:
    """Return an event with what has come for one choice."""
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _event(head.json("chat.completion.chunk") | {"choices": [choice]})


def usage_chunk(head: Head, counts: Counts) -> bytes:
    """Return the event that `include_usage` asks for."""
    usage = {"choices": [], "usage": chat_usage(counts)}
    return _event(head.json("chat.completion.chunk") | usage)


def _event(value: Json) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(value)


def called(index: int, id_: str, name: str, arguments: str, extra: Json | None = None) -> Json:
    """Return the delta that begins a call; `extra` is what its vendor wants back with it."""
    function = {"name": name, "arguments": arguments}
    call: Json = {"index": index, "id": id_, "type": "function", "function": function}
    if extra:
        call["extra_content"] = extra
    return {"tool_calls": [call]}


def argued(index: int, arguments: str) -> Json:
    """Return the delta that goes on with a call."""
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def whole(head: Head, choices: list[Json], counts: Counts | None) -> bytes:
    """Return a whole answer."""
    answer = head.json("chat.completion") | {"choices": choices}
    if counts is not None:
        answer["usage"] = chat_usage(counts)
    return msgspec.json.encode(answer)


def choice(
    text: str, thought: str, calls: list[Json], *, finish_reason: str, index: int = 0
) -> Json:
    """Return one choice of a whole answer; `calls` are the beginnings of calls, complete."""
    message: Json = {"role": "assistant", "content": text if text or not calls else None}
    message["refusal"] = None
    if thought:
        message["reasoning_content"] = thought
    if calls:
        begun = [one for call in calls for one in call["tool_calls"]]
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name != "index"} for call in begun
        ]
    ended = {"logprobs": None, "finish_reason": finish_reason}
    return {"index": index, "message": message, **ended}


def chat_usage(counts: Counts) -> Json:
    """Return disjoint counts as OpenAI reports them: details are part of what they detail."""
    prompt = input_total(counts)
    completion = counts.output + counts.reasoning + counts.audio_out
    written = counts.cache_write_5m + counts.cache_write_1h
    asked = {"cached_tokens": counts.cached_input, "audio_tokens": counts.audio_in}
    if written:
        asked["cache_write_tokens"] = written
    answered = {"reasoning_tokens": counts.reasoning, "audio_tokens": counts.audio_out}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": asked,
        "completion_tokens_details": answered,
    }
