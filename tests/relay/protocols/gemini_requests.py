"""Requests in Gemini's dialect that its tests start from."""

from typing import Any

from relay.protocols.base import Asked, Endpoint, RequestFacts
from relay.protocols.gemini import GENERATE
from relay.protocols.gemini_request import read_request
from tests.relay.protocols.requests import packed

MODEL = "gemini-2.5-flash"


def said(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return contents: what a user says, in parts."""
    return [{"role": "user", "parts": list(parts)}]


def generate(text: str = "Say hello", **fields: Any) -> bytes:
    """Return the body of a request for content; `fields` come in addition or instead."""
    return packed({"contents": said({"text": text})} | fields)


def facts_of(
    endpoint: Endpoint = GENERATE,
    body: bytes | None = None,
    *,
    model: str = MODEL,
    query: bytes = b"",
    **fields: Any,
) -> RequestFacts:
    """Return what is read from a request with these fields, or with this body."""
    asked = Asked(generate(**fields) if body is None else body, model, query=query)
    return read_request(endpoint, asked)
