"""What stands inside messages, prompts and inputs: how many items that are not text, and the text.

Called by `openai_request.py` and, for counting, through `relay.protocols.openai`.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from relay.errors import BadRequest
from relay.protocols.decoding import decode, wrong_type
from relay.protocols.strings import strings_in

ABSENT = Raw(b"")
"""Stands for a member that is not there; never equal to a value, which has at least one byte."""

_TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    image_url: Raw = ABSENT
    input_audio: Raw = ABSENT
    audio_url: Raw = ABSENT
    video_url: Raw = ABSENT
    file: Raw = ABSENT


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None


class _Prompt(msgspec.Struct, gc=False):
    messages: Any = None
    prompt: Any = None
    input: Any = None
    suffix: Any = None
    tools: Raw = ABSENT
    functions: Raw = ABSENT
    response_format: Raw = ABSENT


_MESSAGES = msgspec.json.Decoder(list[_Message])
_TEXTS = msgspec.json.Decoder(list[str | _TokenId | list[_TokenId]])
_PROMPT = msgspec.json.Decoder(_Prompt)

_TEXT_PARTS = frozenset({"text", "refusal", "thinking", "input_text", "output_text"})

_NOT_TEXT = frozenset(
    ("type", "id", "tool_call_id", "image_url", "input_audio", "audio_url", "video_url", "file")
)


class Items(msgspec.Struct, gc=False):
    """How many items of messages are not text, and what they take in the body.

    `unseen` are files and videos that lie elsewhere.
    """

    images: int = 0
    image_bytes: int = 0
    audio: int = 0
    audio_bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    unseen: int = 0


def read_messages(raw: Raw) -> tuple[int, Items | None]:
    """Return how many messages there are, and their items if any has parts.

    Raises BadRequest unless they are messages.
    """
    messages: list[_Message] = decode(_MESSAGES, raw, "messages")
    if not messages:
        raise BadRequest("Expected at least one message.", param="messages")
    items = None
    for message in messages:
        if type(message.content) is list:
            items = items or Items()
            for part in message.content:
                _add_part(items, part)
    return len(messages), items


def _add_part(items: Items, part: _Part) -> None:
    """Count what a part is by what it holds; one of an unknown kind counts as a file."""
    kind = part.type.casefold()
    if part.image_url or "image" in kind:
        items.images += 1
        items.image_bytes += len(part.image_url)
    if part.input_audio or part.audio_url or "audio" in kind:
        items.audio += 1
        items.audio_bytes += len(part.input_audio) + len(part.audio_url)
    if part.file or part.video_url or not _is_known_kind(kind):
        items.files += 1
        items.file_bytes += len(part.file) + len(part.video_url)
        items.unseen += not _is_at_hand(part)


def _is_at_hand(part: _Part) -> bool:
    """Say whether a file or a video is in the body, or a part so unknown that it is text."""
    if part.video_url:
        return b"data:" in bytes(part.video_url)[:64]
    return not part.file or b'"file_data"' in bytes(part.file)


def _is_known_kind(kind: str) -> bool:
    return kind in _TEXT_PARTS or "image" in kind or "audio" in kind


def read_texts(raw: Raw, param: str) -> tuple[int, int]:
    """Return how many texts there are, and how many token ids if they are given as such.

    A text is a string or an array of token ids; an array of either is several texts.
    """
    text = bytes(raw)
    if text.startswith(b'"') or text == b"null":
        return 1, 0
    if not text.startswith(b"["):
        raise wrong_type(param, "a string or an array")
    items = decode(_TEXTS, text, param)
    if not items:
        raise BadRequest(f"'{param}' must not be empty.", param=param)
    kinds = {type(item) for item in items}
    if len(kinds) > 1:
        raise wrong_type(param, "an array of one kind")
    if kinds == {int}:
        return 1, len(items)
    if kinds == {list}:
        return len(items), sum(len(ids) for ids in items)
    return len(items), 0


def prompt_text(body: bytes) -> list[str]:
    """Return every text of a request that its model reads, for counting; token ids are none.

    A body with numbers that nobody can represent counts as it stands.
    """
    try:
        prompt = _PROMPT.decode(body)
    except msgspec.DecodeError:
        return [body.decode()]
    return [text for text in _prompt_texts(prompt) if text]


def _prompt_texts(prompt: _Prompt) -> Iterator[str]:
    for given in (prompt.messages, prompt.prompt, prompt.input, prompt.suffix):
        yield from strings_in(given, but=_NOT_TEXT)
    for schema in (prompt.tools, prompt.functions, prompt.response_format):
        if schema and bytes(schema) != b"null":
            yield bytes(schema).decode()
