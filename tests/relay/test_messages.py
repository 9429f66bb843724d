"""Anthropic's messages through a running relay: passed on as they are, charged to the token."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from billing.models import UsageRecord
from billing.pricing import BUCKETS, Price
from relay.admission import bound_of
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.vendor import Truth
from tests.relay.asking import events, raw_request, read_until, until
from tests.relay.conftest import Shop
from tests.relay.protocols.messages import claude_code, facts_of
from tests.relay.server import RelayServer

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
VERSION = {"anthropic-version": "2023-06-01"}
# Base tokens for each unit.
PRICES = {
    "input": Decimal(3),
    "cached_input": Decimal("0.3"),
    "cache_write_5m": Decimal("3.75"),
    "cache_write_1h": Decimal(6),
    "output": Decimal(15),
    "search": Decimal(10_000),
}


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    """A fake of Anthropic's API."""
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def key(shop: Shop, fake: FakeAnthropic) -> str:
    """A key worth 1,000,000 base tokens, of a shop whose only channel is the fake."""
    shop.reprice("claude", **PRICES)
    add_channel(shop, fake)
    return shop.key(1_000_000)


def add_channel(shop: Shop, fake: FakeAnthropic, path: str = "", **fields: Any) -> int:
    """Add a channel to the fake; directives for all its requests may stand in the path."""
    fields.setdefault("credential", "sk-fake-credential")
    fields.setdefault("name", f"fake{path}")
    base_url = fake.origin + path
    return shop.channel(
        provider="anthropic", base_url=base_url, allow_private_network=True, **fields
    )


def message(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    """Return a request for a message."""
    messages = [{"role": "user", "content": text}]
    return {"model": "claude", "max_tokens": 1_000, "messages": messages} | fields


def ask(
    client: httpx.Client, key: str, text: str = "Hello", path: str = MESSAGES, **fields: Any
) -> httpx.Response:
    """Ask for a message, with the key where Anthropic's clients have it."""
    headers = VERSION | {"x-api-key": key}
    return client.post(path, headers=headers, json=message(text, **fields))


def told(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return what the events of a stream say."""
    return [json.loads(data) for data in events(answer)]


def owed(truth: Truth) -> int:
    """Return what a request costs by the vendor's own count, in millionths."""
    usage = truth.usage or {}
    split = usage.get("cache_creation", {})
    counted = {
        "input": usage["input_tokens"],
        "cached_input": usage["cache_read_input_tokens"],
        "cache_write_5m": split["ephemeral_5m_input_tokens"],
        "cache_write_1h": split["ephemeral_1h_input_tokens"],
        "output": usage["output_tokens"],
        "search": usage.get("server_tool_use", {}).get("web_search_requests", 0),
    }
    return int(sum(PRICES[name] * count for name, count in counted.items()) * 1_000_000)


def check_charged(shop: Shop, fake: FakeAnthropic) -> UsageRecord:
    """Fail unless the one request was charged what the vendor counts; return its record."""
    (record,) = shop.settled()
    until(lambda: fake.truth[-1].usage)  # the fake may note it after its answer has arrived
    assert record.charged_ubt == owed(fake.truth[-1])
    assert (record.usage_source, record.absorbed_ubt) == ("upstream", 0)
    shop.check_books()
    return record


@pytest.mark.parametrize("stream", [False, True])
def test_a_message_is_passed_on_as_it_is_and_charged_by_every_bucket(
    stream: bool, key: str, shop: Shop, fake: FakeAnthropic, client: httpx.Client
) -> None:
    text = "[fake cached=900 written=70 written_1h=30 reasoning=8 searched=2]"
    asked = message(text, stream=stream, top_k=5, made_up={"x": [1]})
    body = json.dumps(asked, indent=1)
    headers = VERSION | {"x-api-key": key, "content-type": "application/json"}
    answer = client.post(MESSAGES, headers=headers, content=body)
    assert answer.status_code == 200
    assert fake.truth[0].body == body
    if stream:
        assert [one["type"] for one in told(answer)][-2:] == ["message_delta", "message_stop"]
        assert answer.headers["content-type"].startswith("text/event-stream")
    record = check_charged(shop, fake)
    if not stream:
        assert answer.json()["usage"] == fake.truth[0].usage
    assert (record.endpoint, record.stream, record.reasoning_count) == ("messages", stream, 8)
    assert record.cache_write_1h_count == 30
    assert record.upstream_request_id == "req_fake"


def test_usage_that_is_told_in_pieces_is_charged_all_the_same(
    key: str, shop: Shop, fake: FakeAnthropic, client: httpx.Client
) -> None:
    for style in ("end", "output"):
        ask(client, key, f"[fake usage={style} cached=40 written=9]", stream=True)
    assert [record.charged_ubt for record in shop.settled(2)] == [owed(t) for t in fake.truth]


def test_a_message_without_usage_is_counted(key: str, shop: Shop, client: httpx.Client) -> None:
    for stream, usage in ((False, "none"), (True, "null")):
        ask(client, key, f"[fake usage={usage} tokens=40]", stream=stream)
    for record in shop.settled(2):
        assert record.usage_source == "counted"
        assert 30 <= record.output_count <= 60
        assert record.input_count > 5


def test_a_tool_is_called_and_its_result_is_answered(
    key: str, shop: Shop, fake: FakeAnthropic, client: httpx.Client
) -> None:
    tools = [{"name": "get_weather", "input_schema": {"type": "object"}}]
    called = ask(client, key, "[fake tool thinking redacted]", tools=tools).json()
    assert called["stop_reason"] == "tool_use"
    call = called["content"][-1]
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "Sunny"}
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": called["content"]},
        {"role": "user", "content": [result]},
    ]
    assert ask(client, key, tools=tools, messages=messages, stream=True).status_code == 200
    assert sum(record.charged_ubt for record in shop.settled(2)) == sum(map(owed, fake.truth))


