"""R3: what is held, which limit the upstream gets, and who waits for whom."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from billing.pricing import BUCKETS, Price, Tier
from relay.admission import bound_of
from relay.protocols.openai import CHAT as CHAT_ENDPOINT
from relay.protocols.openai import read_request
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, until
from tests.relay.conftest import Shop


def price(**fields: Any) -> Price:
    """Return gpt-4's old price: 20 base tokens in, 40 out."""
    per_unit = {"input": 20_000_000, "cached_input": 20_000_000, "output": 40_000_000}
    per_unit["reasoning"] = 40_000_000
    ubt = tuple(per_unit.get(bucket, 0) for bucket in BUCKETS)
    return Price(id=1, model="gpt-4", ubt=ubt, **fields)


def bound(body: dict[str, Any], **fields: Any) -> Any:
    """Return what a chat can cost at most."""
    return bound_of(read_request(CHAT_ENDPOINT, json.dumps(body).encode()), price(**fields))


def test_text_is_bounded_by_its_bytes() -> None:
    assert 3 * 1000 <= bound(chat("中" * 1000)).text_tokens <= 6 * 1000 + 200


def test_an_answer_without_a_limit_is_held_by_what_is_usual() -> None:
    found = bound(chat(), usual_output=4096, output_limit=8192)
    assert (found.wanted_tokens, found.cap_tokens, found.shares) == (4096, 8192, True)


def test_the_clients_limit_goes_before_what_is_usual() -> None:
    found = bound(chat(max_tokens=300), output_limit=8192)
    assert (found.wanted_tokens, found.cap_tokens, found.shares) == (300, 300, False)


def test_several_choices_multiply_the_output() -> None:
    assert bound(chat(max_tokens=300, n=4)).wanted_tokens == 1200


def test_a_stream_begins_with_little() -> None:
    assert bound(chat(stream=True), usual_output=4096).wanted_tokens == 1024


def test_a_stream_of_a_reasoning_model_begins_with_all_of_it() -> None:
    found = bound(chat(stream=True), usual_output=16384, is_reasoning=True)
    assert found.wanted_tokens == 16384


def test_long_context_prices_are_in_the_bound() -> None:
    tier = Tier(min_input=1000, ubt=tuple(100_000_000 for _ in BUCKETS))
    assert bound(chat("x" * 5000), tiers=(tier,)).input_rate_ubt == 100_000_000
    assert bound(chat("x"), tiers=(tier,)).input_rate_ubt == 20_000_000


def test_images_are_in_the_bound() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    body = chat() | {"messages": [{"role": "user", "content": [image, image]}]}
    assert bound(body, image_input_tokens=800).fixed_ubt == 2 * 800 * 20_000_000


