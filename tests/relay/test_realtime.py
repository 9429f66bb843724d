"""Realtime conversations through a running relay: what passes, and what is charged."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from openai import OpenAI
from websockets.exceptions import InvalidStatus

from billing.models import UsageRecord
from relay import realtime, realtime_upstream
from tests.fakes.realtime import SOUND, FakeRealtime
from tests.relay.asking import bearer, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer, running_relay
from tests.relay.talking import (
    PRICES,
    hear,
    hear_out,
    realtime_channel,
    say,
    talking,
    text_of,
)


@pytest.fixture
def vendor() -> Iterator[FakeRealtime]:
    """A fake vendor of conversations."""
    with FakeRealtime() as fake:
        yield fake


@pytest.fixture
def key(shop: Shop, vendor: FakeRealtime) -> str:
    """A key of a shop whose only channel is that vendor."""
    shop.reprice("gpt-4", **PRICES)
    realtime_channel(shop, vendor)
    return shop.key()


def counts(record: UsageRecord) -> dict[str, int]:
    """Return what a record has counted, without its zeros."""
    named = ((name, getattr(record, f"{name}_count")) for name in PRICES)
    return {name: count for name, count in named if count}


def test_the_demo_converses(demo_key: str, relay_server: RelayServer, shop: Shop) -> None:
    with talking(relay_server, demo_key) as socket:
        say(socket, "Hello")
        events = hear(socket)
    assert "You wrote: “Hello”" in text_of(events)
    usage = events[-1]["response"]["usage"]
    [record] = shop.settled()
    assert (record.endpoint, record.usage_source, record.status) == ("realtime", "upstream", 200)
    assert (record.stream, record.first_token_ms) == (True, None)
    assert counts(record) == {"input": usage["input_tokens"], "output": usage["output_tokens"]}
    shop.check_books()


def test_openais_library_converses(demo_key: str, relay_server: RelayServer, shop: Shop) -> None:
    library = OpenAI(base_url=f"{relay_server.url}/v1", api_key=demo_key)
    with library.realtime.connect(model="gpt-4") as connection:
        connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hello"}],
            }
        )
        connection.response.create()
        kinds = []
        for event in connection:
            kinds.append(event.type)
            if event.type == "response.done":
                break
    assert kinds[0] == "session.created"
    assert "response.output_text.delta" in kinds
    assert shop.settled()[0].error_type == ""


def test_text_and_sound_are_charged_as_reported(
    key: str, relay_server: RelayServer, shop: Shop, vendor: FakeRealtime
) -> None:
    with talking(relay_server, key) as socket:
        for _ in range(3):
            socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": SOUND}))
        say(socket, "[fake tokens=4 audio_s=2 cached=5 transcript=1.2]")
        hear(socket)
        say(socket, "[fake tokens=6 context=20 cached=10]")
        hear(socket)
    [record] = shop.settled()
    assert counts(record) == {
        "input": 4 + 19,
        "cached_input": 5 + 10,
        "output": 4 + 6,
        "audio_in": 3 + 3,
        "audio_out": 40,
        "second": 2,
    }
    assert record.charged_ubt == 1_000_000 * sum(
        PRICES[name] * count for name, count in counts(record).items()
    )
    shop.check_books()


def test_the_vendor_gets_our_credential_and_the_clients_beta(
    key: str, relay_server: RelayServer, vendor: FakeRealtime
) -> None:
    headers = bearer(key) | {"openai-beta": "realtime=v1", "cookie": "a=b", "x-mine": "1"}
    with talking(relay_server, key, additional_headers=headers) as socket:
        hear(socket, "session.created")
    seen = vendor.talks[0].headers
    assert seen["authorization"] == "Bearer sk-fake-credential"
    assert seen["openai-beta"] == "realtime=v1"
    assert not {"cookie", "x-mine", "sec-websocket-protocol"} & set(seen)


def test_browsers_put_the_key_among_the_subprotocols(
    key: str, relay_server: RelayServer, vendor: FakeRealtime
) -> None:
    names = ["realtime", f"openai-insecure-api-key.{key}", "openai-beta.realtime-v1"]
    with talking(relay_server, key, additional_headers={}, subprotocols=names) as socket:
        hear(socket, "session.created")
        assert socket.subprotocol == "realtime"
    assert vendor.talks[0].headers["openai-beta"] == "realtime=v1"


def test_the_model_is_the_channels(shop: Shop, vendor: FakeRealtime) -> None:
    realtime_channel(shop, vendor, models={"gpt-4": "my gpt"})
    key = shop.key()
    with running_relay() as server, talking(server, key) as socket:
        hear(socket, "session.created")
    assert vendor.talks[0].path == "/v1/realtime?model=my%20gpt"
    assert shop.settled()[0].model_served == "my gpt"


def test_azure_is_addressed_as_it_wants(shop: Shop, vendor: FakeRealtime) -> None:
    realtime_channel(shop, vendor, "", provider="azure")
    key = shop.key()
    with running_relay() as server, talking(server, key) as socket:
        hear(socket, "session.created")
    assert vendor.talks[0].path == "/openai/v1/realtime?model=gpt-4"
    assert vendor.talks[0].headers["api-key"] == "sk-fake-credential"


def test_events_pass_as_they_are(key: str, relay_server: RelayServer, vendor: FakeRealtime) -> None:
    odd = '{ "type" : "session.update",  "session": {"x": 1.50, "instructions": "Grüß Gott"} }'
    with talking(relay_server, key) as socket:
        socket.send(odd)
        say(socket, "[fake tokens=1]")
        hear(socket)
    assert vendor.talks[0].events[0] == json.loads(odd)


def test_what_the_vendor_says_of_our_account_stays_here(
    key: str, relay_server: RelayServer
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake error=server_error]")
        events = hear(socket, "error")
    assert "rate_limits.updated" not in {event["type"] for event in events}
    assert "FakeOrg" not in events[-1]["error"]["message"]
    assert "sk-fake" not in events[-1]["error"]["message"]


def test_another_channel_is_tried_before_the_conversation(shop: Shop, vendor: FakeRealtime) -> None:
    realtime_channel(shop, vendor, "/status=503/v1", priority=9)
    realtime_channel(shop, vendor)
    key = shop.key()
    with running_relay() as server, talking(server, key) as socket:
        hear(socket, "session.created")
    assert shop.settled()[0].attempts == 2


def test_a_plain_request_is_told_what_the_address_is_for(
    demo_key: str, client: httpx.Client
) -> None:
    answer = client.get("/v1/realtime?model=gpt-4", headers=bearer(demo_key))
    assert (answer.status_code, "WebSocket" in answer.text) == (400, True)


def test_a_crash_would_be_charged_what_was_reported(
    key: str, relay_server: RelayServer, shop: Shop
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake tokens=50]")
        hear(socket)
        [hold] = until(lambda: [hold for hold in shop.open_holds() if hold.delivered_ubt])
        used_ubt = 1_000_000 * (50 * PRICES["output"] + 9 * PRICES["input"])
        assert 0 <= used_ubt - hold.delivered_ubt < 1_000_000 * PRICES["input"]


def test_sound_in_frames_of_bytes_is_refused(
    key: str, relay_server: RelayServer, shop: Shop
) -> None:
    with talking(relay_server, key) as socket:
        socket.send(b"RIFF")
        events, code = hear_out(socket)
    assert (code, events[-1]["type"]) == (realtime.UNSUPPORTED, "error")
    assert shop.settled()[0].charged_ubt == 0


@pytest.mark.parametrize(("name", "is_trusted"), [("localhost", True), ("elsewhere", False)])
def test_a_vendor_behind_tls_must_be_who_it_says(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_trusted: bool
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    realtime_upstream.trusted_tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    with FakeRealtime(tls=context) as vendor:
        realtime_channel(shop, vendor)
        key = shop.key()
        with running_relay() as server:
            if is_trusted:
                with talking(server, key) as socket:
                    hear(socket, "session.created")
            else:
                with pytest.raises(InvalidStatus), talking(server, key):
                    pass
    assert bool(vendor.talks) is is_trusted
    realtime_upstream.trusted_tls.cache_clear()
