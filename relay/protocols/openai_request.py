"""What a request in OpenAI's dialect asks for: read in one pass, never rebuilt.

Only what routing, limits and the bound of the cost need is read and checked; everything else is
the upstream's business and passes unread. Called through `relay.protocols.openai`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from billing.pricing import Counts
from relay.errors import BadRequest
from relay.protocols.base import UNSEEN_TOKENS, Endpoint, RequestFacts
from relay.protocols.decoding import decode, wrong_type
from relay.protocols.json_text import Outline, check_text, members, outline
from relay.protocols.openai_content import ABSENT, Items, read_messages, read_texts

LIMIT_FIELDS = ("max_completion_tokens", "max_tokens")


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
    prompt_cache_key: str | None = None


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
_TIERS_AT_LIST_PRICE = frozenset({"auto", "default", "standard", "on_demand", "flex"})
_ALWAYS_SEARCHES = re.compile(r"-search-(?:preview|api)")


def read_request(endpoint: Endpoint, body: bytes) -> RequestFacts:
    """Return what a request asks for. Raises BadRequest that names the field."""
    check_text(body)
    return _READERS[endpoint.name](endpoint, body)


def check_tier(tier: str | None) -> None:
    """Raise BadRequest for a service tier that costs more than the list price."""
    if tier is not None and tier not in _TIERS_AT_LIST_PRICE:
        raise BadRequest("This service tier is not offered here.", param="service_tier")


def _read_chat(endpoint: Endpoint, body: bytes) -> RequestFacts:
    chat: _Chat = decode(_CHAT, body)
    check_tier(chat.service_tier)
    facts = RequestFacts(endpoint, chat.model, len(body), _chat_outline(body, chat))
    _add_answer_facts(facts, chat)
    if chat.prediction:
        facts.echoed_bytes = len(chat.prediction)
    if chat.modalities:
        facts.wants_audio = "audio" in chat.modalities
    if _is_search(chat):
        facts.units = Counts(search=1)
    if chat.prompt_cache_key:
        facts.conversation = chat.prompt_cache_key
    facts.messages, items = read_messages(chat.messages)
    if items:
        _add_items(facts, items)
    if (items or chat.tools) and b'"cache_control"' in body:
        # For channels that speak Anthropic's dialect, where parts and tools are marked so.
        facts.cache_write = "1h" if b'"1h"' in body else "5m"
    return facts


def _is_search(chat: _Chat) -> bool:
    """Say whether the vendor searches before it answers, which it bills apart and never reports."""
    options = bytes(chat.web_search_options)
    return options not in (b"", b"null") or bool(_ALWAYS_SEARCHES.search(chat.model))


def _read_completion(endpoint: Endpoint, body: bytes) -> RequestFacts:
    asked: _Completion = decode(_COMPLETION, body)
    around = _outline(body, ((b'"prompt":', asked.prompt),))
    facts = RequestFacts(endpoint, asked.model, len(body), around)
    _add_answer_facts(facts, asked)
    prompts, facts.token_ids = read_texts(asked.prompt, "prompt")
    facts.choices = max(facts.choices, asked.best_of or 1) * prompts
    if asked.echo:
        facts.echoed_bytes = len(asked.prompt)
    return facts


def _read_embedding(endpoint: Endpoint, body: bytes) -> RequestFacts:
    asked: _Embedding = decode(_EMBEDDING, body)
    around = _outline(body, ((b'"input":', asked.input),))
    facts = RequestFacts(endpoint, asked.model, len(body), around, choices=0)
    if bytes(asked.input) == b"null":
        raise wrong_type("input", "a string or an array")
    _, facts.token_ids = read_texts(asked.input, "input")
    return facts


_READERS: dict[str, Callable[[Endpoint, bytes], RequestFacts]] = {
    "chat_completions": _read_chat,
    "completions": _read_completion,
    "embeddings": _read_embedding,
}


def _add_answer_facts(facts: RequestFacts, asked: _Chat | _Completion) -> None:
    if asked.stream:
        facts.stream = True
    if asked.n is not None:
        facts.choices = asked.n
    if asked.stream_options:
        facts.stream_options = bytes(asked.stream_options)
        facts.wants_usage = _wants_usage(facts.stream_options)
    if asked.max_tokens is not UNSET or asked.max_completion_tokens is not UNSET:
        _add_limit(facts, asked)


def _add_limit(facts: RequestFacts, asked: _Chat | _Completion) -> None:
    """Note all limits that stand in the body, nulls included, and the larger of them."""
    for name in LIMIT_FIELDS:
        limit = getattr(asked, name)
        if limit is not UNSET:
            facts.limit_members += (name,)
            if limit is not None and (facts.output_limit is None or limit > facts.output_limit):
                facts.output_limit = limit
                facts.limit_field = name


def _add_items(facts: RequestFacts, items: Items) -> None:
    facts.images, facts.image_bytes = items.images, items.image_bytes
    facts.audio, facts.audio_bytes = items.audio, items.audio_bytes
    facts.files, facts.file_bytes = items.files, items.file_bytes
    facts.text_bytes -= items.image_bytes + items.audio_bytes + items.file_bytes
    facts.file_bytes += items.unseen * UNSEEN_TOKENS


def _wants_usage(options: bytes) -> bool:
    if options == b"null":
        return False
    if not options.startswith(b"{"):
        raise wrong_type("stream_options", "an object")
    members(options)
    return decode(_STREAM_OPTIONS, options, "stream_options").include_usage is True


def _chat_outline(body: bytes, chat: _Chat) -> Outline:
    values = [(b'"messages":', chat.messages)]
    if chat.tools:
        values.append((b'"tools":', chat.tools))
    if chat.functions:
        values.append((b'"functions":', chat.functions))
    if chat.response_format:
        values.append((b'"response_format":', chat.response_format))
    if chat.prediction:
        values.append((b'"prediction":', chat.prediction))
    return _outline(body, values)


def _outline(body: bytes, values: Sequence[tuple[bytes, Raw]]) -> Outline:
    """Return the outline of a body in which no member that we read is open to two readings."""
    around = outline(body, values, known=_KNOWN_BYTES)
    if not around.is_plain:
        members(body, known=_KNOWN)
    return around
