"""Streams: whole events pass untouched, usage is asked for and taken out again, holds grow."""

import json

import httpx
import pytest

from relay import tokens
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, events, said, until
from tests.relay.conftest import Shop


def test_a_stream_is_passed_on_and_charged_by_the_usage_that_we_asked_for(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    answer = client.post(CHAT, headers=bearer(demo_key), json=chat(stream=True))
    assert events(answer)[-1] == "[DONE]"
    assert all(json.loads(data)["choices"] for data in events(answer)[:-1])
    (record,) = shop.settled()
    assert (record.usage_source, record.stream) == ("upstream", True)
    assert record.output_count > 10
    shop.check_books()


def test_a_client_that_asks_for_usage_gets_the_usage_event(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    body = chat(stream=True, stream_options={"include_usage": True})
    answer = client.post(CHAT, headers=bearer(demo_key), json=body)
    last = json.loads(events(answer)[-2])
    assert last["choices"] == []
    (record,) = shop.settled()
    assert record.output_count == last["usage"]["completion_tokens"]


def test_a_stream_tells_caches_and_proxies_to_keep_their_hands_off(
    demo_key: str, client: httpx.Client
) -> None:
    answer = client.post(CHAT, headers=bearer(demo_key), json=chat(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"


def test_a_stream_without_usage_is_counted(demo_key: str, shop: Shop, client: httpx.Client) -> None:
    body = chat("[demo usage=none tokens=300]", stream=True)
    answer = client.post(CHAT, headers=bearer(demo_key), json=body)
    (record,) = shop.settled()
    assert record.usage_source == "counted"
    assert record.output_count == tokens.count(said(answer), "gpt-4")


def test_a_stream_grows_its_hold_as_it_goes(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    body = chat("[demo tokens=2000]", stream=True, max_tokens=2000)
    answer = client.post(CHAT, headers=bearer(demo_key), json=body)
    assert events(answer)[-1] == "[DONE]"
    (record,) = shop.settled()
    assert record.output_count == 2000
    assert record.held_ubt > 1_024 * 40_000_000
    assert record.absorbed_ubt == 0


def test_a_stream_that_was_slow_to_begin_has_checkpoints_too(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R11: with nothing else under way there is no timer that it could share."""
    body = chat("[demo delay_ms=400 chunk_delay_ms=50 tokens=100]", stream=True)
    with client.stream("POST", CHAT, headers=bearer(demo_key), json=body) as answer:
        pieces = answer.iter_text()
        next(pieces)
        until(lambda: shop.open_holds()[0].delivered_ubt > 0)


def test_credit_used_up_in_mid_stream_ends_it_with_an_error_event(
    shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    """R4: charge = count <= hold; never a clean end or a finish reason."""
    shop.fake_channel(fake)
    key = shop.key(8_000)
    shop.wait_for_relays()
    body = chat("[fake tokens=200 delay_ms=10]", stream=True)
    text = ""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("POST", CHAT, headers=bearer(key), json=body) as answer,
    ):
        for piece in answer.iter_text():
            if not text:
                shop.take_away()
            text += piece
    *_, last = [line for line in text.split("\n") if line]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "insufficient_quota"
    assert '"finish_reason":"stop"' not in text
    (record,) = shop.settled()
    assert 0 < record.charged_ubt <= record.held_ubt
    assert (record.absorbed_ubt, record.usage_source) == (0, "counted")
    assert record.error_type == "policy_quota"
    until(lambda: fake.truth[0].closed_by_client)
    shop.check_books()
