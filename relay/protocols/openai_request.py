"""What a request in OpenAI's dialect asks for: read in one pass, never rebuilt.

Only what routing, limits and the bound of the cost need is read and checked; everything else is
the upstream's business and passes unread. Called through `relay.protocols.openai`.
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from relay.errors import BadRequest
from relay.protocols.decoding import decode, wrong_type
from relay.protocols.json_text import Outline, check_text, members, outline
from relay.protocols.openai_content import ABSENT, read_messages, read_texts


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """An address of the dialect. `streams`: it can answer with server-sent events."""

    name: str
    path: str
    streams: bool


CHAT = Endpoint("chat_completions", "/v1/chat/completions", True)
COMPLETIONS = Endpoint("completions", "/v1/completions", True)
EMBEDDINGS = Endpoint("embeddings", "/v1/embeddings", False)
ENDPOINTS = {endpoint.path: endpoint for endpoint in (CHAT, COMPLETIONS, EMBEDDINGS)}

LIMIT_FIELDS = ("max_completion_tokens", "max_tokens")


class RequestFacts(msgspec.Struct, frozen=True, gc=False):
    """What a request asks for.

    The input is bounded by `text_bytes` tokens plus what the non-text items cost; `image_bytes`,
    `audio_bytes`, `file_bytes` are what those items take in the body and are not in `text_bytes`.
    `output_limit` is the client's limit for each of `choices` answers, `limit_field` its name (the
    larger, if both are given); None without a limit. `echoed_bytes` bounds the tokens that an
    answer may repeat beyond the limit. `token_ids` is the exact input when no text is given.
    """

    endpoint: Endpoint
    model: str
    text_bytes: int
    around: Outline
    stream: bool = False
    wants_usage: bool = False
    stream_options: bytes = b""
    output_limit: int | None = None
    limit_field: str | None = None
    limit_members: tuple[str, ...] = ()
    choices: int = 1
    echoed_bytes: int = 0
    messages: int = 0
    token_ids: int = 0
    images: int = 0
    image_bytes: int = 0
    audio: int = 0
    audio_bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    wants_audio: bool = False
    searches: int = 0

    @property
    def is_token_ids(self) -> bool:
        """Return whether the input is given as token ids, which need no counting."""
        return self.token_ids > 0


_Model = Annotated[str, Meta(min_length=1, max_length=64)]
_Count = Annotated[int, Meta(ge=1, le=128)]
_Limit = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_LimitOrNone = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Chat(msgspec.Struct, gc=False):
    model: _Model
    messages: Raw
    stream: bool | None = None
    stream_options: Raw = ABSENT
    max_tokens: _Limit | UnsetType | None = UNSET
    max_completion_tokens: _Limit | UnsetType | None = UNSET
    n: _Count | None = None
    tools: Raw = ABSENT
    functions: Raw = ABSENT
    response_format: Raw = ABSENT
    prediction: Raw = ABSENT
    modalities: list[str] | None = None
    service_tier: str | None = None
    web_search_options: Raw = ABSENT


class _Completion(msgspec.Struct, gc=False):
    model: _Model
    prompt: Raw = Raw(b"null")
    stream: bool | None = None
    stream_options: Raw = ABSENT
    max_tokens: _LimitOrNone | UnsetType | None = UNSET
    max_completion_tokens: _LimitOrNone | UnsetType | None = UNSET
    n: _Count | None = None
    best_of: _Count | None = None
    echo: bool | None = None


class _Embedding(msgspec.Struct, gc=False):
    model: _Model
    input: Raw


_CHAT = msgspec.json.Decoder(_Chat)
_COMPLETION = msgspec.json.Decoder(_Completion)
_EMBEDDING = msgspec.json.Decoder(_Embedding)
_STREAM_OPTIONS = msgspec.json.Decoder(_StreamOptions)

_KNOWN = frozenset(
    name for struct in (_Chat, _Completion, _Embedding) for name in struct.__struct_fields__
)
_KNOWN_BYTES = frozenset(name.encode() for name in _KNOWN)
_BIG_FIELDS = tuple(
    (name, b'"%b":' % name.encode())
    for name in ("tools", "functions", "response_format", "prediction")
)
_TIERS_AT_LIST_PRICE = frozenset({"auto", "default", "flex"})


def read_request(endpoint: Endpoint, body: bytes) -> RequestFacts:
    """Return what a request asks for. Raises BadRequest that names the field."""
    check_text(body)
    if endpoint is CHAT:
        return _read_chat(body)
    if endpoint is COMPLETIONS:
        return _read_completion(body)
    return _read_embedding(body)


def _read_chat(body: bytes) -> RequestFacts:
    chat: _Chat = decode(_CHAT, body)
    media = read_messages(chat.messages)
    around = _outline(body, (b'"messages":', chat.messages), *_big_values(chat))
    if chat.service_tier is not None and chat.service_tier not in _TIERS_AT_LIST_PRICE:
        raise BadRequest("This service tier is not offered here.", param="service_tier")
    limit_field, limit_members = _limit(chat)
    return RequestFacts(
        endpoint=CHAT,
        model=chat.model,
        text_bytes=len(body) - media.image_bytes - media.audio_bytes - media.file_bytes,
        around=around,
        stream=chat.stream is True,
        wants_usage=_wants_usage(chat.stream_options),
        stream_options=bytes(chat.stream_options),
        output_limit=getattr(chat, limit_field) if limit_field else None,
        limit_field=limit_field,
        limit_members=limit_members,
        choices=chat.n or 1,
        echoed_bytes=len(chat.prediction),
        messages=media.messages,
        images=media.images,
        image_bytes=media.image_bytes,
        audio=media.audio,
        audio_bytes=media.audio_bytes,
        files=media.files,
        file_bytes=media.file_bytes,
        wants_audio=bool(chat.modalities and "audio" in chat.modalities),
        searches=1 if chat.web_search_options else 0,
    )


def _read_completion(body: bytes) -> RequestFacts:
    asked: _Completion = decode(_COMPLETION, body)
    around = _outline(body, (b'"prompt":', asked.prompt))
    prompts, token_ids = read_texts(asked.prompt, "prompt")
    limit_field, limit_members = _limit(asked)
    return RequestFacts(
        endpoint=COMPLETIONS,
        model=asked.model,
        text_bytes=len(body),
        around=around,
        stream=asked.stream is True,
        wants_usage=_wants_usage(asked.stream_options),
        stream_options=bytes(asked.stream_options),
        output_limit=getattr(asked, limit_field) if limit_field else None,
        limit_field=limit_field,
        limit_members=limit_members,
        choices=max(asked.n or 1, asked.best_of or 1) * prompts,
        echoed_bytes=len(asked.prompt) if asked.echo else 0,
        token_ids=token_ids,
    )


def _read_embedding(body: bytes) -> RequestFacts:
    asked: _Embedding = decode(_EMBEDDING, body)
    around = _outline(body, (b'"input":', asked.input))
    if bytes(asked.input) == b"null":
        raise wrong_type("input", "a string or an array")
    _, token_ids = read_texts(asked.input, "input")
    return RequestFacts(
        endpoint=EMBEDDINGS,
        model=asked.model,
        text_bytes=len(body),
        around=around,
        choices=0,
        token_ids=token_ids,
    )


def _big_values(chat: _Chat) -> Iterator[tuple[bytes, Raw]]:
    for name, key in _BIG_FIELDS:
        value = getattr(chat, name)
        if value:
            yield key, value


def _outline(body: bytes, *values: tuple[bytes, Raw]) -> Outline:
    """Return the outline of a body in which no member that we read is open to two readings."""
    given = [(key, value) for key, value in values if value]
    around = outline(body, given, known=_KNOWN_BYTES)
    if not around.is_plain:
        members(body, known=_KNOWN)
    return around


def _limit(asked: _Chat | _Completion) -> tuple[str | None, tuple[str, ...]]:
    """Return the name of the larger limit, and the names of all limits given, nulls included."""
    if asked.max_tokens is UNSET and asked.max_completion_tokens is UNSET:
        return None, ()
    given = tuple(name for name in LIMIT_FIELDS if getattr(asked, name) is not UNSET)
    limits = [name for name in given if getattr(asked, name) is not None]
    largest = max(limits, key=lambda name: int(getattr(asked, name)), default=None)
    return largest, given


def _wants_usage(options: Raw) -> bool:
    text = bytes(options)
    if text in (b"", b"null"):
        return False
    if not text.startswith(b"{"):
        raise wrong_type("stream_options", "an object")
    members(text)
    return decode(_STREAM_OPTIONS, text, "stream_options").include_usage is True
