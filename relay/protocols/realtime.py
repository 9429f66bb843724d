"""What is said in a realtime conversation: the events of both sides, as far as they cost something.

Events are JSON texts over a WebSocket, in OpenAI's present form and in that of its beta. Audio is
measured by its length in the event, text by itself; what the vendor reports at the end of each
response is what counts. Free of Django.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta, Raw

from billing.pricing import Counts
from relay.errors import BadRequest, RelayError
from relay.protocols.base import AnswerFacts, Asked, Endpoint, EventFacts, RequestFacts
from relay.protocols.openai_answer import MALFORMED, OPENAI_ERRORS, described
from relay.protocols.openai_content import ABSENT
from relay.protocols.openai_usage import usage_counts
from relay.protocols.usage_reading import read_usage

# What a conversation is held for before it begins: its instructions and a first question.
FIRST_TEXT_TOKENS = 1_000
FIRST_AUDIO_BYTES = 20_000

PCM_BYTES_PER_SECOND = 48_000
TELEPHONE_BYTES_PER_SECOND = 8_000

_MAX_MODEL_CHARS = 64
_Tokens = Annotated[int, Meta(ge=0, le=2**40)]


class Cached(msgspec.Struct, gc=False):
    """How much of an input was read from the vendor's cache."""

    text_tokens: _Tokens | None = None
    audio_tokens: _Tokens | None = None


class _Details(msgspec.Struct, gc=False):
    text_tokens: _Tokens | None = None
    audio_tokens: _Tokens | None = None
    cached_tokens: _Tokens | None = None
    cached_tokens_details: Cached | None = None


class _Usage(msgspec.Struct, gc=False):
    type: str = "tokens"
    seconds: Annotated[float, Meta(ge=0, le=2**30)] = 0.0
    input_tokens: _Tokens | None = None
    output_tokens: _Tokens | None = None
    input_token_details: _Details | None = None
    output_token_details: _Details | None = None


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    status: str | None = None
    usage: Raw = ABSENT


class Event(msgspec.Struct, gc=False):
    """An event of either side, partly read."""

    type: str = ""
    audio: str = ""
    delta: str = ""
    usage: Raw = ABSENT
    error: Raw = ABSENT
    response: Raw = ABSENT
    session: Raw = ABSENT
    item: Raw = ABSENT


_EVENT = msgspec.json.Decoder(Event)
_USAGE = msgspec.json.Decoder(_Usage)
_RESPONSE = msgspec.json.Decoder(_Response)
_ANY = msgspec.json.Decoder()
_NO_DETAILS = _Details()
_NO_CACHED = Cached()

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
_AUDIO_OUT = frozenset({"response.output_audio.delta", "response.audio.delta"})
_TELEPHONE = re.compile(rb'"(?:g711_[au]law|audio/pcm[ua])"')
_NOT_TEXT = frozenset({"type", "id", "role", "status", "object", "audio", "image_url", "call_id"})


def read_event(text: str | bytes) -> Event | None:
    """Return what an event says, None for what is no event."""
    try:
        return _EVENT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_audio_out(event: Event) -> bool:
    """Say whether a delta is sound; every other one is text."""
    return event.type in _AUDIO_OUT


class Given(NamedTuple):
    """What an event of the client's gives the model to read, hear and see.

    `live_bytes` is what the microphone has heard; the model hears of it what is committed.
    """

    text: str = ""
    audio_bytes: int = 0
    live_bytes: int = 0
    images: int = 0


