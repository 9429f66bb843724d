"""What stands inside contents: how many items that are not text, and the text.

Called by `gemini_request.py` and, for counting, through `relay.protocols.gemini`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from relay.errors import BadRequest
from relay.protocols.base import UNSEEN_TOKENS, RequestFacts
from relay.protocols.decoding import decode
from relay.protocols.strings import strings_in

ABSENT = Raw(b"")


class _Blob(msgspec.Struct, gc=False, rename="camel"):
    mime_type: str = ""
    mime_type_: str = msgspec.field(name="mime_type", default="")


class _Part(msgspec.Struct, gc=False, rename="camel"):
    inline_data: Raw = ABSENT
    inline_data_: Raw = msgspec.field(name="inline_data", default=ABSENT)
    file_data: Raw = ABSENT
    file_data_: Raw = msgspec.field(name="file_data", default=ABSENT)
    function_response: Raw = ABSENT
    function_response_: Raw = msgspec.field(name="function_response", default=ABSENT)


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | _Part | None = None


_CONTENTS = msgspec.json.Decoder(list[_Content] | _Content)
_BLOB = msgspec.json.Decoder(_Blob)
_ANY = msgspec.json.Decoder()

_NOT_TEXT = frozenset(
    ("role", "id", "model", "inlineData", "inline_data", "fileData", "file_data", "mimeType")
) | {"mime_type", "thoughtSignature", "thought_signature"}
_ASKED = frozenset(
    ("contents", "content", "systemInstruction", "system_instruction", "tools", "requests", "title")
)
_CONFIGS = ("generationConfig", "generation_config")
_SCHEMAS = frozenset(
    ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema")
)


def add_contents(facts: RequestFacts, raw: bytes, param: str) -> int:
    """Note the items of contents; return how many contents there are.

    Like the vendor, takes one where there may be several. Raises BadRequest unless they are some.
    """
    given: list[_Content] | _Content = decode(_CONTENTS, raw, param)
    contents = given if isinstance(given, list) else [given]
    for content in contents:
        if content.parts is not None:
            parts = content.parts if isinstance(content.parts, list) else [content.parts]
            for part in parts:
                _add_part(facts, part, param)
    return len(contents)


def _add_part(facts: RequestFacts, part: _Part, param: str) -> None:
    if part.inline_data or part.inline_data_:
        _add_item(facts, _one_of(part.inline_data, part.inline_data_, f"{param}.inlineData"), param)
    # What a tool has given back may have parts of its own.
    for response in (bytes(part.function_response), bytes(part.function_response_)):
        if b"parts" in response:
            add_contents(facts, response, f"{param}.functionResponse")
    if part.file_data or part.file_data_:
        stored = _one_of(part.file_data, part.file_data_, f"{param}.fileData")
        if not _kind(stored, param).startswith("image/"):
            facts.files += 1
            facts.file_bytes += UNSEEN_TOKENS
        else:
            facts.images += 1


def _one_of(first: Raw, second: Raw, param: str) -> Raw:
    if first and second:
        raise BadRequest("A field is given in both spellings.", param=param)
    return first or second


def _add_item(facts: RequestFacts, blob: Raw, param: str) -> None:
    """Count an item by what it says it is; one of an unknown kind counts as a file."""
    kind, size = _kind(blob, param), len(blob)
    if kind.startswith("image/"):
        facts.images += 1
        facts.image_bytes += size
    elif kind.startswith("audio/"):
        facts.audio += 1
        facts.audio_bytes += size
    else:
        facts.files += 1
        facts.file_bytes += size
    facts.text_bytes -= size


def _kind(raw: Raw, param: str) -> str:
    blob: _Blob = decode(_BLOB, raw, param)
    if blob.mime_type and blob.mime_type_:
        raise BadRequest("A field is given in both spellings.", param=f"{param}.mimeType")
    return (blob.mime_type or blob.mime_type_).casefold()


def prompt_text(body: bytes) -> list[str]:
    """Return every text of a request that its model reads, for counting.

    A body with numbers that nobody can represent counts as it stands.
    """
    try:
        asked = _ANY.decode(body)
    except msgspec.DecodeError:
        return [body.decode()]
    if not isinstance(asked, dict):
        return []
    texts = [text for name in asked if name in _ASKED for text in strings(asked[name])]
    for config in (asked.get(name) for name in _CONFIGS):
        if isinstance(config, dict):
            texts += [
                msgspec.json.encode(config[name]).decode() for name in _SCHEMAS & config.keys()
            ]
    return [text for text in texts if text]


def strings(value: Any) -> Iterator[str]:
    """Return the strings in a value that a model reads or has written."""
    return strings_in(value, but=_NOT_TEXT)
