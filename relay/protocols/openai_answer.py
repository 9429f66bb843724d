"""What an answer in OpenAI's dialect says, whole or in events, and the errors we write ourselves.

Only what metering and routing need is read; what is forwarded is the upstream's own bytes. Called
through `relay.protocols.openai`.
"""

from typing import Any

import msgspec
from msgspec import Raw

from billing.pricing import Counts
from relay.errors import RelayError
from relay.protocols.base import AnswerFacts, ErrorStyle, EventFacts
from relay.protocols.leniency import UNREADABLE, is_given, read_either
from relay.protocols.openai_content import ABSENT
from relay.protocols.openai_usage import usage_counts
from relay.protocols.strings import strings_in
from relay.sse import event_data

MALFORMED = b'{"error":{"message":"malformed answer","type":"upstream_error","code":"malformed"}}'
"""Stands for an answer that can't be read; classified like any error of the upstream."""


_Index = int | float | str | None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: Raw = ABSENT
    function_call: Raw = ABSENT
    audio: Raw = ABSENT
    images: Raw = ABSENT


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    message: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    index: _Index = 0
    usage: Raw = ABSENT


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    data: Raw = ABSENT


class _LooseAnswer(msgspec.Struct, gc=False):
    """The same for vendors who put arrays or objects where OpenAI has strings."""

    choices: list[dict[str, Any]] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    data: Raw = ABSENT


_ANSWER = msgspec.json.Decoder(_Answer)
_LOOSE_ANSWER = msgspec.json.Decoder(_LooseAnswer)
_ANY = msgspec.json.Decoder()

_NOTHING = EventFacts()
_DONE = EventFacts(done=True)
_NULL = Raw(b"null")
_NOT_WRITTEN = frozenset(
    {"type", "id", "index", "role", "data", "finish_reason", "logprobs", "expires_at"}
)


class StreamReader:
    """Reads the events of one stream, one after the other; remembers the latest usage.

    Of several choices the last that ends is the one with which the answer is finished. `searches`
    are those that the vendor has made without saying so in its usage.
    """

    __slots__ = ("_choices", "_ended", "_searches", "finished", "has_content", "usage")

    def __init__(self, *, choices: int = 1, searches: int = 0) -> None:
        self.usage: Counts | None = None
        self.has_content = False
        self.finished = False
        self._choices = choices
        self._searches = searches
        self._ended: set[_Index] = set()

    def read(self, event: bytes) -> EventFacts:
        """Return what a whole event says."""
        data = event_data(event)
        if data is None or not data.strip():
            return _NOTHING
        if data.strip() == b"[DONE]":
            return _DONE
        facts = _event_facts(data)
        if event.startswith(b"event: error") and not facts.error:
            facts = EventFacts(error=data)
        if facts.finished and self._choices > 1:
            self._ended |= _ended_choices(data)
            if len(self._ended) < self._choices:
                facts = msgspec.structs.replace(facts, finished=False)
        if self._searches and facts.usage is not None:
            facts = msgspec.structs.replace(facts, usage=_searched(facts.usage, self._searches))
        self.usage = facts.usage or self.usage
        self.has_content = self.has_content or facts.has_content
        self.finished = self.finished or facts.finished
        return facts


def _searched(usage: Counts, searches: int) -> Counts:
    return msgspec.structs.replace(usage, search=max(usage.search, searches))


def _ended_choices(data: bytes) -> set[_Index]:
    """Return which choices an event ends."""
    answer = read_either(_ANSWER, _LOOSE_ANSWER, data)
    if not isinstance(answer, _Answer):
        return set()
    return {choice.index for choice in answer.choices or () if choice.finish_reason}


def _event_facts(data: bytes) -> EventFacts:
    answer = read_either(_ANSWER, _LOOSE_ANSWER, data)
    if answer is None:
        return EventFacts(error=MALFORMED)
    if answer.error and is_given(answer.error):
        return EventFacts(error=data)
    usage = usage_counts(answer.usage) if answer.usage and is_given(answer.usage) else None
    if usage is None and isinstance(answer, _Answer):
        usage = _usage_of_choices(answer.choices)
    try:
        text, has_content, finished = _written(answer)
    except UNREADABLE:
        return EventFacts(error=MALFORMED)
    return EventFacts(
        text=text,
        has_content=has_content,
        usage=usage,
        is_usage_only=usage is not None and not answer.choices,
        finished=finished,
    )