def given_by(event: Event) -> Given:
    """Return what a client's event adds to the conversation."""
    parts = [raw for raw in (event.session, event.item, event.response) if raw]
    try:
        values = list(_values([_ANY.decode(raw) for raw in parts]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The upstream may read it in a way of its own: all of it is bounded as text.
        unread = b"\n".join(map(bytes, parts)).decode(errors="replace")
        return Given(unread, live_bytes=_sound_bytes(event.audio))
    return Given(
        text="\n".join(value for name, value in values if name not in _NOT_TEXT),
        audio_bytes=sum(_sound_bytes(value) for name, value in values if name == "audio"),
        live_bytes=_sound_bytes(event.audio),
        images=sum(name == "image_url" for name, _ in values),
    )


def bytes_per_second(event: Event) -> int:
    """Return how many bytes a second of sound has, by the settings that an event confirms."""
    telephone = _TELEPHONE.search(bytes(event.session))
    return TELEPHONE_BYTES_PER_SECOND if telephone else PCM_BYTES_PER_SECOND


def sound_bytes(event: Event) -> int:
    """Return how much sound a delta of the model's brings."""
    return _sound_bytes(event.delta)


def _sound_bytes(base64: str) -> int:
    return len(base64) * 3 // 4


def _values(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield all strings inside a value, each with the name of the member that it is."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _values(item, key)


class Used(msgspec.Struct, frozen=True, gc=False):
    """What a response has used, and what the conversation has come to by it, by kind."""

    counts: Counts
    text_tokens: int
    audio_tokens: int


def response_id(event: Event) -> str:
    """Return which response begins or ends, "" if the event does not say."""
    try:
        return _RESPONSE.decode(event.response).id or "" if event.response else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def used_by_response(event: Event) -> Used | None:
    """Return what the end of a response reports; None if it reports nothing."""
    try:
        response = _RESPONSE.decode(event.response) if event.response else _Response()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    usage = read_usage(_USAGE, response.usage)
    if usage is None or usage.input_tokens is None:
        return None
    counts, spoken_in = _token_counts(usage)
    audio = spoken_in + counts.audio_out
    total = usage.input_tokens + (usage.output_tokens or 0)
    return Used(counts, text_tokens=total - audio, audio_tokens=audio)


def used_by_transcription(event: Event) -> Counts | None:
    """Return what writing down a client's words has used, in tokens or in seconds."""
    usage = read_usage(_USAGE, event.usage)
    if usage is None:
        return None
    if usage.type == "duration":
        return Counts(second=-int(-usage.seconds // 1))
    return _token_counts(usage)[0] if usage.input_tokens is not None else usage_counts(event.usage)


def _token_counts(usage: _Usage) -> tuple[Counts, int]:
    """Return the disjoint counts, and how much of the input was sound, cached or not."""
    given, written = usage.input_tokens or 0, usage.output_tokens or 0
    inside = usage.input_token_details or _NO_DETAILS
    cached = min(inside.cached_tokens or 0, given)
    cached_audio = min((inside.cached_tokens_details or _NO_CACHED).audio_tokens or 0, cached)
    spoken = min(inside.audio_tokens or 0, given)
    audio_in = min(max(0, spoken - cached_audio), given - cached)
    of_answer = usage.output_token_details or _NO_DETAILS
    audio_out = min(of_answer.audio_tokens or 0, written)
    counts = Counts(
        input=given - cached - audio_in,
        cached_input=cached,
        audio_in=audio_in,
        output=written - audio_out,
        audio_out=audio_out,
    )
    return counts, spoken


def error_event(error: RelayError, request_id: str) -> bytes:
    """Return the event that tells a conversation's client what went wrong."""
    told = {**described(error, request_id), "event_id": None}
    return msgspec.json.encode({"type": "error", "event_id": f"event_{request_id}", "error": told})


class RealtimeReader:
    """Reads the events of a conversation for what they deliver; see EventReader."""

    def __init__(self) -> None:
        self.usage: Counts | None = None
        self.finished = False

    def read(self, event: bytes) -> EventFacts:
        """Return what an event says."""
        said = read_event(event)
        if said is None:
            return EventFacts(error=MALFORMED)
        if said.type == "response.done":
            used = used_by_response(said)
            self.usage, self.finished = used.counts if used else None, True
            return EventFacts(usage=self.usage, finished=True)
        is_delta = said.type.startswith("response.") and said.type.endswith(".delta")
        text = said.delta if is_delta and not is_audio_out(said) else ""
        return EventFacts(text=text, has_content=is_delta and bool(said.delta))


class RealtimeDialect:
    """Conversations; their request is an address and has no body."""

    def read(self, endpoint: Endpoint, asked: Asked) -> RequestFacts:
        """Return what a conversation asks for; the model stands in the query of its address."""
        named = parse_qs(asked.query.decode("latin-1"), max_num_fields=100)
        models = named.get("model", [])
        if len(models) != 1 or not 1 <= len(models[0]) <= _MAX_MODEL_CHARS:
            raise BadRequest("The address must name one model.", param="model")
        return RequestFacts(
            endpoint,
            models[0],
            FIRST_TEXT_TOKENS,
            stream=True,
            audio=1,
            audio_bytes=FIRST_AUDIO_BYTES,
            wants_audio=True,
        )

    def rewritten(
        self,
        body: bytes,
        facts: RequestFacts,
        *,
        served: str,
        output_limit: int | None,
        limit_field: str,
    ) -> bytes:
        """Return the body as it is; see Dialect."""
        return body

    def reader(self, facts: RequestFacts) -> RealtimeReader:
        """Return a reader of events; see Dialect."""
        return RealtimeReader()

    def answer(self, body: bytes, facts: RequestFacts, content_type: bytes) -> AnswerFacts:
        """Return that an answer in one piece is none; see Dialect."""
        return AnswerFacts(error=MALFORMED)

    def prompt(self, body: bytes) -> list[str]:
        """Return no text: nothing has been said yet."""
        return []


REALTIME = Endpoint(
    name="realtime",
    path="/v1/realtime",
    dialect=RealtimeDialect(),
    errors=OPENAI_ERRORS,
    streams=True,
    writes=True,
    takes_limit=True,
)

ENDPOINTS: dict[str, Endpoint] = {REALTIME.path: REALTIME}