def test_an_unlimited_request_is_left_as_it_is_when_credit_affords_the_models_cap(
    fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    client.post(CHAT, headers=bearer(shop.key(10_000_000)), json=chat())
    assert "max_tokens" not in json.loads(fake.truth[0].body)


def test_an_unlimited_request_is_limited_when_credit_does_not_afford_the_models_cap(
    fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    client.post(CHAT, headers=bearer(shop.key(10_000)), json=chat("[fake tokens=4000]"))
    (record,) = shop.settled()
    assert record.output_count == json.loads(fake.truth[0].body)["max_tokens"]
    assert record.output_count <= 10_000 / 4 / 40
    assert record.absorbed_ubt == 0


@pytest.mark.parametrize("limit", [32_000, 64_000])
@pytest.mark.parametrize("stream", [True, False])
def test_large_limits_work_on_a_small_balance(
    limit: int, stream: bool, fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    body = chat(max_tokens=limit, stream=stream)
    answer = client.post(CHAT, headers=bearer(shop.key(9_000)), json=body)
    assert answer.status_code == 200
    assert json.loads(fake.truth[0].body)["max_tokens"] < 9_000 / 40
    shop.settled()


def test_a_balance_that_affords_the_count_but_not_the_bytes_is_enough(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    words = "international " * 300
    answer = client.post(CHAT, headers=bearer(shop.key(14_000)), json=chat(words))
    assert answer.status_code == 200
    (record,) = shop.settled()
    assert record.held_ubt < len(words) * 20_000_000


def test_a_huge_text_on_a_small_balance_is_refused_without_counting_it(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    began = time.monotonic()
    body = chat("word " * 1_500_000)
    answer = client.post(CHAT, headers=bearer(shop.key(1_000)), json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert time.monotonic() - began < 1.0


def test_ten_unlimited_calls_at_once_are_all_answered(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R3: on the 90,000 base tokens of the usual product."""
    body = chat("[fake silent_ms=150]", model="gpt-4o")
    with ThreadPoolExecutor(10) as pool:
        statuses = list(
            pool.map(
                lambda _: client.post(CHAT, headers=bearer(fake_key), json=body).status_code,
                range(10),
            )
        )
    assert statuses == [200] * 10
    records = shop.settled(10)
    assert sum(record.absorbed_ubt for record in records) == 0
    shop.check_books()


def test_a_request_that_only_running_ones_keep_out_waits_for_them(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(9_000)
    body = chat("[fake silent_ms=600]", max_tokens=300)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, CHAT, headers=bearer(key), json=body)
        until(shop.holds)
        second = client.post(CHAT, headers=bearer(key), json=body)
    assert (first.result().status_code, second.status_code) == (200, 200)
    shop.settled(2)


def test_a_request_that_waited_in_vain_is_told_why(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(9_000)
    body = chat("[fake silent_ms=7000]", max_tokens=300)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(client.post, CHAT, headers=bearer(key), json=body)
        until(shop.holds)
        answer = client.post(CHAT, headers=bearer(key), json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "quota_held")
    assert "retry-after" in answer.headers
    shop.settled(1)


def test_a_price_is_pinned_when_the_hold_is_taken(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R2."""
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(
            client.post, CHAT, headers=bearer(fake_key), json=chat("[fake silent_ms=500]")
        )
        until(shop.holds)
        shop.reprice("gpt-4", input=1, output=1)
        shop.wait_for_relays()
        call.result()
    (record,) = shop.settled()
    assert record.charged_ubt == 1_000_000 * (20 * record.input_count + 40 * record.output_count)
    shop.check_books()


def test_a_cap_on_a_key_holds_however_rich_its_wallet_is(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(1_000_000, limit_ubt=3_000 * 1_000_000)
    bodies = [chat("[fake tokens=2000]") for _ in range(6)]
    codes = [client.post(CHAT, headers=bearer(key), json=body).status_code for body in bodies]
    assert codes[0] == 200
    assert codes[-1] == 429
    charged = sum(record.charged_ubt for record in shop.settled(codes.count(200)))
    assert charged <= 3_000 * 1_000_000


def test_a_budget_of_a_day_holds(fake_key: str, shop: Shop, client: httpx.Client) -> None:
    key = shop.key(1_000_000, budget_period="day", budget_ubt=3_000 * 1_000_000)
    codes = [
        client.post(CHAT, headers=bearer(key), json=chat("[fake tokens=2000]")).status_code
        for _ in range(6)
    ]
    assert (codes[0], codes[-1]) == (200, 429)
    charged = sum(record.charged_ubt for record in shop.settled(codes.count(200)))
    assert charged <= 3_000 * 1_000_000


def test_ten_streams_at_once_share_a_balance_that_is_enough_for_all(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    """R3: what the others hold comes back in a moment, so nobody is cut off."""
    key = shop.key(14_000)
    body = chat("[fake tokens=25 delay_ms=4]", stream=True)

    def ask(_: int) -> bool:
        return "[DONE]" in client.post(CHAT, headers=bearer(key), json=body).text

    with ThreadPoolExecutor(10) as pool:
        assert all(pool.map(ask, range(10)))
    assert {record.absorbed_ubt for record in shop.settled(10)} == {0}
    shop.check_books()