def test_versions_betas_and_the_credential_reach_the_vendor_and_nothing_else_does(
    key: str, fake: FakeAnthropic, client: httpx.Client
) -> None:
    headers = {
        "authorization": f"Bearer {key}",
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
        "x-app": "cli",
        "cookie": "a=b",
    }
    asked = client.post(f"{MESSAGES}?beta=true&key=x", headers=headers, json=message())
    assert asked.status_code == 200
    (truth,) = fake.truth
    assert (truth.path, truth.query) == (MESSAGES, "beta=true")
    assert truth.headers["anthropic-beta"] == headers["anthropic-beta"]
    assert truth.headers["anthropic-version"] == "2026-10-21"
    assert truth.headers["x-api-key"] == "sk-fake-credential"
    assert not {"authorization", "cookie", "x-app"} & set(truth.headers)


def test_claude_codes_first_turn_is_served_and_held_for_its_cache(
    key: str, shop: Shop, fake: FakeAnthropic, client: httpx.Client
) -> None:
    answer = client.post(
        f"{MESSAGES}?beta=true", headers={"x-api-key": key}, json=claude_code(model="claude")
    )
    assert told(answer)[-1]["type"] == "message_stop"
    assert json.loads(fake.truth[0].body) == claude_code(model="claude")
    record = check_charged(shop, fake)
    assert record.held_ubt > len(fake.truth[0].body) * PRICES["cache_write_5m"] * 1_000_000


@pytest.mark.parametrize(("ttl", "rate"), [(None, 3), ("5m", 4), ("1h", 6)])
def test_what_is_written_into_the_cache_is_in_the_bound(ttl: str | None, rate: int) -> None:
    """R3: only the rate of the time that is asked for."""
    per_unit = {"input": 3, "cached_input": 1, "cache_write_5m": 4, "cache_write_1h": 6}
    price = Price(id=1, model="claude", ubt=tuple(per_unit.get(name, 0) for name in BUCKETS))
    control = {"type": "ephemeral", "ttl": ttl} if ttl else None
    assert bound_of(facts_of(cache_control=control), price).input_rate_ubt == rate


def test_large_limits_work_on_a_small_balance_and_thinking_is_lowered_with_them(
    key: str, shop: Shop, fake: FakeAnthropic, client: httpx.Client
) -> None:
    """R3."""
    thinking = {"type": "enabled", "budget_tokens": 31_999}
    for stream in (False, True):
        small = shop.key(50_000)
        ask(client, small, max_tokens=32_000, thinking=thinking, stream=stream)
        asked = json.loads(fake.truth[-1].body)
        assert 1_024 <= asked["thinking"]["budget_tokens"] < asked["max_tokens"] < 50_000 / 15
    assert [record.status for record in shop.settled(2)] == [200, 200]


def test_a_balance_without_room_for_thinking_is_told_that_it_is_used_up(
    key: str, shop: Shop, fake: FakeAnthropic, client: httpx.Client
) -> None:
    """R3: nothing is sent to the vendor, nothing is charged."""
    thinking = {"type": "enabled", "budget_tokens": 16_000}
    answer = ask(client, shop.key(9_000), max_tokens=32_000, thinking=thinking)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "billing_error")
    assert answer.headers["x-should-retry"] == "false"
    (record,) = shop.settled()
    assert (fake.truth, record.charged_ubt) == ([], 0)


def test_counting_tokens_costs_nothing_and_needs_no_balance(
    key: str, shop: Shop, fake: FakeAnthropic, client: httpx.Client
) -> None:
    for one in (key, shop.key(0)):
        answer = ask(client, one, path=COUNT)
        assert (answer.status_code, answer.json()) == (200, {"input_tokens": 8})
    for record in shop.settled(2):
        assert (record.endpoint, record.charged_ubt, record.status) == ("count_tokens", 0, 200)


