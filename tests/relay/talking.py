"""How the tests of realtime conversations talk, and to whom."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.fakes.realtime import FakeRealtime
from tests.relay.asking import bearer
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer

PATIENCE_S = 10.0
PRICES = {"input": 2, "cached_input": 1, "output": 4, "audio_in": 10, "audio_out": 20, "second": 3}

Events = list[dict[str, Any]]


def realtime_channel(shop: Shop, fake: FakeRealtime, path: str = "/v1", **fields: Any) -> int:
    """Add a channel to the fake vendor."""
    fields.setdefault("name", f"fake{path}")
    fields.setdefault("credential", "sk-fake-credential")
    fields.setdefault("provider", "openai")
    base_url = fake.origin + path
    return shop.channel(base_url=base_url, allow_private_network=True, **fields)


@contextmanager
def talking(
    server: RelayServer,
    key: str,
    *,
    path: str = "/v1/realtime",
    query: str = "model=gpt-4",
    **options: Any,
) -> Iterator[ClientConnection]:
    """Open a conversation."""
    options.setdefault("additional_headers", bearer(key))
    address = f"ws://127.0.0.1:{server.port}{path}?{query}"
    with connect(address, proxy=None, compression=None, **options) as socket:
        yield socket


def say(socket: ClientConnection, text: str) -> None:
    """Say something, and ask for an answer."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    socket.send(json.dumps({"type": "response.create"}))


def hear(socket: ClientConnection, until: str = "response.done") -> Events:
    """Return the events up to the first of this type."""
    events: Events = []
    while not events or events[-1]["type"] != until:
        events.append(json.loads(socket.recv(PATIENCE_S)))
    return events


def hear_out(socket: ClientConnection) -> tuple[Events, int]:
    """Return all events that come, and the code with which the relay hangs up."""
    events: Events = []
    while True:
        try:
            events.append(json.loads(socket.recv(PATIENCE_S)))
        except ConnectionClosed as closed:
            return events, closed.rcvd.code if closed.rcvd is not None else 1006


def text_of(events: Events) -> str:
    """Return what the model has written."""
    return "".join(event["delta"] for event in events if "text.delta" in event["type"])
