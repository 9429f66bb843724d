"""What an upstream answered, read loosely: where it has another shape than it should, nothing is.

Called by the translations of answers. What matters for charging has been read by the dialect.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from relay.sse import event_data

Json = dict[str, Any]

_ANY = msgspec.json.Decoder()


def read_answer(body: bytes) -> Json:
    """Return an answer that its dialect has found readable."""
    return as_object(_decoded(body))


def read_event(event: bytes) -> Json:
    """Return the object in an event, an empty one if it has none."""
    data = event_data(event)
    return as_object(_decoded(data)) if data and data.lstrip().startswith(b"{") else {}


def _decoded(data: bytes) -> Any:
    """Return a value whose dialect has read what it knows of it, None if the rest can't be read.

    In what it does not know there may be numbers without bounds, and bytes that are no UTF-8.
    """
    try:
        return _ANY.decode(data)
    except (UnicodeDecodeError, msgspec.DecodeError):
        pass
    except RecursionError:
        return None
    try:
        return json.loads(data.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None


def as_object(value: Any) -> Json:
    """Return an object, an empty one instead of anything else."""
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str:
    """Return a text, an empty one instead of anything else."""
    return value if isinstance(value, str) else ""


def as_index(value: Any) -> int:
    """Return a place in a list, the first instead of anything else."""
    return value if isinstance(value, int) else 0


def objects_of(value: Any) -> Iterator[Json]:
    """Yield the objects of a list, none of anything else."""
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def thought_of(said: Json) -> str:
    """Return what a message or a delta of a chat thinks, under either name in use."""
    return as_text(said.get("reasoning_content")) or as_text(said.get("reasoning"))


def text_of(said: Json) -> str:
    """Return the words of a message or a delta of a chat; some vendors give them in parts."""
    content = said.get("content")
    if isinstance(content, list):
        content = "".join(as_text(part.get("text")) for part in objects_of(content))
    return as_text(content)
