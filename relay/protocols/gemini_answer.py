"""What an answer in Gemini's dialect says, whole or in events.

Only what metering and routing need is read; what is forwarded is the upstream's own bytes. Called
through `relay.protocols.gemini`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from billing.pricing import Counts
from relay.protocols.base import AnswerFacts, EventFacts
from relay.protocols.gemini_content import ABSENT, strings
from relay.protocols.gemini_usage import usage_counts
from relay.protocols.leniency import UNREADABLE, is_given, read_either
from relay.sse import event_data

MALFORMED = b'{"error":{"code":502,"message":"malformed answer","status":"UNAVAILABLE"}}'
"""Stands for an answer that can't be read; classified like any error of the upstream."""


class _Blob(msgspec.Struct, gc=False, rename="camel"):
    mime_type: str = ""


class _Part(msgspec.Struct, gc=False, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    inline_data: _Blob | None = None
    file_data: Raw = ABSENT
    function_call: Raw = ABSENT
    executable_code: Raw = ABSENT
    code_execution_result: Raw = ABSENT


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _GroundingChunk(msgspec.Struct, gc=False):
    maps: Raw = ABSENT


class _Grounding(msgspec.Struct, gc=False, rename="camel"):
    web_search_queries: list[str] | None = None
    grounding_chunks: list[_GroundingChunk] | None = None

    @property
    def searches(self) -> int:
        """How often Google has searched; its maps are a search, what it looked up is none."""
        has_maps = any(chunk.maps for chunk in self.grounding_chunks or ())
        return len(set(self.web_search_queries or ())) + has_maps


class _Candidate(msgspec.Struct, gc=False, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    grounding_metadata: _Grounding | None = None


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _Answer(msgspec.Struct, gc=False, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: Raw = ABSENT
    error: Raw = ABSENT
    embedding: Raw = ABSENT
    embeddings: Raw = ABSENT
    total_tokens: int | None = None


class _LooseAnswer(msgspec.Struct, gc=False, rename="camel"):
    """The same for imitators who put other types where the vendor has strings and arrays."""

    candidates: Any = None
    usage_metadata: Raw = ABSENT
    error: Raw = ABSENT


_ANSWER = msgspec.json.Decoder(_Answer)
_LOOSE_ANSWER = msgspec.json.Decoder(_LooseAnswer)
_ANY = msgspec.json.Decoder()

_NOTHING = EventFacts()
_DONE = EventFacts(done=True)


class _Written:
    """What one answer, or one event of it, has brought."""

    __slots__ = ("finished", "has_content", "images", "searches", "text")

    def __init__(self) -> None:
        self.text = ""
        self.has_content = False
        self.finished = False
        self.searches = 0
        self.images = 0


class StreamReader:
    """Reads the events of one stream, one after the other; remembers the latest usage."""

    __slots__ = ("_images", "_is_speech", "_most_searches", "_searches", "finished", "usage")

    def __init__(self, *, is_speech: bool = False, most_searches: int = 1) -> None:
        self.usage: Counts | None = None
        self.finished = False
        self._is_speech = is_speech
        self._most_searches = most_searches
        self._images = 0
        self._searches = 0

    def read(self, event: bytes) -> EventFacts:
        """Return what a whole event says."""
        data = event_data(event)
        if data is None or not data.strip():
            return _NOTHING
        if data.strip() == b"[DONE]":
            return _DONE
        answer = read_either(_ANSWER, _LOOSE_ANSWER, data)
        if answer is None:
            return EventFacts(error=MALFORMED)
        if is_given(answer.error):
            return EventFacts(error=data)
        try:
            written = _written(answer)
        except UNREADABLE:
            return EventFacts(error=MALFORMED)
        self._images += written.images
        self._searches = max(self._searches, min(written.searches, self._most_searches))
        usage = _usage(answer, is_speech=self._is_speech)
        if usage is not None:
            usage = _with_units(usage, images=self._images, searches=self._searches)
            self.usage = usage
        self.finished = self.finished or written.finished
        return EventFacts(
            text=written.text,
            has_content=written.has_content,
            usage=usage,
            finished=written.finished,
        )


def answer_facts(body: bytes, *, is_speech: bool = False, most_searches: int = 1) -> AnswerFacts:
    """Return what a whole answer says: generated content, vectors, or a count of tokens.

    `most_searches` is how many of the vendor's searches are charged.
    """
    answer = read_either(_ANSWER, _LOOSE_ANSWER, body)
    if answer is None:
        return AnswerFacts(error=MALFORMED)
    if is_given(answer.error):
        return AnswerFacts(error=body)
    try:
        written = _written(answer)
    except UNREADABLE:
        return AnswerFacts(error=MALFORMED)
    searches = min(written.searches, most_searches)
    usage = _usage(answer, is_speech=is_speech)
    if usage is not None:
        usage = _with_units(usage, images=written.images, searches=searches)
    is_result = isinstance(answer, _Answer) and _is_result(answer)
    return AnswerFacts(
        usage=usage,
        finished=written.finished or is_result,
        has_content=written.has_content or is_result,
        text=written.text,
        units=_with_units(Counts(), images=written.images, searches=searches),
    )


def _is_result(answer: _Answer) -> bool:
    """Return whether this is the answer to an embedding or to a count of tokens."""
    has_vectors = is_given(answer.embedding) or is_given(answer.embeddings)
    return has_vectors or answer.total_tokens is not None


def _usage(answer: _Answer | _LooseAnswer, *, is_speech: bool) -> Counts | None:
    raw = answer.usage_metadata
    return usage_counts(raw, is_speech=is_speech) if is_given(raw) else None


def _with_units(usage: Counts, *, images: int, searches: int) -> Counts:
    """Return the usage with what is counted by the piece."""
    if not images and not searches:
        return usage
    return msgspec.structs.replace(usage, image=images, search=searches)


def _written(answer: _Answer | _LooseAnswer) -> _Written:
    """Return what the model wrote; a prompt that is blocked is answered by that, with nothing."""
    written = _Written()
    if isinstance(answer, _LooseAnswer):
        written.text = "".join(strings(answer.candidates))
        written.has_content = bool(written.text)
        written.finished = any(_loosely_finished(answer.candidates))
        return written
    for candidate in answer.candidates or ():
        _add_candidate(written, candidate)
    if answer.prompt_feedback is not None and answer.prompt_feedback.block_reason:
        written.finished = True
    return written


def _loosely_finished(candidates: Any) -> Iterator[bool]:
    if isinstance(candidates, list):
        yield from ("finishReason" in one for one in candidates if isinstance(one, dict))


def _add_candidate(written: _Written, candidate: _Candidate) -> None:
    if candidate.finish_reason:
        written.finished = True
    grounding = candidate.grounding_metadata
    if grounding is not None:
        written.searches += grounding.searches
    if candidate.content is not None and candidate.content.parts:
        for part in candidate.content.parts:
            _add_part(written, part)


def _add_part(written: _Written, part: _Part) -> None:
    if part.text:
        written.text += part.text
        written.has_content = True
        return
    if part.inline_data is not None:
        written.has_content = True
        # Drafts among a model's thoughts are not for sale.
        written.images += part.inline_data.mime_type.startswith("image/") and not part.thought
    calls = part.function_call, part.executable_code, part.code_execution_result
    for raw in calls:
        if is_given(raw):
            written.text += "".join(strings(_ANY.decode(raw)))
            written.has_content = True
    if is_given(part.file_data):
        written.has_content = True
