"""OpenAI's dialect of speech: made of text, and turned into text again.

Speech is priced by the characters read or the sound written, transcripts by the seconds heard or
their tokens; all of them are counted, and the price decides. Free of Django.
"""

import math
import re
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.audio_length import seconds_bound, seconds_told
from relay.protocols.base import AnswerFacts, Asked, Endpoint, EventFacts, RequestFacts
from relay.protocols.leniency import is_given
from relay.protocols.media import (
    OPENAI_ERRORS,
    Event,
    MediaDialect,
    MediaReader,
    decoded,
    error_or,
    is_page,
    named_model,
    read_json,
    token_counts,
    yes_or_no,
)
from relay.protocols.multipart import Form, read_form, reread
from relay.protocols.openai_answer import MALFORMED
from relay.protocols.openai_content import ABSENT

HEARD_TOKENS_PER_SECOND = 10
FASTEST_CHARS_PER_SECOND = 25
"""Nobody speaks faster: a transcript that long is of a longer sound than its header says."""

_FORMS_OF_TEXT = frozenset({"text", "srt", "vtt"})
_FORMATS = _FORMS_OF_TEXT | {"json", "verbose_json", "diarized_json"}
_WRITTEN_TOKENS_PER_SECOND = 8
_LEAST_WRITTEN_TOKENS = 64
_TIME = re.compile(r"-->[ \t]*(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})")
_TAIL_CHARS = 64 * 1024
_LONGEST_S = 10_000_000

_UPLOAD_FIELDS = frozenset({"file", "model", "response_format", "stream", "prompt", "language"})

_Seconds = Annotated[float, Meta(ge=0, le=_LONGEST_S)]


class UploadFacts(RequestFacts, gc=False):
    """A sound to be written down; `seconds` is its length, if it could be found out."""

    answer_format: str = "json"
    seconds: int | None = None


class _Speech(msgspec.Struct, gc=False):
    input: str
    model: str | None = None
    instructions: str | None = None
    speed: float | None = None
    stream_format: str | None = None


class _Failure(msgspec.Struct, gc=False):
    error: Raw = ABSENT


class _Segment(msgspec.Struct, gc=False):
    end: _Seconds | None = None


class _Heard(msgspec.Struct, gc=False):
    type: str = ""
    seconds: _Seconds | None = None


class _Transcript(msgspec.Struct, gc=False):
    text: str | None = None
    duration: Raw = ABSENT
    segments: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT


_SPEECH = msgspec.json.Decoder(_Speech)
_FAILURE = msgspec.json.Decoder(_Failure)
_TRANSCRIPT = msgspec.json.Decoder(_Transcript)
_HEARD = msgspec.json.Decoder(_Heard)
_DURATION = msgspec.json.Decoder(_Seconds, strict=False)
_SEGMENTS = msgspec.json.Decoder(list[_Segment], strict=False)


class SpeechDialect(MediaDialect):
    """Text to sound. The sound is passed on unread; asked for as events, it comes with usage."""

    def read(self, endpoint: Endpoint, asked: Asked) -> RequestFacts:
        """Return what a request asks for; see Dialect."""
        speech = read_json(_SPEECH, asked.body, known=_Speech.__struct_fields__)
        facts = RequestFacts(endpoint, named_model(speech.model), len(asked.body))
        facts.stream = speech.stream_format == "sse"
        facts.units = Counts(
            character=len(speech.input), audio_out=_spoken_tokens(speech.input, speech.speed)
        )
        return facts

    def reader(self, facts: RequestFacts) -> MediaReader:
        """Return a reader of events; see Dialect."""
        return MediaReader(_spoken(facts))

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what an answer says that is no sound; see Dialect."""
        said = None if is_page(content_type) else decoded(_FAILURE, body)
        failure = error_or(said, body, said.error if said else ABSENT)
        return failure or AnswerFacts(finished=True, has_content=True)

    def prompt(self, body: bytes) -> list[str]:
        """Return the text, and how to read it; see Dialect."""
        speech = decoded(_SPEECH, body)
        return [speech.input, speech.instructions or ""] if speech else []


class UploadDialect(MediaDialect):
    """Sound to text, in any of its formats."""

    def read(self, endpoint: Endpoint, asked: Asked) -> UploadFacts:
        """Return what a request asks for; see Dialect."""
        form = read_form(asked.body, asked.content_type, once=_UPLOAD_FIELDS)
        sounds = form.files("file")
        if not sounds:
            raise BadRequest("Missing required parameter: 'file'.", param="file")
        facts = UploadFacts(
            endpoint,
            named_model(form.text("model")),
            sum(part.size_bytes for part in form.fields()),
            content_type=asked.content_type,
            answer_format=_format(form),
        )
        facts.stream = (
            endpoint.streams
            and yes_or_no(form, "stream")
            and facts.answer_format not in _FORMS_OF_TEXT
        )
        facts.seconds = seconds_told(form.content(sounds[0]))
        seconds = facts.seconds or seconds_bound(sounds[0].size_bytes)
        facts.units = _heard(seconds)
        facts.output_limit = seconds * _WRITTEN_TOKENS_PER_SECOND + _LEAST_WRITTEN_TOKENS
        return facts

    def reader(self, facts: RequestFacts) -> MediaReader:
        """Return a reader of events; see Dialect."""
        return MediaReader(_written(facts))

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return what a whole answer says; see Dialect."""
        if is_page(content_type) or not body:
            return AnswerFacts(error=MALFORMED)
        if b"json" not in content_type and _answer_format(facts) in _FORMS_OF_TEXT:
            return _of_text(body, facts)
        said = decoded(_TRANSCRIPT, body)
        if failure := error_or(said, body, said.error if said else ABSENT):
            return failure
        if said is None or said.text is None:
            return AnswerFacts(error=MALFORMED)
        if usage := _upload_counts(said.usage, facts):
            return AnswerFacts(usage=usage, finished=True, has_content=True)
        # Some write it as text.
        if seconds := math.ceil(decoded(_DURATION, said.duration) or 0):
            return AnswerFacts(usage=_heard(seconds), finished=True, has_content=True)
        segments = decoded(_SEGMENTS, said.segments) or ()
        ends_at = max((segment.end or 0.0 for segment in segments), default=0.0)
        return _measured(said.text, math.ceil(ends_at), facts)

    def prompt(self, body: bytes) -> list[str]:
        """Return the hint that a sound came with; see Dialect."""
        return [reread(body).text("prompt") or ""]


