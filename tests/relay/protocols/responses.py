"""Requests and events that the tests of responses start from."""

import json
from typing import Any

from relay.protocols.base import Asked
from relay.protocols.responses import RESPONSES, ResponsesFacts
from tests.relay.protocols.requests import packed

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 17,
}


def asked(**fields: Any) -> bytes:
    """Return a request for a response; `fields` come in addition or instead."""
    return packed({"model": "gpt-5", "input": "Say hello"} | fields)


def facts_of(**fields: Any) -> ResponsesFacts:
    """Return what is read from a request with these fields."""
    return RESPONSES.dialect.read(RESPONSES, Asked(asked(**fields)))  # type: ignore[return-value]


def message(*content: dict[str, Any]) -> dict[str, Any]:
    """Return an item of the input that has parts."""
    return {"type": "message", "role": "user", "content": list(content)}


def said(text: str) -> dict[str, Any]:
    """Return an item of the output that is text."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content}


def response(**fields: Any) -> dict[str, Any]:
    """Return a whole response; `fields` come in addition or instead."""
    known = {"id": "resp_1", "object": "response", "status": "completed", "error": None}
    return known | {"output": [said("Hello there")], "usage": USAGE} | fields


def event(kind: str, **fields: Any) -> bytes:
    """Return an event of a stream as the vendor writes it."""
    data = json.dumps({"type": kind, "sequence_number": 1} | fields)
    return f"event: {kind}\ndata: {data}\n\n".encode()
