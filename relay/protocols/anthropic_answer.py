"""What an answer in Anthropic's dialect says, whole or in events.

Only what metering and routing need is read; what is forwarded is the upstream's own bytes. Called
through `relay.protocols.anthropic`.
"""

from typing import Any

import msgspec
from msgspec import Raw

from billing.pricing import Counts
from relay.protocols.anthropic_content import ABSENT
from relay.protocols.anthropic_usage import (
    Usage,
    counts_of,
    merged,
    read_usage,
    with_search,
)
from relay.protocols.base import AnswerFacts, EventFacts
from relay.protocols.leniency import UNREADABLE
from relay.sse import event_data

MALFORMED = b'{"type":"error","error":{"type":"api_error","message":"malformed answer"}}'
"""Stands for an answer that can't be read; classified like any error of the upstream."""


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    content: Raw = ABSENT


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: dict[str, Any] | None = None
    content_block: _Block | None = None
    message: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT


class _Answer(msgspec.Struct, gc=False):
    type: str = ""
    id: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    input_tokens: int | None = None


_EVENT = msgspec.json.Decoder(_Event)
_ANSWER = msgspec.json.Decoder(_Answer)

_NOTHING = EventFacts()
_DONE = EventFacts(done=True)
_NULL = Raw(b"null")
_FREE = Counts()
_COMPACTION = "compaction"
_NO_INPUT = frozenset({b"{}", b"null"})


class EventReader:
    """Reads the events of one stream, one after the other.

    `usage` is None until the model has delivered something or the stream has come to its end:
    what `message_start` says of the prompt is no delivery.
    """

    __slots__ = ("_keeps_thread", "_known", "finished", "usage")

    def __init__(self, *, keeps_thread: bool = False) -> None:
        self.usage: Counts | None = None
        self.finished = False
        self._known: Usage | None = None
        self._keeps_thread = keeps_thread

    def read(self, event: bytes) -> EventFacts:
        """Return what a whole event says."""
        data = _data(event)
        if data is None or not data.strip():
            return _NOTHING
        try:
            said = _EVENT.decode(data)
        except UNREADABLE:
            return EventFacts(error=MALFORMED)
        if said.type == "content_block_delta":
            return self._written(_delta_text(said.delta or {}))
        if said.type == "error" or (said.error and said.error != _NULL):
            return EventFacts(error=data)
        return self._about_message(said, event)

    def _about_message(self, said: _Event, event: bytes) -> EventFacts:
        if said.type == "content_block_start":
            block = said.content_block or _Block()
            if self._known is not None and _is_search(block):
                self._known = with_search(self._known)
                return EventFacts(has_content=True, usage=counts_of(self._known))
            return self._written(_block_text(block), is_content=_is_content(block))
        if said.type == "message_start":
            return self._started(said)
        if said.type == "message_delta":
            return self._ended(said)
        if said.type == "message_stop":
            return _DONE
        return EventFacts(error=MALFORMED) if event.startswith(b"event: error") else _NOTHING

    def _written(self, text: str, *, is_content: bool = False) -> EventFacts:
        if not text and not is_content:
            return _NOTHING
        if self.usage is None and self._known is not None:
            self.usage = counts_of(self._known)
        return EventFacts(text=text, has_content=True)

    def _started(self, said: _Event) -> EventFacts:
        try:
            message = _ANSWER.decode(said.message or b"{}")
        except UNREADABLE:
            return EventFacts(error=MALFORMED)
        usage = self._heard(message.usage)
        return EventFacts(usage=usage, object_id=(message.id or "") if self._keeps_thread else "")

    def _ended(self, said: _Event) -> EventFacts:
        usage = self._heard(said.usage)
        finished = bool((said.delta or {}).get("stop_reason"))
        self.usage = usage or self.usage
        self.finished = self.finished or finished
        return EventFacts(usage=usage, finished=finished)

    def _heard(self, raw: Raw) -> Counts | None:
        """Return the counts of all that has been said so far, None if this says nothing."""
        usage = read_usage(raw) if raw else None
        if usage is None:
            return None
        self._known = merged(self._known, usage)
        return counts_of(self._known)


def _data(event: bytes) -> bytes | None:
    """Return the data of an event; at once where it has two lines as the vendor writes them."""
    at = event.find(b"\ndata: ")
    is_usual = at > 0 and event.startswith(b"event: ") and event.endswith(b"\n\n")
    if is_usual and event.count(b"\n") == 3 and b"\r" not in event:
        return event[at + 7 : -2]
    return event_data(event)


def _delta_text(delta: dict[str, Any]) -> str:
    text = delta.get("text") or delta.get("partial_json") or delta.get("thinking")
    if text is None and delta.get("type") == "compaction_delta":
        text = delta.get("content")
    return text if isinstance(text, str) else ""


def answer_facts(body: bytes, *, keeps_thread: bool = False) -> AnswerFacts:
    """Return what a whole message says."""
    answer = _decode(body)
    if answer is None:
        return AnswerFacts(error=MALFORMED)
    if _is_error(answer):
        return AnswerFacts(error=body)
    blocks = answer.content or []
    searches = sum(map(_is_search, blocks))
    usage = read_usage(answer.usage) if answer.usage else None
    return AnswerFacts(
        usage=counts_of(usage) if usage else None,
        finished=bool(answer.stop_reason),
        has_content=any(_is_content(block) or _block_text(block) for block in blocks),
        text="".join(_block_text(block) for block in blocks),
        units=Counts(search=searches) if searches else None,
        object_id=(answer.id or "") if keeps_thread else "",
    )


def count_facts(body: bytes) -> AnswerFacts:
    """Return what an answer to `count_tokens` says: that it is there, and that nothing was used."""
    answer = _decode(body)
    if answer is None:
        return AnswerFacts(error=MALFORMED)
    if _is_error(answer):
        return AnswerFacts(error=body)
    return AnswerFacts(usage=_FREE, finished=True, has_content=answer.input_tokens is not None)


def _decode(body: bytes) -> _Answer | None:
    try:
        return _ANSWER.decode(body)
    except UNREADABLE:
        return None


def _is_error(answer: _Answer) -> bool:
    return answer.type == "error" or bool(answer.error and answer.error != _NULL)


def _is_content(block: _Block) -> bool:
    """Say whether a block delivers something though nothing has been written into it yet."""
    return block.type not in ("", "text", "thinking")


def _is_search(block: _Block) -> bool:
    """Say whether a block is what a search has found; one that failed is not billed."""
    return block.type == "web_search_tool_result" and bytes(block.content).startswith(b"[")


def _block_text(block: _Block) -> str:
    """Return what the model wrote into a block; results of the vendor's tools are not its words."""
    if block.type.endswith("_tool_result"):
        return ""
    text = f"{block.thinking or ''}{block.text or ''}{block.name or ''}"
    if block.input and bytes(block.input) not in _NO_INPUT:
        text += bytes(block.input).decode(errors="replace")
    if block.type == _COMPACTION and block.content:
        text += bytes(block.content).decode(errors="replace")
    return text
