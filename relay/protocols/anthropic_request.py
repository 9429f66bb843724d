"""What a request in Anthropic's dialect asks for: read in one pass, never rebuilt.

Only what routing, limits and the bound of the cost need is read and checked; everything else is
the upstream's business and passes unread. What would have another price, or another model's, is
refused: a tier, a speed or a place of its own, models to fall back to. Called through
`relay.protocols.anthropic`.
"""

import re
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from relay.errors import BadRequest
from relay.protocols.anthropic_content import ABSENT, Items, read_messages, read_tools
from relay.protocols.base import UNSEEN_TOKENS, Asked, Endpoint, RequestFacts
from relay.protocols.decoding import decode
from relay.protocols.json_text import Outline, check_text, members, outline

LIMIT_FIELD = "max_tokens"

KEPT_TOKENS = 2_000
"""Held for a thread that the vendor keeps and we don't see, without a figure for files."""

_Model = Annotated[str, Meta(min_length=1, max_length=64)]
_Tokens = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class MessagesFacts(RequestFacts, gc=False):
    """What a request to Anthropic asks for, and what only this dialect has to change in it.

    `thinking` is that member as it stands, `thinking_budget` the tokens that it allows.
    `keeps_thread`: the vendor is to remember the conversation.
    """

    thinking: bytes = b""
    thinking_budget: int = 0
    keeps_thread: bool = False


class _Messages(msgspec.Struct, gc=False):
    model: _Model
    messages: Raw
    max_tokens: _Tokens | None = None
    stream: bool | None = None
    system: Raw = ABSENT
    tools: Raw = ABSENT
    thinking: Raw = ABSENT
    metadata: Raw = ABSENT
    thread: Raw = ABSENT
    tool_choice: Raw = ABSENT
    context_management: Raw = ABSENT
    output_config: Raw = ABSENT
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    fallbacks: Raw = ABSENT


class _Thinking(msgspec.Struct, gc=False):
    budget_tokens: _Tokens | None = None


class _Metadata(msgspec.Struct, gc=False):
    user_id: str | None = None


class _Thread(msgspec.Struct, gc=False):
    previous_message_id: str | None = None


_MESSAGES = msgspec.json.Decoder(_Messages)
_THINKING = msgspec.json.Decoder(_Thinking)
_METADATA = msgspec.json.Decoder(_Metadata)
_THREAD = msgspec.json.Decoder(_Thread)

_KNOWN = frozenset(_Messages.__struct_fields__)
_KNOWN_BYTES = frozenset(name.encode() for name in _KNOWN)
_CUT_OUT = [
    (name, b'"%b":' % name.encode())
    for name in (
        "messages",
        "system",
        "tools",
        "thinking",
        "metadata",
        "thread",
        "tool_choice",
        "context_management",
        "output_config",
    )
]
_AT_LIST_PRICE = {
    "service_tier": frozenset({None, "auto", "standard_only"}),
    "speed": frozenset({None, "standard"}),
    "inference_geo": frozenset({None, "global"}),
}
_NULL = Raw(b"null")
_PASSED_QUERY = re.compile(rb"beta=[\w.,-]{0,200}")
_CACHE_CONTROL = re.compile(rb'"cache_control"[ \t\r\n]*:[ \t\r\n]*\{')
_MAX_CONVERSATION_CHARS = 512
# To search a longer text for every key takes more time than to walk over its members.
_SEARCHED_BYTES = 8_192


def read_request(endpoint: Endpoint, asked: Asked) -> MessagesFacts:
    """Return what a request asks for. Raises BadRequest that names the field."""
    body = asked.body
    check_text(body)
    told: _Messages = decode(_MESSAGES, body)
    _check_price(told)
    facts = MessagesFacts(endpoint, told.model, len(body), _outline(body, told), choices=0)
    if endpoint.writes:
        _add_answer_facts(facts, told)
    facts.messages, items = read_messages(told.messages)
    _add_items(facts, items)
    if facts.bound_to:
        facts.files += 1
        facts.file_bytes += KEPT_TOKENS
    if _is_given(told.tools):
        tools = read_tools(told.tools)
        facts.text_bytes += tools.hidden_tokens
        facts.searches = tools.searches
    if _is_given(told.metadata):
        user = decode(_METADATA, told.metadata, "metadata").user_id
        facts.conversation = (user or "")[:_MAX_CONVERSATION_CHARS]
    if asked.query:
        passed = filter(_PASSED_QUERY.fullmatch, asked.query.split(b"&"))
        facts.query = next(passed, b"")
    if _CACHE_CONTROL.search(body):
        facts.cache_write = "1h" if b'"1h"' in body else "5m"
    return facts


def _is_given(raw: Raw) -> bool:
    return bool(raw) and raw != _NULL


def _check_price(told: _Messages) -> None:
    """Raise BadRequest for what the vendor bills at another price than the model's."""
    for name, usual in _AT_LIST_PRICE.items():
        if getattr(told, name) not in usual:
            raise BadRequest(f"{name}: this value is not offered here", param=name)
    if _is_given(told.fallbacks):
        raise BadRequest("fallbacks: other models are not offered here", param="fallbacks")


def _add_answer_facts(facts: MessagesFacts, told: _Messages) -> None:
    if told.max_tokens is None:
        raise BadRequest("max_tokens: Field required", param=LIMIT_FIELD)
    facts.choices = 1
    facts.stream = bool(told.stream)
    facts.wants_usage = True
    facts.output_limit = told.max_tokens
    facts.limit_field = LIMIT_FIELD
    facts.limit_members = (LIMIT_FIELD,)
    if _is_given(told.thinking):
        facts.thinking = bytes(told.thinking)
        facts.thinking_budget = decode(_THINKING, facts.thinking, "thinking").budget_tokens or 0
    if _is_given(told.thread):
        facts.keeps_thread = True
        facts.bound_to = decode(_THREAD, told.thread, "thread").previous_message_id or ""


def _add_items(facts: MessagesFacts, items: Items) -> None:
    facts.images, facts.image_bytes = items.images, items.image_bytes
    facts.files, facts.file_bytes = items.files, items.file_bytes
    facts.text_bytes -= items.image_bytes + items.file_bytes
    facts.file_bytes += items.unseen * UNSEEN_TOKENS


def _outline(body: bytes, told: _Messages) -> Outline:
    """Return the outline of a body in which no member that we read is open to two readings."""
    if len(body) <= _SEARCHED_BYTES:
        given = [(key, value) for name, key in _CUT_OUT if (value := getattr(told, name))]
        around = outline(body, given, known=_KNOWN_BYTES)
        if around.is_plain:
            return around
    members(body, known=_KNOWN)
    return Outline(body)
