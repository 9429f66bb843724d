"""What a response says, whole or in events, and how a stream of one is told that it has failed.

Text is counted from `delta` events only: the `done` events repeat it. What comes without deltas (a
finished search, a picture, the items of a vendor that sends no deltas) is delivered with its `done`
event. Called through `relay.protocols.responses`.
"""

import time

import msgspec
from msgspec import Raw

from billing.pricing import Counts
from relay.errors import RelayError
from relay.protocols.base import AnswerFacts, ErrorStyle, EventFacts
from relay.protocols.leniency import UNREADABLE, is_given
from relay.protocols.openai_answer import MALFORMED, described, error_body
from relay.protocols.openai_content import ABSENT
from relay.protocols.responses_usage import Output, response_counts, units_of
from relay.protocols.strings import strings_in
from relay.sse import event_data


class _Response(msgspec.Struct, gc=False):
    id: str = ""
    status: str | None = None
    error: Raw = ABSENT
    usage: Raw = ABSENT
    output: Raw = ABSENT


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: Raw = ABSENT
    output_index: int | None = None
    response: Raw = ABSENT
    item: Raw = ABSENT
    error: Raw = ABSENT


_EVENT = msgspec.json.Decoder(_Event)
_RESPONSE = msgspec.json.Decoder(_Response)
_ITEM = msgspec.json.Decoder(Output)
_OUTPUT = msgspec.json.Decoder(list[Output])
_TEXT = msgspec.json.Decoder(str)
_ANY = msgspec.json.Decoder()

_NOTHING = EventFacts()
_DONE = EventFacts(done=True)
_MALFORMED = EventFacts(error=MALFORMED)
_AUDIO = frozenset({"response.audio.delta", "response.output_audio.delta"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.cancelled"})
_ENDED = frozenset({"completed", "incomplete", "cancelled"})
_FAILURES = frozenset({"error", "response.failed"})
_NOT_WRITTEN = frozenset(
    (
        *("type", "id", "call_id", "item_id", "status", "role", "phase", "annotations"),
        *("logprobs", "encrypted_content", "result", "container_id", "file_id", "data"),
    )
)


class ResponseReader:
    """Reads the events of one stream, one after the other; remembers the latest usage.

    `keeps`: the upstream stores the response, and its id is worth knowing.
    """

    __slots__ = ("_keeps", "_put_out", "_written", "finished", "usage")

    def __init__(self, *, keeps: bool) -> None:
        self.usage: Counts | None = None
        self.finished = False
        self._keeps = keeps
        self._written: set[int | None] = set()
        self._put_out: list[Output] = []

    def read(self, event: bytes) -> EventFacts:
        """Return what a whole event says."""
        data = event_data(event)
        if data is None or not data.strip():
            return _NOTHING
        if data.strip() == b"[DONE]":
            return _DONE
        try:
            return self._facts(_EVENT.decode(data), data, event)
        except UNREADABLE:
            return _MALFORMED

    def _facts(self, said: _Event, data: bytes, event: bytes) -> EventFacts:
        kind = said.type
        if kind.endswith(".delta"):
            self._written.add(said.output_index)
            if kind in _AUDIO:
                return EventFacts(has_content=True)
            text = _delta_text(said.delta)
            return EventFacts(text=text, has_content=bool(text))
        if kind in _ENDS:
            return self._end(said)
        if kind in _FAILURES or is_given(said.error) or event.startswith(b"event: error"):
            return EventFacts(error=_error_of(said, data))
        if kind == "response.output_item.done":
            return self._item_done(said)
        if kind == "response.created" and self._keeps and said.response:
            return EventFacts(object_id=_RESPONSE.decode(said.response).id)
        return _NOTHING

    def _item_done(self, said: _Event) -> EventFacts:
        if said.output_index in self._written:
            return _NOTHING
        self._written.add(said.output_index)
        if said.item:
            self._put_out.append(_ITEM.decode(said.item))
        units = units_of(self._put_out)
        return EventFacts(text=_text_of(said.item), has_content=True, usage=units)

    def _end(self, said: _Event) -> EventFacts:
        response = _RESPONSE.decode(said.response or b"{}")
        self.usage = _counts_of(response) or self.usage
        self.finished = True
        unseen = _text_of(response.output) if not self._written else ""
        return EventFacts(
            text=unseen,
            has_content=bool(unseen),
            usage=self.usage,
            finished=True,
            done=True,
            object_id=response.id if self._keeps else "",
        )


def answer_facts(body: bytes, *, keeps: bool) -> AnswerFacts:
    """Return what a whole response says; `keeps` as for ResponseReader."""
    try:
        response = _RESPONSE.decode(body)
        if is_given(response.error) or response.status == "failed":
            return AnswerFacts(error=body if is_given(response.error) else MALFORMED)
        usage = _counts_of(response)
        text = _text_of(response.output) if usage is None else ""
        units = units_of(_output_of(response)) if usage is None else None
    except UNREADABLE:
        return AnswerFacts(error=MALFORMED)
    return AnswerFacts(
        usage=usage,
        finished=response.status in _ENDED,
        has_content=is_given(response.output),
        text=text,
        units=units,
        object_id=response.id if keeps else "",
    )


def _counts_of(response: _Response) -> Counts | None:
    if not is_given(response.usage):
        return None
    return response_counts(response.usage, _output_of(response))


def _output_of(response: _Response) -> list[Output]:
    return _OUTPUT.decode(response.output) if is_given(response.output) else []


def _delta_text(delta: Raw) -> str:
    raw = bytes(delta)
    if raw.startswith(b'"'):
        return _TEXT.decode(raw)
    return _text_of(delta)


def _text_of(raw: Raw) -> str:
    """Return all that a model has written into a value."""
    return "".join(strings_in(_ANY.decode(raw), but=_NOT_WRITTEN)) if is_given(raw) else ""


def _error_of(said: _Event, data: bytes) -> bytes:
    """Return the error of a failed stream in the shape of an error body."""
    error = said.error
    if not is_given(error) and said.response:
        error = _RESPONSE.decode(said.response).error
    return b'{"error":%b}' % bytes(error) if is_given(error) else data


def error_event(error: RelayError, request_id: str) -> bytes:
    """Return the two events by which a stream of a response ends when it has failed.

    OpenAI's libraries raise at the first, for its `error`; Codex only looks for the second.
    """
    told = described(error, request_id)
    first = {**told, "type": "error", "sequence_number": 0, "error": told}
    failed = {
        "type": "response.failed",
        "sequence_number": 0,
        "response": {
            "id": f"resp_{request_id}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "failed",
            "error": {"code": error.code or "server_error", "message": told["message"]},
            "incomplete_details": None,
            "output": [],
            "usage": None,
        },
    }
    return b"event: error\ndata: %b\n\nevent: response.failed\ndata: %b\n\n" % (
        msgspec.json.encode(first),
        msgspec.json.encode(failed),
    )


RESPONSES_ERRORS = ErrorStyle("openai", error_body, error_event)