def read_to_its_end(client: httpx.Client, key: str, text: str) -> str:
    """Return all that arrives of a stream, which may end in a cut."""
    got = ""
    headers, body = VERSION | {"x-api-key": key}, message(text, stream=True)
    with client.stream("POST", MESSAGES, headers=headers, json=body) as answer:
        try:
            for piece in answer.iter_text():
                got += piece
        except httpx.RemoteProtocolError:
            pass
    return got


def test_a_stream_that_breaks_ends_with_an_error_and_is_charged_for_what_was_delivered(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    """R7: the prompt as the vendor counts it, the words as we do; no `message_stop`."""
    troubles = ["cut=5", "error_event=5", "junk=5", "tokens=5 no_finish no_done"]
    for trouble in troubles:
        got = read_to_its_end(client, key, f"[fake {trouble} cached=50 delay_ms=10]")
        assert re.findall(r"^event: (\w+)", got, re.MULTILINE)[-1] == "error"
        assert "message_stop" not in got
        assert "6b3c1f2e" not in got
    for record in shop.settled(len(troubles)):
        assert record.cached_input_count == 50
        assert 5 <= record.output_count <= 7
    shop.check_books()


@pytest.mark.parametrize("trouble", ["/status=529", "/status=401", "/cut=0", "/role_then_error"])
def test_what_another_channel_may_cure_is_tried_there(
    trouble: str, key: str, shop: Shop, fake: FakeAnthropic, client: httpx.Client
) -> None:
    add_channel(shop, fake, trouble, priority=1)
    shop.wait_for_relays()
    answer = ask(client, key, stream=True)
    assert told(answer)[-1]["type"] == "message_stop"
    (record,) = shop.settled()
    assert (record.attempts, record.status) == (2, 200)
    assert record.charged_ubt == owed(fake.truth[-1])


def test_a_start_without_anything_else_is_no_answer_and_costs_nothing(
    shop: Shop, key: str, fake: FakeAnthropic, client: httpx.Client
) -> None:
    """R5: what `message_start` says of the prompt is no delivery."""
    answer = ask(client, key, "[fake cut=0]", stream=True)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "overloaded_error")
    (record,) = shop.settled()
    assert record.charged_ubt == 0


def test_an_account_without_credit_is_ours_to_mend(
    shop: Shop, fake: FakeAnthropic, client: httpx.Client
) -> None:
    shop.reprice("claude", **PRICES)
    add_channel(shop, fake, credential="sk-quota")
    key = shop.key()
    shop.wait_for_relays()
    answer = ask(client, key)
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "api_error")
    assert "credit" not in answer.text
    shop.settled()


def test_the_vendors_refusal_is_passed_on_without_traces_of_our_account(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    answer = ask(client, key, "[fake status=400 headers]", stream=True)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith("Fake trouble 400")
    for trace in ("6b3c1f2e", "sk-ant-fake", "req_011CS", "sk-fake"):
        assert trace not in answer.text + str(answer.headers)
    (record,) = shop.settled()
    assert (record.charged_ubt, record.attempts) == (0, 1)


def test_errors_have_anthropics_shape_and_its_header(key: str, client: httpx.Client) -> None:
    wrong = ask(client, "ak-wrong")
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (401, "authentication_error")
    assert wrong.headers["request-id"] == wrong.headers["x-request-id"]
    assert wrong.json()["request_id"] == wrong.headers["request-id"]
    for fields, status, type_ in (
        ({"model": "unknown"}, 404, "not_found_error"),
        ({"max_tokens": None}, 400, "invalid_request_error"),
    ):
        answer = ask(client, key, **fields)
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, type_)
    nowhere = ask(client, key, path=f"{MESSAGES}/batches")
    assert (nowhere.status_code, nowhere.json()["type"]) == (404, "error")


def test_a_client_that_leaves_pays_for_what_it_got(
    key: str, shop: Shop, fake: FakeAnthropic, relay_server: RelayServer
) -> None:
    """R7: the upstream is cancelled at once."""
    body = message("[fake tokens=500 delay_ms=10 cached=50]", stream=True)
    with raw_request(relay_server.port, key, body, path=MESSAGES) as sock:
        read_until(sock, b"water")
    until(lambda: fake.truth[0].closed_by_client)
    (record,) = shop.settled()
    assert (record.resolution, record.cached_input_count) == ("client_gone", 50)
    assert 4 <= record.output_count <= fake.truth[0].pieces < 300
    shop.check_books()


def test_the_demo_serves_messages_without_any_upstream(shop: Shop, client: httpx.Client) -> None:
    shop.channel()
    key = shop.key()
    shop.wait_for_relays()
    answer = ask(client, key, model="gpt-4", stream=True)
    usage = next(one["usage"] for one in told(answer) if one["type"] == "message_delta")
    (record,) = shop.settled()
    assert (record.input_count, record.output_count) == tuple(usage.values())