def _usage_of_choices(choices: list[_Choice] | None) -> Counts | None:
    """Return the usage that some vendors put into the choice that ends."""
    for choice in choices or ():
        if choice.usage:
            return usage_counts(choice.usage)
    return None


def answer_facts(body: bytes, *, searches: int = 0) -> AnswerFacts:
    """Return what a whole answer says; works for chats, completions and embeddings.

    `searches` as for StreamReader.
    """
    answer = read_either(_ANSWER, _LOOSE_ANSWER, body)
    if answer is None:
        return AnswerFacts(error=MALFORMED)
    if answer.error and is_given(answer.error):
        return AnswerFacts(error=body)
    try:
        text, has_content, finished = _written(answer)
    except UNREADABLE:
        return AnswerFacts(error=MALFORMED)
    has_vectors = bool(answer.data) and is_given(answer.data)
    usage = usage_counts(answer.usage) if is_given(answer.usage) else None
    return AnswerFacts(
        usage=_searched(usage, searches) if usage and searches else usage,
        finished=finished or has_vectors,
        has_content=has_content or has_vectors,
        text=text,
    )


def usage_of_answer(body: bytes) -> Counts | None:
    """Return the usage of a whole answer, None if it has none."""
    return answer_facts(body).usage


def _written(answer: _Answer | _LooseAnswer) -> tuple[str, bool, bool]:
    """Return the text that the model wrote, whether it delivered anything, whether it finished."""
    if not answer.choices:
        return "", False, False
    if isinstance(answer, _LooseAnswer):
        text = "".join(strings_in(answer.choices, but=_NOT_WRITTEN))
        return text, bool(text), any(choice.get("finish_reason") for choice in answer.choices)
    if len(answer.choices) == 1:
        return _choice_facts(answer.choices[0])
    parts = [_choice_facts(choice) for choice in answer.choices]
    return "".join(p[0] for p in parts), any(p[1] for p in parts), any(p[2] for p in parts)


def _choice_facts(choice: _Choice) -> tuple[str, bool, bool]:
    delta = choice.delta or choice.message
    text = choice.text or ""
    has_content = bool(text)
    if delta is not None:
        thought = delta.reasoning_content or delta.reasoning
        text = delta.content or text
        if thought or delta.refusal:
            text = f"{thought or ''}{text}{delta.refusal or ''}"
        has_content = bool(text)
        if delta.tool_calls or delta.function_call or delta.audio:
            called, is_call = _called(delta)
            text += called
            has_content = has_content or is_call
        if delta.images:
            has_content = has_content or is_given(delta.images)
    return text, has_content, bool(choice.finish_reason)


def _called(delta: _Delta) -> tuple[str, bool]:
    """Return the text of calls and audio transcripts, and whether there is any of these."""
    given = [raw for raw in (delta.tool_calls, delta.function_call, delta.audio) if is_given(raw)]
    called = [_ANY.decode(raw) for raw in given]
    return "".join(strings_in(called, but=_NOT_WRITTEN)), bool(given)


def error_body(error: RelayError, request_id: str) -> bytes:
    """Return the body of an error that we answer ourselves."""
    return msgspec.json.encode({"error": described(error, request_id)})


def error_event(error: RelayError, request_id: str) -> bytes:
    """Return the event that ends a stream which has failed; no `[DONE]` follows it."""
    return b"data: %b\n\n" % error_body(error, request_id)


def described(error: RelayError, request_id: str) -> dict[str, str | None]:
    """Return an error as the object that OpenAI's clients read."""
    return {
        "message": f"{error.message} (request id: {request_id})",
        "type": error.type_,
        "param": error.param,
        "code": error.code,
    }


OPENAI_ERRORS = ErrorStyle("openai", error_body, error_event)
