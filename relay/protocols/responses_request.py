"""What a request for a response asks for: read in one pass, never rebuilt.

What an upstream keeps of earlier requests (a previous response, a stored prompt) counts as a file
whose size nobody knows: it is held by the figure of the model's price row, or by a usual one.
Called through `relay.protocols.responses`.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from relay.errors import BadRequest
from relay.protocols.base import UNSEEN_TOKENS, Endpoint, RequestFacts
from relay.protocols.decoding import decode, wrong_type
from relay.protocols.json_text import check_text, members
from relay.protocols.openai_content import ABSENT
from relay.protocols.openai_request import check_tier
from relay.protocols.strings import strings_in

LIMIT_FIELD = "max_output_tokens"
KEPT_TOKENS = 2_000
"""Held for what an upstream keeps and we don't see, where the price row has no figure for files."""

_MAX_ID_CHARS = 256
_MAX_NESTING = 4

_Model = Annotated[str, Meta(min_length=1, max_length=64)]
_Limit = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Id = Annotated[str, Meta(max_length=_MAX_ID_CHARS)]


class ResponsesFacts(RequestFacts):
    """`keeps`: the upstream stores the response, so that later requests may name it.

    `unseen` is how many of its files lie elsewhere.
    """

    keeps: bool = True
    unseen: int = 0


class _Request(msgspec.Struct, gc=False):
    model: _Model
    input: Raw = ABSENT
    instructions: Raw = ABSENT
    tools: Raw = ABSENT
    text: Raw = ABSENT
    prompt: Raw = ABSENT
    conversation: Raw = ABSENT
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    max_output_tokens: _Limit | UnsetType | None = UNSET
    previous_response_id: _Id | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    image_url: Raw = ABSENT
    input_audio: Raw = ABSENT
    file_data: Raw = ABSENT
    file_url: Raw = ABSENT
    file_id: Raw = ABSENT


class _Item(msgspec.Struct, gc=False):
    type: str = ""
    content: str | list[_Part] | None = None
    output: str | list[_Part] | _Part | None = None
    result: Raw = ABSENT


class _Tool(msgspec.Struct, gc=False):
    type: str = ""
    tools: Raw = ABSENT
    environment: Raw = ABSENT


class _Environment(msgspec.Struct, gc=False):
    type: str = "local"


class _Conversation(msgspec.Struct, gc=False):
    id: _Id


class _Prompt(msgspec.Struct, gc=False):
    """What its model reads of a request."""

    instructions: Any = None
    input: Any = None
    prompt: Any = None
    tools: Raw = ABSENT
    text: Raw = ABSENT


_REQUEST = msgspec.json.Decoder(_Request)
_ITEMS = msgspec.json.Decoder(list[_Item])
_TOOLS = msgspec.json.Decoder(list[_Tool] | None)
_ENVIRONMENT = msgspec.json.Decoder(_Environment)
_CONVERSATION = msgspec.json.Decoder(_Id | _Conversation)
_PROMPT = msgspec.json.Decoder(_Prompt)

_KNOWN = frozenset(_Request.__struct_fields__)
_REFERENCE = "item_reference"
_NOT_TEXT = frozenset(
    (
        *("type", "id", "call_id", "role", "status", "detail", "format"),
        *("image_url", "input_audio", "file_data", "file_id", "file_url", "result"),
        "encrypted_content",
    )
)


def read_request(endpoint: Endpoint, body: bytes) -> ResponsesFacts:
    """Return what a request asks for. Raises BadRequest that names the field."""
    check_text(body)
    asked: _Request = decode(_REQUEST, body)
    # No member that we read may be open to two readings. The vendors' libraries put words like
    # "auto" and "text" in so many places that walking the members is faster than an outline.
    members(body, known=_KNOWN)
    check_tier(asked.service_tier)
    if asked.background:
        raise BadRequest("Responses in the background are not offered here.", param="background")
    facts = ResponsesFacts(endpoint, asked.model, len(body))
    facts.keeps = asked.store is not False
    facts.stream = asked.stream is True
    if asked.max_output_tokens is not UNSET:
        facts.limit_members = (LIMIT_FIELD,)
        if asked.max_output_tokens is not None:
            facts.output_limit, facts.limit_field = asked.max_output_tokens, LIMIT_FIELD
    if asked.tools:
        _add_tools(facts, asked.tools, depth=1)
    _add_input(facts, asked.input)
    _add_kept(facts, asked)
    return facts


