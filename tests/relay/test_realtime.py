"""Realtime conversations through a running relay: what passes, what is charged, how they end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.relay.asking import bearer
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer

PATIENCE_S = 10.0


@contextmanager
def talking(server: RelayServer, key: str, **options: Any) -> Iterator[ClientConnection]:
    """Open a conversation with gpt-4."""
    options.setdefault("additional_headers", bearer(key))
    address = f"ws://127.0.0.1:{server.port}/v1/realtime?model=gpt-4"
    with connect(address, proxy=None, **options) as socket:
        yield socket


def say(socket: ClientConnection, text: str) -> None:
    """Say something, and ask for an answer."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    socket.send(json.dumps({"type": "response.create"}))


def hear(socket: ClientConnection, until: str = "response.done") -> list[dict[str, Any]]:
    """Return the events up to one of this type."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != until:
        events.append(json.loads(socket.recv(PATIENCE_S)))
    return events


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(each["delta"] for each in events if each["type"].endswith(".delta"))


def test_a_conversation_is_passed_on_and_charged(
    demo_key: str, relay_server: RelayServer, shop: Shop
) -> None:
    with talking(relay_server, demo_key) as socket:
        say(socket, "Hello")
        events = hear(socket)
    assert "You wrote: “Hello”" in text_of(events)
    usage = events[-1]["response"]["usage"]
    [record] = shop.settled()
    assert (record.endpoint, record.usage_source, record.status) == ("realtime", "upstream", 200)
    assert (record.input_count, record.output_count) == (
        usage["input_tokens"],
        usage["output_tokens"],
    )
    shop.check_books()
