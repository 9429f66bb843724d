"""How realtime conversations are refused, and how they end: by either side, or by us."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from relay import realtime
from tests.fakes.realtime import SOUND, FakeRealtime
from tests.relay.asking import until
from tests.relay.conftest import Shop, open_shop
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


def refused(server: RelayServer, key: str, **options: Any) -> tuple[int, str]:
    """Return the status and the code with which a conversation is refused."""
    with pytest.raises(InvalidStatus) as refusal, talking(server, key, **options):
        pass
    answer = refusal.value.response
    assert answer.headers["x-request-id"]
    return answer.status_code, json.loads(answer.body or b"{}")["error"]["code"]


def test_an_unknown_key_is_refused(key: str, relay_server: RelayServer) -> None:
    assert refused(relay_server, "ak-unknown") == (401, "invalid_api_key")


def test_a_key_of_another_shop_is_unknown(
    key: str, vendor: FakeRealtime, relay_server: RelayServer
) -> None:
    other = open_shop("other", hosts=("other.test",))
    realtime_channel(other, vendor)
    assert refused(relay_server, other.key()) == (401, "invalid_api_key")


def test_an_unknown_model_is_refused(key: str, relay_server: RelayServer) -> None:
    assert refused(relay_server, key, query="model=gpt-99") == (404, "model_not_found")


@pytest.mark.parametrize("query", ["", "model=", "model=a&model=b", f"model={'x' * 65}"])
def test_an_address_without_a_model_is_refused(
    key: str, relay_server: RelayServer, query: str
) -> None:
    assert refused(relay_server, key, query=query)[0] == 400


def test_another_address_is_no_conversation(key: str, relay_server: RelayServer) -> None:
    with pytest.raises(InvalidStatus) as refusal, talking(relay_server, key, path="/v1/models"):
        pass
    assert refusal.value.response.status_code == 404


def test_a_key_may_be_kept_from_conversations(
    shop: Shop, key: str, relay_server: RelayServer
) -> None:
    other = shop.key(allowed_endpoints=["responses"])
    assert refused(relay_server, other)[0] == 403


def test_an_empty_wallet_is_refused_before_the_vendor_is_called(
    shop: Shop, vendor: FakeRealtime, key: str, relay_server: RelayServer
) -> None:
    assert refused(relay_server, shop.key(1)) == (429, "insufficient_quota")
    assert not vendor.talks


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/status=503/v1", 503, "no_available_channel"),
        ("/status=401/v1", 502, "upstream_credentials"),
        ("/status=302/v1", 503, "no_available_channel"),
    ],
)
def test_a_vendor_that_refuses_is_not_shown(
    shop: Shop, vendor: FakeRealtime, path: str, status: int, code: str
) -> None:
    realtime_channel(shop, vendor, path)
    key = shop.key()
    with running_relay() as server:
        assert refused(server, key) == (status, code)
    assert shop.settled()[0].charged_ubt == 0


def test_a_private_address_is_not_connected_to(shop: Shop, vendor: FakeRealtime) -> None:
    channel, key = realtime_channel(shop, vendor), shop.key()
    shop.change_channel(channel, allows_private_network=False)
    with running_relay() as server:
        assert refused(server, key)[0] == 503
    assert not vendor.talks


def test_a_channel_with_a_proxy_serves_no_conversation(shop: Shop, vendor: FakeRealtime) -> None:
    channel, key = realtime_channel(shop, vendor), shop.key()
    shop.change_channel(channel, proxy_url="http://127.0.0.1:9")
    with running_relay() as server:
        assert refused(server, key)[0] == 503
    assert not vendor.talks


def test_a_conversation_takes_a_place_among_those_that_run(
    shop: Shop, key: str, relay_server: RelayServer
) -> None:
    lone = shop.key(concurrency=1)
    with talking(relay_server, lone) as socket:
        hear(socket, "session.created")
        assert refused(relay_server, lone) == (429, "rate_limit_exceeded")


def test_conversations_count_as_requests_in_flight(key: str) -> None:
    with running_relay(max_in_flight=1) as server, talking(server, key) as socket:
        hear(socket, "session.created")
        assert refused(server, key) == (503, "overloaded")


def test_a_client_that_hangs_up_is_charged_for_what_it_had(
    key: str, relay_server: RelayServer, shop: Shop, vendor: FakeRealtime
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake tokens=8]")
        hear(socket)
    [record] = shop.settled()
    assert (record.output_count, record.resolution, record.error_type) == (8, "settled", "")
    assert until(lambda: vendor.talks[0].ended)


def test_a_client_that_leaves_in_mid_answer_pays_for_what_was_delivered(
    key: str, relay_server: RelayServer, shop: Shop, vendor: FakeRealtime
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake tokens=20 audio_s=1 hang=1]")
        for _ in range(10):
            hear(socket, "response.output_audio.delta")
    [record] = shop.settled()
    assert (record.resolution, record.usage_source) == ("client_gone", "counted")
    assert (record.output_count, record.audio_out_count) == (20, 20)
    assert until(lambda: vendor.talks[0].ended)
    shop.check_books()


def test_a_client_that_vanishes_is_noticed(
    key: str, relay_server: RelayServer, shop: Shop, vendor: FakeRealtime
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake tokens=20 hang=1]")
        hear(socket, "response.output_text.delta")
        socket.socket.shutdown(2)
    [record] = shop.settled()
    assert (record.resolution, record.error_type) == ("client_gone", "caller_gone")
    assert record.output_count > 0
    assert until(lambda: vendor.talks[0].ended)


def test_a_vendor_that_breaks_off_is_told_as_an_error(
    key: str, relay_server: RelayServer, shop: Shop
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake tokens=20 cut=7]")
        events, code = hear_out(socket)
    assert (code, events[-1]["type"]) == (realtime.INTERNAL, "error")
    [record] = shop.settled()
    assert (record.output_count, record.usage_source) == (7, "counted")
    assert record.error_type == "upstream_unavailable"


def test_a_vendor_that_hangs_up_in_order_ends_the_conversation(
    key: str, relay_server: RelayServer, shop: Shop
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake close=1000]")
        assert hear_out(socket)[1] == realtime.NORMAL
    assert shop.settled()[0].error_type == ""


def test_a_vendor_whose_account_is_empty_ends_it_without_saying_so(
    key: str, relay_server: RelayServer, shop: Shop
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake error=insufficient_quota]")
        events, code = hear_out(socket)
    assert (code, events[-1]["error"]["code"]) == (realtime.INTERNAL, "no_available_channel")


def test_an_answer_without_usage_is_counted(
    key: str, relay_server: RelayServer, shop: Shop
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake tokens=9 usage=none]")
        hear(socket)
    [record] = shop.settled()
    assert (record.output_count, record.usage_source) == (9, "counted")


def test_the_hold_grows_with_the_conversation(
    shop: Shop, key: str, relay_server: RelayServer
) -> None:
    with talking(relay_server, key) as socket:
        held_ubt = shop.open_holds()[0].amount_ubt
        say(socket, "[fake tokens=1 audio_s=90 context=500]")
        hear(socket)
        assert shop.open_holds()[0].amount_ubt > held_ubt
    [record] = shop.settled()
    assert (record.audio_out_count, record.absorbed_ubt) == (1800, 0)
    shop.check_books()


def test_credit_that_is_used_up_ends_the_conversation(
    shop: Shop, key: str, relay_server: RelayServer, vendor: FakeRealtime
) -> None:
    poor = shop.key(12_000)
    with talking(relay_server, poor) as socket:
        say(socket, "[fake tokens=1 audio_s=90]")
        events, code = hear_out(socket)
    assert (code, events[-1]["error"]["code"]) == (realtime.POLICY, "insufficient_quota")
    assert until(lambda: vendor.talks[0].ended)
    [record] = shop.settled()
    assert (record.error_type, record.absorbed_ubt) == ("policy_quota", 0)
    assert 0 < record.charged_ubt <= 12_000_000_000
    shop.check_books()


def test_sound_that_nobody_can_pay_for_is_not_passed_on(
    shop: Shop, key: str, relay_server: RelayServer, vendor: FakeRealtime
) -> None:
    poor = shop.key(12_000)
    said = [{"type": "input_audio_buffer.append", "audio": SOUND * 120}] * 10
    with talking(relay_server, poor) as socket:
        for event in [*said, {"type": "input_audio_buffer.commit"}]:
            socket.send(json.dumps(event))
        assert hear_out(socket)[1] == realtime.POLICY
    assert until(lambda: vendor.talks[0].ended)
    assert vendor.talks[0].events == said
    assert shop.settled()[0].charged_ubt == 0


def test_a_key_that_is_revoked_ends_its_conversation(
    key: str, relay_server: RelayServer, shop: Shop
) -> None:
    with talking(relay_server, key) as socket:
        say(socket, "[fake tokens=4]")
        hear(socket)
        shop.key()
        shop.wait_for_relays()
        say(socket, "[fake tokens=4]")
        hear(socket)
        shop.revoke(key)
        events, code = hear_out(socket)
    assert (code, events[-1]["error"]["code"]) == (realtime.POLICY, "key_disabled")
    [record] = shop.settled()
    assert (record.output_count, record.error_type) == (8, "caller_key")


@pytest.mark.parametrize("limit", ["LONGEST_S", "IDLE_S"])
def test_a_conversation_has_an_end(
    key: str, relay_server: RelayServer, shop: Shop, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(realtime, limit, 0.3)
    with talking(relay_server, key) as socket:
        say(socket, "[fake tokens=2]")
        events, code = hear_out(socket)
    assert (code, events[-1]["error"]["code"]) == (realtime.GOING_AWAY, "session_expired")
    [record] = shop.settled()
    assert (record.output_count, record.error_type) == (2, "")


def test_a_relay_that_stops_settles_its_conversations(key: str, shop: Shop) -> None:
    with running_relay() as server, talking(server, key) as socket:
        say(socket, "[fake tokens=3]")
        assert text_of(hear(socket))
        server.begin_to_stop()
        assert hear_out(socket)[1] in {realtime.GOING_AWAY, 1012}
    assert shop.settled()[0].output_count == 3
    shop.check_books()


def test_an_answer_that_a_stop_cuts_is_charged_for_what_was_delivered(key: str, shop: Shop) -> None:
    with running_relay() as server, talking(server, key) as socket:
        say(socket, "[fake tokens=5 hang=1]")
        for _ in range(5):
            hear(socket, "response.output_text.delta")
        server.begin_to_stop()
        hear_out(socket)
    [record] = shop.settled()
    assert (record.output_count, record.usage_source) == (5, "counted")
    assert record.error_type == "relay_stopping"
    shop.check_books()
