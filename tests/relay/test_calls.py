"""Whole answers: what a client gets, and what its key is charged."""

import time

import httpx

from tests.relay.asking import CHAT, bearer, chat
from tests.relay.conftest import Shop
from tests.relay.server import running_relay


def test_a_chat_is_answered_and_charged_by_the_upstreams_usage(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    answer = client.post(CHAT, headers=bearer(demo_key), json=chat())
    assert answer.status_code == 200
    used = answer.json()["usage"]
    (record,) = shop.settled()
    assert (record.input_count, record.output_count) == (
        used["prompt_tokens"],
        used["completion_tokens"],
    )
    assert record.charged_ubt == 1_000_000 * (
        20 * used["prompt_tokens"] + 40 * used["completion_tokens"]
    )
    assert (record.resolution, record.usage_source) == ("settled", "upstream")
    shop.check_books()


def test_the_usage_record_tells_how_and_how_fast(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    client.post(CHAT, headers=bearer(demo_key), json=chat("[demo delay_ms=120]"))
    (record,) = shop.settled()
    assert (record.status, record.attempts, record.endpoint) == (200, 1, "chat_completions")
    assert record.first_token_ms is not None
    assert 120 <= record.first_token_ms <= record.total_ms < 2_000
    assert record.line_id is not None
    assert record.address_hash > 0


def test_a_completion_is_answered_and_charged(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    body = {"model": "gpt-3.5-turbo", "prompt": "Once upon", "max_tokens": 5}
    answer = client.post("/v1/completions", headers=bearer(demo_key), json=body)
    assert answer.json()["usage"]["completion_tokens"] == 5
    (record,) = shop.settled()
    assert record.charged_ubt == 1_000_000 * record.input_count + 1_500_000 * 5


def test_an_embedding_is_charged_for_its_input_alone(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    body = {"model": "gpt-4", "input": ["one text", "another"], "encoding_format": "base64"}
    answer = client.post("/v1/embeddings", headers=bearer(demo_key), json=body)
    assert [item["object"] for item in answer.json()["data"]] == ["embedding", "embedding"]
    (record,) = shop.settled()
    assert record.charged_ubt == 20_000_000 * answer.json()["usage"]["prompt_tokens"]


def test_an_answer_without_usage_is_counted(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    client.post(CHAT, headers=bearer(demo_key), json=chat("Say it [demo usage=none tokens=60]"))
    (record,) = shop.settled()
    assert record.usage_source == "counted"
    assert 50 <= record.output_count <= 75
    assert 10 <= record.input_count <= 30


def test_every_answer_carries_its_request_id(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    answer = client.post(CHAT, headers=bearer(demo_key), json=chat())
    (record,) = shop.settled()
    assert answer.headers["x-request-id"] == str(record.id)


def test_a_mapped_model_is_charged_at_the_price_of_what_was_asked(
    shop: Shop, client: httpx.Client
) -> None:
    shop.channel(models={"gpt-4": "gpt-4-turbo"})
    shop.wait_for_relays()
    answer = client.post(CHAT, headers=bearer(shop.key()), json=chat())
    assert answer.json()["model"] == "gpt-4-turbo"
    (record,) = shop.settled()
    assert (record.model_asked, record.model_served) == ("gpt-4", "gpt-4-turbo")
    assert record.charged_ubt == 1_000_000 * (20 * record.input_count + 40 * record.output_count)


def test_a_new_channel_a_new_key_and_a_new_price_take_effect_within_a_second(shop: Shop) -> None:
    key = shop.key()
    with (
        running_relay(snapshot_period_s=0.5) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        assert client.post(CHAT, headers=bearer(key), json=chat()).status_code == 404
        shop.channel()
        shop.reprice("gpt-4", input=2, output=4)
        time.sleep(1.0)
        client.post(CHAT, headers=bearer(key), json=chat())
        (record,) = shop.settled()
    assert record.charged_ubt == 1_000_000 * (2 * record.input_count + 4 * record.output_count)


def test_a_revoked_key_is_refused_within_a_second(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    assert client.post(CHAT, headers=bearer(demo_key), json=chat()).status_code == 200
    shop.revoke(demo_key)
    shop.wait_for_relays()
    answer = client.post(CHAT, headers=bearer(demo_key), json=chat())
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "key_disabled")
