"""No word of a chat is left anywhere: not in the database, its log, Valkey, logs or other files.

Canaries go in wherever clients and vendors can put text, through answers, errors and broken
requests; then every byte that the installation keeps is searched for them.
"""

import contextlib
import json
import secrets
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from billing.models import Hold
from tests.fakes.realtime import FakeRealtime
from tests.fakes.upstream import FakeUpstream
from tests.system import asking
from tests.system.running import RunningSystem, wait_until
from tests.system.shops import Shop, Way, open_shop
from tests.system.sweeping import places_with

pytestmark = pytest.mark.system

MODEL, VOICE = "canary", "canary-voice"
PRICES: dict[str, dict[str, str | int]] = {
    MODEL: {"input": 1, "output": 1},
    VOICE: {"input": 1, "output": 1},
}
SLUG = "discreet-shop"
CANARY = f"canary{secrets.token_hex(8)}"
TROUBLES = [
    "echo",
    "echo usage=none",
    "echo cut=2 pause_ms=30",
    "echo error_event=2 pause_ms=30",
    "echo junk=2 pause_ms=30",
    "echo tool",
    "echo status=400",
    "echo status=422",
    "echo status=429",
    "echo status=500",
    "echo status=500 html",
    "echo truncated",
    "echo drop_before_headers",
]


@pytest.fixture(scope="module")
def vendor() -> Iterator[FakeUpstream]:
    with FakeUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def speaker() -> Iterator[FakeRealtime]:
    with FakeRealtime() as server:
        yield server


@pytest.fixture(scope="module")
def shop(running_system: RunningSystem, vendor: FakeUpstream, speaker: FakeRealtime) -> Shop:
    ways = [Way(MODEL, vendor.base_url), Way(VOICE, speaker.base_url)]
    return open_shop(running_system, SLUG, prices=PRICES, ways=ways)


def bodies() -> Iterator[tuple[str, bytes]]:
    """Yield path and body of requests with a canary wherever text can be."""
    for trouble in TROUBLES:
        for stream in (False, True):
            yield asking.CHAT, json.dumps(chat(f"[fake {trouble}]", stream=stream)).encode()
    completion = {"model": MODEL, "prompt": f"[fake echo] {CANARY}", "stop": [CANARY]}
    yield "/v1/completions", json.dumps(completion).encode()
    yield "/v1/embeddings", json.dumps({"model": MODEL, "input": [CANARY, CANARY]}).encode()
    yield asking.CHAT, json.dumps(asking.body(f"model-{CANARY}", "Hello!")).encode()
    yield asking.CHAT, json.dumps({"model": MODEL, "messages": CANARY}).encode()
    yield asking.CHAT, json.dumps({"model": MODEL, "messages": [], CANARY: 1}).encode()
    yield asking.CHAT, f'{{"model": "{MODEL}", "messages": ["{CANARY}'.encode()
    yield f"/v1/{CANARY}", b"{}"


def chat(directive: str, *, stream: bool) -> dict[str, Any]:
    """A chat with a canary in every kind of text that a request can carry."""
    call = {"name": "look_up", "arguments": json.dumps({"what": CANARY})}
    file = {"filename": f"{CANARY}.txt", "file_data": f"data:text/plain,{CANARY}"}
    asked = [
        {"role": "system", "content": CANARY},
        {"role": "user", "name": CANARY, "content": [{"type": "file", "file": file}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "function", "function": call}],
        },
        {"role": "tool", "tool_call_id": "1", "content": CANARY},
        {"role": "user", "content": f"{directive} {CANARY} and again {CANARY}"},
    ]
    tool = {"type": "function", "function": {"name": "look_up", "description": CANARY}}
    extras = {"tools": [tool], "stop": [CANARY], "user": CANARY, "metadata": {"of": CANARY}}
    return {"model": MODEL, "messages": asked, "stream": stream, **extras}


def send_all(system: RunningSystem, shop: Shop) -> list[str]:
    """Send every body; return what clients could read of the answers."""
    headers = asking.headers(shop.key, shop.host) | {"x-note": CANARY, "referer": CANARY}
    received = []
    with httpx.Client(base_url=system.url, headers=headers, timeout=20) as client:
        for path, body in bodies():
            with (
                contextlib.suppress(httpx.TransportError),
                client.stream("POST", path, content=body, params={"note": CANARY}) as answer,
            ):
                received.append(answer.read().decode())
    return received


def talk(system: RunningSystem, shop: Shop) -> None:
    """Hold conversations with a canary in all that is said, until they end in all their ways."""
    url = httpx.URL(system.url)
    for trouble in (
        "tokens=3",
        "error=server_error",
        "cut=1",
        "close=1011",
        "error=billing_not_active",
    ):
        content = [{"type": "input_text", "text": f"[fake {trouble}] {CANARY}"}]
        item = {"type": "message", "role": "user", "content": content}
        events = [
            {"type": "session.update", "session": {"instructions": CANARY}},
            {"type": "input_audio_buffer.append", "audio": CANARY},
            {"type": "conversation.item.create", "item": item},
            {"type": "response.create", "response": {"instructions": CANARY}},
        ]
        with (
            contextlib.suppress(ConnectionClosed),
            connect(
                f"ws://{shop.host}/v1/realtime?model={VOICE}",
                sock=socket.create_connection((url.host, url.port or 80)),
                additional_headers={"authorization": f"Bearer {shop.key}", "x-note": CANARY},
                proxy=None,
            ) as conversation,
        ):
            for event in events:
                conversation.send(json.dumps(event))
            conversation.send(f'{{"broken": "{CANARY}')
            while "response.done" not in str(conversation.recv(10)):
                pass


def test_no_byte_of_a_chat_is_kept(
    running_system: RunningSystem, vendor: FakeUpstream, speaker: FakeRealtime, shop: Shop
) -> None:
    received = send_all(running_system, shop)
    talk(running_system, shop)
    assert all(CANARY in json.dumps(heard.events) for heard in speaker.talks)
    assert any(CANARY in text for text in received)
    assert any(CANARY in truth.prompt for truth in vendor.truth)
    wait_until(lambda: not has_holds(running_system), patience_s=30)
    assert places_with(running_system, CANARY) == []


def has_holds(system: RunningSystem) -> bool:
    with system.books():
        return Hold.objects.filter(tenant__slug=SLUG).exists()


def test_the_search_finds_what_is_kept(running_system: RunningSystem, shop: Shop) -> None:
    def is_found(word: str, place: str) -> bool:
        return any(found.startswith(place) for found in places_with(running_system, word))

    assert is_found(shop.slug, "var/tollgate.sqlite3")
    assert is_found("READY http://127.0.0.1", "output.log")
    assert is_found("_kombu.binding", "valkey")
