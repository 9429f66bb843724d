"""What stands inside messages and tools: items that are not text, searches, and the text itself.

Called by `anthropic_request.py` and, for counting, through `relay.protocols.anthropic`.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from relay.errors import BadRequest
from relay.protocols.decoding import decode

ABSENT = Raw(b"")
"""Stands for a member that is not there; never equal to a value, which has at least one byte."""

USUAL_SEARCHES = 5
"""What is held for a search tool that has no limit of its own."""

# What the vendor puts before the prompt: with any tool, and for each of its own.
_TOOLS_TOKENS = 500
_VENDOR_TOOL_TOKENS = 1_500

_TEXT_SOURCES = frozenset({"text", "content"})
_ELSEWHERE = frozenset({"url", "file"})
_CLIENT_TOOLS = frozenset({"", "custom"})


class _Source(msgspec.Struct, gc=False):
    type: str = ""
    content: Raw = ABSENT


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    source: Raw = ABSENT
    content: Raw = ABSENT
    file_id: Raw = ABSENT


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Block] | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None
    max_uses: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    model: Raw = ABSENT


class _Prompt(msgspec.Struct, gc=False):
    messages: Any = None
    system: Any = None
    tools: Raw = ABSENT


_MESSAGES = msgspec.json.Decoder(list[_Message])
_BLOCKS = msgspec.json.Decoder(list[_Block])
_SOURCE = msgspec.json.Decoder(_Source)
_TOOLS = msgspec.json.Decoder(list[_Tool])
_PROMPT = msgspec.json.Decoder(_Prompt)


class Items(msgspec.Struct, gc=False):
    """How many items of messages are not text, and what they take in the body.

    `unseen` are files that lie elsewhere.
    """

    images: int = 0
    image_bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    unseen: int = 0


class Tools(msgspec.Struct, gc=False):
    """What tools add to a request: tokens that nobody sees, and searches they may make."""

    hidden_tokens: int = 0
    searches: int = 0


def read_messages(raw: Raw) -> tuple[int, Items]:
    """Return how many messages there are, and their items that are not text.

    Raises BadRequest unless they are messages.
    """
    messages: list[_Message] = decode(_MESSAGES, raw, "messages")
    if not messages:
        raise BadRequest("messages: at least one message is required", param="messages")
    items = Items()
    for message in messages:
        if type(message.content) is list:
            for block in message.content:
                _add_block(items, block)
    return len(messages), items


def _add_block(items: Items, block: _Block) -> None:
    """Count what a block is by what it holds; one of an unknown kind with a source is a file.

    The bytes of such a file stay text: nobody knows what they are.
    """
    if block.type == "image":
        items.images += 1
        items.image_bytes += len(block.source) if _is_media(_source(block.source)) else 0
    elif block.type == "document":
        _add_document(items, block.source)
    elif block.file_id or (block.source and block.type != "search_result"):
        items.files += 1
        items.unseen += bool(block.file_id)
    if block.content:
        _add_blocks_of(items, block.content)


def _add_document(items: Items, raw: Raw) -> None:
    """Count a document: a file, or text, or blocks of their own."""
    source = _source(raw)
    if _is_media(source):
        items.files += 1
        items.file_bytes += len(raw)
        items.unseen += source.type in _ELSEWHERE
    elif source.content:
        _add_blocks_of(items, source.content)


def _source(raw: Raw) -> _Source:
    source: _Source = decode(_SOURCE, raw or b"{}", "messages.content.source")
    return source


def _is_media(source: _Source) -> bool:
    return source.type not in _TEXT_SOURCES


def _add_blocks_of(items: Items, content: Raw) -> None:
    """Count the blocks of a tool's result; anything but a list of blocks is text."""
    text = bytes(content)
    if text.startswith(b"["):
        for block in decode(_BLOCKS, text, "messages.content.content"):
            _add_block(items, block)


def read_tools(raw: Raw) -> Tools:
    """Return what the tools add. Raises BadRequest for one that another model would answer."""
    tools: list[_Tool] = decode(_TOOLS, raw, "tools")
    found = Tools(hidden_tokens=_TOOLS_TOKENS if tools else 0)
    for tool in tools:
        if (tool.type or "") in _CLIENT_TOOLS:
            continue
        if tool.model:
            raise BadRequest("Tools that call a model of their own are not offered.", param="tools")
        found.hidden_tokens += _VENDOR_TOOL_TOKENS
        if "search" in (tool.type or "") and "web" in (tool.type or ""):
            found.searches += USUAL_SEARCHES if tool.max_uses is None else tool.max_uses
    return found


def prompt_text(body: bytes) -> list[str]:
    """Return every text of a request that its model reads, for counting.

    What the vendor has sealed for itself, such as search results, counts as it stands. A body with
    numbers that nobody can represent counts as a whole.
    """
    try:
        prompt = _PROMPT.decode(body)
    except msgspec.DecodeError:
        return [body.decode()]
    texts = [*_strings_but_media(prompt.system), *_strings_but_media(prompt.messages)]
    if prompt.tools:
        texts.append(bytes(prompt.tools).decode())
    return [text for text in texts if text]


_NOT_TEXT = frozenset({"type", "role", "id", "tool_use_id", "cache_control", "media_type"})


def _strings_but_media(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings_but_media(item)
    elif isinstance(value, dict):
        source = value.get("source")
        is_media = isinstance(source, dict) and source.get("type") not in _TEXT_SOURCES
        for name, item in value.items():
            if name not in _NOT_TEXT and not (is_media and name == "source"):
                yield from _strings_but_media(item)
