"""Clients of OpenAI's responses on channels that speak chats: what is answered.

The last events of a response repeat all of it, so what was written is kept until then: the one
translation that remembers more than it has to tell. Called through `relay.translate`.
"""

import time
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from billing.pricing import Counts, input_total
from relay.protocols.base import EventFacts, RequestFacts
from relay.translate.responses_conversation import REASONING, split_name
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
Kind = Literal["reasoning", "message", "refusal", "function_call"]

_PREFIXES = {"reasoning": "rs", "message": "msg", "refusal": "msg", "function_call": "fc"}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class _Item:
    """An item of the output; `pieces` are what has been written into it."""

    __slots__ = ("call_id", "id", "is_open", "kind", "name", "pieces", "place")

    def __init__(self, kind: Kind, place: int, answer_id: str) -> None:
        self.kind = kind
        self.place = place
        self.id = f"{_PREFIXES[kind]}_{answer_id}_{place}"
        self.call_id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.is_open = True

    def part(self, text: str) -> Json:
        """Return the part that holds a text."""
        if self.kind == "reasoning":
            return {"type": "summary_text", "text": text}
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def json(self) -> Json:
        """Return the item as it is now; nothing is told of its content while it is open."""
        text = "" if self.is_open else "".join(self.pieces)
        parts = [] if self.is_open else [self.part(text)]
        if self.kind == "reasoning":
            sealed = {"encrypted_content": REASONING}
            return {"type": "reasoning", "id": self.id, "summary": parts, **sealed}
        status = "in_progress" if self.is_open else "completed"
        if self.kind == "function_call":
            namespace, name = split_name(self.name)
            named = {"namespace": namespace, "name": name} if namespace else {"name": name}
            call = {"call_id": self.call_id, **named, "arguments": text}
            return {"type": "function_call", "id": self.id, "status": status, **call}
        said = {"role": "assistant", "content": parts}
        return {"type": "message", "id": self.id, "status": status, **said}


class _Output:
    """What a response has come to: its items in order, and the head that they stand under."""

    def __init__(self, model: str) -> None:
        self.id = ""
        self.model = model
        self.created_at = int(time.time())
        self.items: list[_Item] = []
        self.finish_reason = ""

    def begin(self, answer: Json) -> None:
        """Take over who answers."""
        self.id = as_text(answer.get("id")).removeprefix("chatcmpl-") or "translated"
        self.model = as_text(answer.get("model")) or self.model

    def item(self, kind: Kind) -> _Item:
        """Return a new item, the last one."""
        self.items.append(_Item(kind, len(self.items), self.id))
        return self.items[-1]

    def call(self, call: Json) -> _Item:
        """Return the item of a call that begins."""
        item = self.item("function_call")
        item.name = as_text(as_object(call.get("function")).get("name"))
        item.call_id = as_text(call.get("id")) or f"call_{self.id}_{item.place}"
        return item

    def json(self, *, counts: Counts | None = None, is_over: bool = False) -> Json:
        """Return the response."""
        reason = _INCOMPLETE.get(self.finish_reason) if is_over else None
        over = "incomplete" if reason else "completed"
        return {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": self.created_at,
            "status": over if is_over else "in_progress",
            "error": None,
            "incomplete_details": {"reason": reason} if reason else None,
            "instructions": None,
            "metadata": {},
            "model": self.model,
            "output": [item.json() for item in self.items] if is_over else [],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "store": False,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "usage": None if counts is None else _usage(counts),
        }


def response_answer(body: bytes, counts: Counts | None, facts: RequestFacts) -> bytes:
    """Return a whole chat as a response."""
    answer = read_answer(body)
    output = _Output(facts.model)
    output.begin(answer)
    choice = next(objects_of(answer.get("choices")), {})
    said = as_object(choice.get("message"))
    output.finish_reason = as_text(choice.get("finish_reason"))
    written: tuple[tuple[Kind, str], ...] = (
        ("reasoning", thought_of(said)),
        ("message", text_of(said)),
        ("refusal", as_text(said.get("refusal"))),
    )
    for kind, text in written:
        if text:
            output.item(kind).pieces.append(text)
    for call in objects_of(said.get("tool_calls")):
        arguments = as_text(as_object(call.get("function")).get("arguments"))
        output.call(call).pieces.append(arguments or "{}")
    for item in output.items:
        item.is_open = False
    return msgspec.json.encode(output.json(counts=counts, is_over=True))


