"""Requests that the tests of the dialect start from."""

import json
from typing import Any

from relay.protocols.openai import CHAT, Endpoint, RequestFacts, read_request

MESSAGES = [{"role": "user", "content": "Say hello"}]


def packed(value: Any) -> bytes:
    """Return JSON without white space, as most clients send it."""
    return json.dumps(value, separators=(",", ":")).encode()


def chat(**fields: Any) -> bytes:
    """Return a chat request; `fields` come in addition or instead."""
    return packed({"model": "gpt-4o", "messages": MESSAGES} | fields)


def facts_of(endpoint: Endpoint = CHAT, **fields: Any) -> RequestFacts:
    """Return what is read from a request with these fields (a chat's, with a message)."""
    if endpoint is CHAT:
        return read_request(CHAT, chat(**fields))
    return read_request(endpoint, packed({"model": "gpt-4o"} | fields))