def _spoken_tokens(text: str, speed: float | None) -> int:
    """Return about how many tokens of sound a text becomes: 20 a second, 13 bytes of text."""
    spoken = 3 * len(text.encode()) // 2 + 20
    return spoken if speed is None or not 0.1 <= speed < 1 else math.ceil(spoken / speed)


def _spoken(facts: RequestFacts) -> Callable[[Event], EventFacts]:
    def meaning(event: Event) -> EventFacts:
        if event.type == "speech.audio.delta":
            return EventFacts(has_content=True)
        if event.type != "speech.audio.done":
            return EventFacts()
        usage = token_counts(event.usage)
        if usage is None:
            return EventFacts(finished=True)
        told = Counts(
            input=usage.input,
            cached_input=usage.cached_input,
            audio_out=usage.output,
            character=facts.units.character if facts.units else 0,
        )
        return EventFacts(finished=True, usage=told)

    return meaning


def _format(form: Form) -> str:
    name = form.text("response_format") or "json"
    if name not in _FORMATS:
        known = ", ".join(sorted(_FORMATS))
        raise BadRequest(f"Unknown format; expected one of {known}.", param="response_format")
    return name


def _answer_format(facts: RequestFacts) -> str:
    return facts.answer_format if isinstance(facts, UploadFacts) else "json"


def _heard(seconds: int) -> Counts:
    return Counts(second=seconds, audio_in=seconds * HEARD_TOKENS_PER_SECOND)


def _upload_counts(raw: Raw, facts: RequestFacts) -> Counts | None:
    """Return what an upstream says it has heard and written; None if it does not say."""
    if not is_given(raw):
        return None
    heard = decoded(_HEARD, bytes(raw))
    if heard is not None and heard.seconds is not None:
        return Counts(second=math.ceil(heard.seconds))
    counts = token_counts(raw)
    if counts is None:
        return None
    seconds = facts.seconds if isinstance(facts, UploadFacts) else None
    return msgspec.structs.replace(counts, second=seconds or 0)


def _of_text(body: bytes, facts: RequestFacts) -> AnswerFacts:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return AnswerFacts(error=MALFORMED)
    if text.lstrip().startswith('{"error"'):
        return AnswerFacts(error=body)
    # The time of the last line, and no line before it is later.
    ends_at = max((_seconds(found) for found in _TIME.findall(text[-_TAIL_CHARS:])), default=0)
    return _measured(text, ends_at, facts)


def _seconds(found: tuple[str, str, str, str]) -> int:
    hours, minutes, seconds, parts = (int(digits or 0) for digits in found)
    return hours * 3_600 + minutes * 60 + seconds + (parts > 0)


def _measured(text: str, ends_at: int, facts: RequestFacts) -> AnswerFacts:
    """Return an answer that reports no usage: how long the sound was, as far as one can see."""
    told = facts.seconds if isinstance(facts, UploadFacts) else None
    held = facts.units.second if facts.units else 0
    least = len(text) // FASTEST_CHARS_PER_SECOND
    seconds = max(told or 0, ends_at, least) if told or ends_at else held
    return AnswerFacts(finished=True, has_content=True, text=text, units=_heard(seconds))


def _written(facts: RequestFacts) -> Callable[[Event], EventFacts]:
    has_text = False

    def meaning(event: Event) -> EventFacts:
        nonlocal has_text
        if event.type == "transcript.text.delta":
            has_text = has_text or bool(event.delta)
            return EventFacts(text=event.delta, has_content=bool(event.delta))
        if event.type == "transcript.text.segment":
            return EventFacts(has_content=True)
        if event.type != "transcript.text.done":
            return EventFacts()
        text = "" if has_text else event.text
        usage = _upload_counts(event.usage, facts)
        return EventFacts(text=text, has_content=True, finished=True, usage=usage)

    return meaning


_SPEECH_DIALECT = SpeechDialect()
_UPLOAD_DIALECT = UploadDialect()

SPEECH = Endpoint(
    name="audio_speech",
    path="/v1/audio/speech",
    dialect=_SPEECH_DIALECT,
    errors=OPENAI_ERRORS,
    streams=True,
    is_binary=True,
)
TRANSCRIPTIONS = Endpoint(
    name="audio_transcriptions",
    path="/v1/audio/transcriptions",
    dialect=_UPLOAD_DIALECT,
    errors=OPENAI_ERRORS,
    streams=True,
    writes=True,
    uploads=True,
)
TRANSLATIONS = Endpoint(
    name="audio_translations",
    path="/v1/audio/translations",
    dialect=_UPLOAD_DIALECT,
    errors=OPENAI_ERRORS,
    writes=True,
    uploads=True,
)
ENDPOINTS = {endpoint.path: endpoint for endpoint in (SPEECH, TRANSCRIPTIONS, TRANSLATIONS)}