def _add_input(facts: ResponsesFacts, raw: Raw) -> None:
    given = bytes(raw)
    if given.startswith(b"["):
        items: list[_Item] = decode(_ITEMS, given, "input")
        facts.messages = len(items)
        for item in items:
            _add_item(facts, item)
        facts.text_bytes -= facts.image_bytes + facts.audio_bytes + facts.file_bytes
        facts.file_bytes += facts.unseen * UNSEEN_TOKENS
        if any(item.type == _REFERENCE for item in items):
            _hold_for_kept(facts)
    elif given.startswith(b'"'):
        facts.messages = 1
    elif given and given != b"null":
        raise wrong_type("input", "a string or an array")


def _add_item(facts: ResponsesFacts, item: _Item) -> None:
    if type(item.content) is list:
        for part in item.content:
            _add_part(facts, part)
    if isinstance(item.output, list):
        for part in item.output:
            _add_part(facts, part)
    elif isinstance(item.output, _Part):
        _add_part(facts, item.output)
    if item.result and item.type == "image_generation_call":
        facts.images += 1
        facts.image_bytes += len(item.result)


def _add_part(facts: ResponsesFacts, part: _Part) -> None:
    """Count what a part is by what it holds."""
    if part.image_url or part.type == "input_image":
        facts.images += 1
        facts.image_bytes += len(part.image_url)
    elif part.input_audio:
        facts.audio += 1
        facts.audio_bytes += len(part.input_audio)
    elif part.file_data or part.file_url or part.file_id:
        facts.files += 1
        facts.file_bytes += len(part.file_data)
        facts.unseen += not part.file_data


def _add_kept(facts: ResponsesFacts, asked: _Request) -> None:
    """Note what of earlier requests this one goes on with, and what it may cost."""
    if asked.prompt_cache_key:
        facts.conversation = asked.prompt_cache_key
    if asked.prompt and bytes(asked.prompt) != b"null":
        _hold_for_kept(facts)
    kept = asked.previous_response_id
    if asked.conversation and bytes(asked.conversation) != b"null":
        named: _Conversation | str = decode(_CONVERSATION, asked.conversation, "conversation")
        kept = kept or (named if isinstance(named, str) else named.id)
    if kept:
        facts.bound_to = kept
        facts.conversation = facts.conversation or kept
        _hold_for_kept(facts)


def _hold_for_kept(facts: ResponsesFacts) -> None:
    facts.files += 1
    facts.file_bytes += KEPT_TOKENS


def _add_tools(facts: ResponsesFacts, tools: Raw, *, depth: int) -> None:
    """Note the tools that the vendor bills apart; a namespace holds more tools.

    Raises BadRequest for one whose price nobody could charge: a computer of the vendor's by the
    hour.
    """
    for tool in decode(_TOOLS, tools, "tools") or ():
        if tool.type.startswith("web_search") or tool.type == "file_search":
            facts.searches += 1
        elif tool.type == "image_generation":
            facts.drawings += 1
        elif tool.type == "code_interpreter" or _is_in_container(tool):
            raise BadRequest(
                "Tools that run in a container of the vendor's are not offered here.", param="tools"
            )
        elif tool.tools and tool.type == "namespace" and depth < _MAX_NESTING:
            _add_tools(facts, tool.tools, depth=depth + 1)


def _is_in_container(tool: _Tool) -> bool:
    """Say whether a shell is the vendor's own, not the client's."""
    if tool.type != "shell" or not tool.environment or bytes(tool.environment) == b"null":
        return False
    where: _Environment = decode(_ENVIRONMENT, tool.environment, "tools.environment")
    return where.type != "local"


def prompt_text(body: bytes) -> list[str]:
    """Return every text of a request that its model reads, for counting.

    A body with numbers that nobody can represent counts as it stands.
    """
    try:
        prompt = _PROMPT.decode(body)
    except msgspec.DecodeError:
        return [body.decode()]
    texts = list(strings_in([prompt.instructions, prompt.input, prompt.prompt], but=_NOT_TEXT))
    schemas = [bytes(raw).decode() for raw in (prompt.tools, prompt.text) if raw]
    return [text for text in texts + schemas if text and text != "null"]