def _usage(counts: Counts) -> Json:
    asked = input_total(counts)
    written = counts.output + counts.reasoning + counts.audio_out
    cache_writes = counts.cache_write_5m + counts.cache_write_1h
    return {
        "input_tokens": asked,
        "input_tokens_details": {
            "cached_tokens": counts.cached_input,
            "cache_write_tokens": cache_writes,
        },
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": asked + written,
    }


class ResponseEvents:
    """Turns the chunks of one chat into the events of a response."""

    __slots__ = ("_calls", "_counts", "_number", "_output")

    def __init__(self, facts: RequestFacts) -> None:
        self._output = _Output(facts.model)
        self._counts: Counts | None = None
        self._calls: dict[int, _Item] = {}
        self._number = 0

    def feed(self, event: bytes, facts: EventFacts) -> bytes:
        """Return the events for a chunk; see EventTranslator."""
        self._counts = facts.usage or self._counts
        chunk = read_event(event)
        choice = next(objects_of(chunk.get("choices")), None)
        if choice is None:
            return b""
        output = self._output
        output.finish_reason = as_text(choice.get("finish_reason")) or output.finish_reason
        return b"".join([*self._begin(chunk), *self._said(as_object(choice.get("delta")))])

    def end(self) -> bytes:
        """Return the end of what is open, and the whole response once more."""
        told = [*self._begin({}), *self._close()]
        response = self._output.json(counts=self._counts, is_over=True)
        told.append(self._event(f"response.{response['status']}", response=response))
        return b"".join(told)

    def _event(self, kind: str, **members: Any) -> bytes:
        told = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(told))

    def _begin(self, chunk: Json) -> Iterator[bytes]:
        if not self._output.id:
            self._output.begin(chunk)
            yield self._event("response.created", response=self._output.json())
            yield self._event("response.in_progress", response=self._output.json())

    def _said(self, delta: Json) -> Iterator[bytes]:
        if thought := thought_of(delta):
            yield from self._written("reasoning", thought)
        if text := text_of(delta):
            yield from self._written("message", text)
        if refusal := as_text(delta.get("refusal")):
            yield from self._written("refusal", refusal)
        for call in objects_of(delta.get("tool_calls")):
            yield from self._called(call)

    def _written(self, kind: Kind, text: str) -> Iterator[bytes]:
        items = self._output.items
        if not items or items[-1].kind != kind:
            yield from self._close()
            item = self._output.item(kind)
            yield self._added(item)
            yield self._event(f"{_STEM[kind][0]}.added", **self._at(item), part=item.part(""))
        item = items[-1]
        item.pieces.append(text)
        yield self._event(f"{_STEM[kind][1]}.delta", **self._at(item), delta=text)

    def _called(self, call: Json) -> Iterator[bytes]:
        """Pass a call on; several at once may be written in turns, so none is closed yet."""
        at = as_index(call.get("index"))
        if at not in self._calls:
            if not self._calls:
                yield from self._close()
            self._calls[at] = self._output.call(call)
            yield self._added(self._calls[at])
        item = self._calls[at]
        arguments = as_text(as_object(call.get("function")).get("arguments"))
        if arguments:
            item.pieces.append(arguments)
            yield self._event(f"{_ARGUMENTS}.delta", **self._at(item), delta=arguments)

    def _added(self, item: _Item) -> bytes:
        place = item.place
        return self._event("response.output_item.added", output_index=place, item=item.json())

    def _at(self, item: _Item) -> Json:
        at: Json = {"item_id": item.id, "output_index": item.place}
        if item.kind == "reasoning":
            at["summary_index"] = 0
        elif item.kind != "function_call":
            at["content_index"] = 0
        return at

    def _close(self) -> Iterator[bytes]:
        for item in self._output.items:
            if item.is_open:
                item.is_open = False
                yield from self._closed(item)

    def _closed(self, item: _Item) -> Iterator[bytes]:
        at = self._at(item)
        if item.kind == "function_call":
            item.pieces = item.pieces or ["{}"]
            done = {"name": item.name, "arguments": "".join(item.pieces)}
            yield self._event(f"{_ARGUMENTS}.done", **at, **done)
        else:
            part = item.part("".join(item.pieces))
            member = "refusal" if item.kind == "refusal" else "text"
            whole, written = _STEM[item.kind]
            yield self._event(f"{written}.done", **at, **{member: part[member]})
            yield self._event(f"{whole}.done", **at, part=part)
        place = item.place
        yield self._event("response.output_item.done", output_index=place, item=item.json())


_ARGUMENTS = "response.function_call_arguments"
_STEM = {
    "reasoning": ("response.reasoning_summary_part", "response.reasoning_summary_text"),
    "message": ("response.content_part", "response.output_text"),
    "refusal": ("response.content_part", "response.refusal"),
}
