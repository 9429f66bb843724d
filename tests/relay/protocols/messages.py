"""Requests and events that the tests of Anthropic's dialect start from."""

import json
from typing import Any

from relay.protocols.anthropic import MESSAGES, MessagesFacts, read_request
from relay.protocols.base import Asked, Endpoint

PICTURE = {"type": "base64", "media_type": "image/png", "data": "A" * 9_000}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "B" * 9_000}
TOOL = {"name": "get_weather", "description": "d" * 900, "input_schema": {"type": "object"}}


def message(**fields: Any) -> bytes:
    """Return a request for a message; `fields` come in addition or instead."""
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 500} | fields
    asked.setdefault("messages", [{"role": "user", "content": "Say hello"}])
    return json.dumps(asked, separators=(",", ":")).encode()


def blocks(*content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a conversation of one message made of these blocks."""
    return [{"role": "user", "content": list(content)}]


def facts_of(endpoint: Endpoint = MESSAGES, *, query: bytes = b"", **fields: Any) -> MessagesFacts:
    """Return what is read from a request with these fields."""
    return read_request(endpoint, Asked(message(**fields), query=query))


def event(kind: str, **fields: Any) -> bytes:
    """Return an event as Anthropic writes it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | fields)}\n\n".encode()


def delta(**fields: Any) -> bytes:
    """Return an event with which a block goes on."""
    return event("content_block_delta", index=0, delta=fields)


def start(**usage: Any) -> bytes:
    """Return the event with which a message starts."""
    return event("message_start", message={"id": "msg_1", "content": [], "usage": usage})


def end(reason: str | None = "end_turn", **usage: Any) -> bytes:
    """Return the event that tells why a message has ended, and what it came to."""
    return event("message_delta", delta={"stop_reason": reason}, usage=usage)


def claude_code(**fields: Any) -> dict[str, Any]:
    """Return a request in the shape of Claude Code's first turn, kept small."""
    cached = {"cache_control": {"type": "ephemeral"}}
    user = {"device_id": "ab" * 32, "account_uuid": "", "session_id": "5e55"}
    tool = {"input_schema": {"type": "object", "properties": {"model": {"type": "string"}}}}
    return {
        "model": "claude-sonnet-4-5",
        "messages": blocks(
            {"type": "text", "text": '<reminder>\n"quoted" \\ text</reminder>'},
            {"type": "text", "text": "Say hello", **cached},
        ),
        "system": [
            {"type": "text", "text": "x-billing-header"},
            {"type": "text", "text": "You are an agent.", **cached},
            {"type": "text", "text": "Be brief.\n" * 20, **cached},
        ],
        "tools": [{"name": f"Tool{n}", "description": "Does", **tool} for n in range(24)],
        "metadata": {"user_id": json.dumps(user)},
        "max_tokens": 32_000,
        "thinking": {"budget_tokens": 31_999, "type": "enabled"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stream": True,
    } | fields
