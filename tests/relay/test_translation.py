"""Clients of one dialect on channels of another, through a running relay: answered and charged."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from billing.models import UsageRecord
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import CHAT, bearer, chat, events, said
from tests.relay.conftest import Shop
from tests.relay.protocols.messages import claude_code

Json = dict[str, Any]

MESSAGES = "/v1/messages"
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
ARGUMENTS = {"city": "Beijing", "days": 3}


@pytest.fixture
def anthropic() -> Iterator[FakeAnthropic]:
    """A fake of Anthropic's API."""
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def key(shop: Shop, anthropic: FakeAnthropic) -> str:
    """A key of a shop whose only channel speaks Anthropic's messages."""
    anthropic_channel(shop, anthropic)
    return shop.key(1_000_000)


def anthropic_channel(shop: Shop, fake: FakeAnthropic, path: str = "", **fields: Any) -> int:
    fields = {"name": "anthropic", "credential": "sk-fake-credential"} | fields
    base_url = fake.origin + path
    return shop.channel(
        provider="anthropic", base_url=base_url, allow_private_network=True, **fields
    )


def ask_chat(client: httpx.Client, key: str, text: str = "Hello", **fields: Any) -> httpx.Response:
    return client.post(CHAT, headers=bearer(key), json=chat(text, **fields))


def message(text: str = "Hello", **fields: Any) -> Json:
    messages = [{"role": "user", "content": text}]
    return {"model": "gpt-4", "max_tokens": 100, "messages": messages} | fields


def ask(client: httpx.Client, key: str, text: str = "Hello", **fields: Any) -> httpx.Response:
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return client.post(MESSAGES, headers=headers, json=message(text, **fields))


def told(answer: httpx.Response) -> list[Json]:
    """Return what the events of a stream say."""
    return [json.loads(data) for data in events(answer) if data != "[DONE]"]


def arguments_of(answer: httpx.Response) -> Json:
    """Return what a chat's stream calls its tool with."""
    deltas = [chunk["choices"][0]["delta"] for chunk in told(answer)]
    calls = [delta["tool_calls"][0]["function"] for delta in deltas if "tool_calls" in delta]
    return dict(json.loads("".join(call["arguments"] for call in calls)))


def check_charged(shop: Shop, *, asked: int, written: int, count: int = 1) -> UsageRecord:
    """Fail unless the last request was charged for this by gpt-4's price; return its record."""
    record = shop.settled(count)[-1]
    assert record.charged_ubt == (20 * asked + 40 * written) * 1_000_000
    assert record.usage_source == "upstream"
    shop.check_books()
    return record


# OpenAI's chats on Anthropic's channels.


def test_a_chat_is_answered_by_anthropics_messages(
    key: str, shop: Shop, anthropic: FakeAnthropic, client: httpx.Client
) -> None:
    answer = ask_chat(client, key, temperature=0.5)
    truth = anthropic.truth[0]
    assert answer.json()["choices"][0]["message"]["content"] == truth.text
    assert answer.json()["choices"][0]["finish_reason"] == "stop"
    assert json.loads(truth.body)["temperature"] == 0.5
    assert truth.headers["anthropic-version"] == "2023-06-01"
    usage = answer.json()["usage"]
    record = check_charged(shop, asked=usage["prompt_tokens"], written=usage["completion_tokens"])
    assert (record.endpoint, record.model_served) == ("chat_completions", "gpt-4")


@pytest.mark.parametrize("asks_usage", [False, True])
def test_a_streamed_chat_is_charged_what_the_vendor_counts(
    asks_usage: bool, key: str, shop: Shop, anthropic: FakeAnthropic, client: httpx.Client
) -> None:
    options = {"stream_options": {"include_usage": True}} if asks_usage else {}
    answer = ask_chat(client, key, "[fake tokens=30]", stream=True, **options)
    truth = anthropic.truth[0]
    assert said(answer) == truth.text
    assert events(answer)[-1] == "[DONE]"
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert ("usage" in told(answer)[-1]) == asks_usage
    assert truth.usage is not None
    check_charged(shop, asked=truth.usage["input_tokens"], written=truth.usage["output_tokens"])


def test_what_the_cache_read_is_told_and_charged_as_such(
    key: str, shop: Shop, client: httpx.Client
) -> None:
    shop.reprice("gpt-4", input=20, cached_input=2, output=40)
    shop.wait_for_relays()
    usage = ask_chat(client, key, "[fake cached=900]").json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 900
    (record,) = shop.settled()
    fresh = usage["prompt_tokens"] - 900
    expected = 20 * fresh + 2 * 900 + 40 * usage["completion_tokens"]
    assert record.charged_ubt == expected * 1_000_000


@pytest.mark.parametrize("stream", [False, True])
def test_tools_make_the_round_of_two_turns(
    stream: bool, key: str, anthropic: FakeAnthropic, client: httpx.Client
) -> None:
    first = ask_chat(client, key, "[fake tool]", tools=TOOLS, stream=stream)
    if stream:
        assert arguments_of(first) == ARGUMENTS
        assert told(first)[-1]["choices"][0]["finish_reason"] == "tool_calls"
        call = {"id": "toolu_fake", "type": "function", "function": {"name": "get_weather"}}
        turn = {"role": "assistant", "tool_calls": [call]}
    else:
        turn = first.json()["choices"][0]["message"]
        assert json.loads(turn["tool_calls"][0]["function"]["arguments"]) == ARGUMENTS
    result = {"role": "tool", "tool_call_id": "toolu_fake", "content": "rain"}
    messages = [{"role": "user", "content": "Weather?"}, turn, result]
    second = client.post(CHAT, headers=bearer(key), json=chat(messages=messages, tools=TOOLS))
    asked = json.loads(anthropic.truth[1].body)
    assert second.json()["choices"][0]["finish_reason"] == "stop"
    assert asked["messages"][1]["content"][0]["id"] == "toolu_fake"
    assert asked["messages"][2]["content"][0]["tool_use_id"] == "toolu_fake"


def test_an_image_reaches_the_vendor(
    key: str, anthropic: FakeAnthropic, client: httpx.Client
) -> None:
    parts = [{"type": "text", "text": "What is this?"}, PNG]
    body = chat(messages=[{"role": "user", "content": parts}])
    assert client.post(CHAT, headers=bearer(key), json=body).status_code == 200
    image = json.loads(anthropic.truth[0].body)["messages"][0]["content"][1]
    assert image["source"]["data"] == "iVBORw0KGgo="


def test_a_limit_of_the_client_ends_the_answer(key: str, client: httpx.Client) -> None:
    choice = ask_chat(client, key, max_tokens=3).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["content"].split()) == 3


def test_thinking_is_delivered_as_reasoning(key: str, client: httpx.Client) -> None:
    whole = ask_chat(client, key, "[fake thinking]").json()["choices"][0]["message"]
    chunks = told(ask_chat(client, key, "[fake thinking]", stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    streamed = "".join(delta.get("reasoning_content", "") for delta in deltas)
    assert whole["reasoning_content"] == streamed.strip() == "first this then that"


def test_a_wallet_that_affords_less_than_the_model_could_write_is_served(
    shop: Shop, anthropic: FakeAnthropic, client: httpx.Client
) -> None:
    anthropic_channel(shop, anthropic)
    key = shop.key(4_000)
    shop.wait_for_relays()
    answer = ask_chat(client, key, stream=True)
    assert answer.status_code == 200
    assert 0 < json.loads(anthropic.truth[0].body)["max_tokens"] <= 100


def test_what_can_not_be_carried_is_refused_before_anything_is_sent(
    key: str, shop: Shop, anthropic: FakeAnthropic, client: httpx.Client
) -> None:
    answer = ask_chat(client, key, seed=5)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "seed"
    assert anthropic.truth == []
    assert shop.settled()[0].charged_ubt == 0


@pytest.mark.parametrize(
    ("directive", "status", "code"),
    [("status=400", 400, "invalid_request_error"), ("status=529", 503, "no_available_channel")],
)
def test_errors_are_told_as_openais(
    directive: str, status: int, code: str, key: str, shop: Shop, client: httpx.Client
) -> None:
    answer = ask_chat(client, key, f"[fake {directive}]")
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"]["code"] == code
    assert "6b3c1f2e" not in answer.text
    assert shop.settled()[0].charged_ubt == 0


@pytest.mark.parametrize(
    "directive", ["error_event=4 delay_ms=20", "cut=4 delay_ms=20", "junk=4 delay_ms=20"]
)
def test_a_stream_that_breaks_ends_with_the_clients_error(
    directive: str, key: str, shop: Shop, client: httpx.Client
) -> None:
    body = chat(f"[fake {directive}]", stream=True)
    text = ""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("POST", CHAT, headers=bearer(key), json=body) as answer,
    ):
        for piece in answer.iter_text():
            text += piece
    data = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
    assert "[DONE]" not in data
    assert json.loads(data[-1])["error"]["code"] == "no_available_channel"
    (record,) = shop.settled()
    assert record.charged_ubt > 0
    assert record.output_count == 4


def test_a_channel_that_speaks_the_clients_dialect_goes_first(
    shop: Shop, fake: FakeUpstream, anthropic: FakeAnthropic, client: httpx.Client
) -> None:
    anthropic_channel(shop, anthropic, weight=1000)
    shop.fake_channel(fake)
    key = shop.key()
    shop.wait_for_relays()
    for _ in range(3):
        assert ask_chat(client, key).status_code == 200
    assert (len(fake.truth), len(anthropic.truth)) == (3, 0)


def test_a_retry_may_need_another_dialect(
    shop: Shop, fake: FakeUpstream, anthropic: FakeAnthropic, client: httpx.Client
) -> None:
    shop.fake_channel(fake, "/status=500/v1")
    anthropic_channel(shop, anthropic)
    key = shop.key()
    shop.wait_for_relays()
    answer = ask_chat(client, key, stream=True)
    assert said(answer) == anthropic.truth[0].text
    assert len(fake.truth) == 1
    assert shop.settled()[0].attempts == 2


def test_what_one_channel_can_not_be_asked_another_may_be(
    shop: Shop, fake: FakeUpstream, anthropic: FakeAnthropic, client: httpx.Client
) -> None:
    anthropic_channel(shop, anthropic, priority=5)
    shop.fake_channel(fake)
    key = shop.key()
    shop.wait_for_relays()
    assert ask_chat(client, key, seed=5).status_code == 200
    assert (len(fake.truth), len(anthropic.truth)) == (1, 0)


# Anthropic's messages on OpenAI's channels.


def test_a_message_is_answered_by_openais_chats(
    fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    answer = ask(client, fake_key, "[fake cached=50]", system="Be brief.").json()
    truth = fake.truth[0]
    assert answer["content"] == [{"type": "text", "text": truth.text}]
    assert answer["stop_reason"] == "end_turn"
    assert json.loads(truth.body)["messages"][0] == {"role": "system", "content": "Be brief."}
    usage = answer["usage"]
    assert usage["cache_read_input_tokens"] == 50
    record = check_charged(shop, asked=usage["input_tokens"] + 50, written=usage["output_tokens"])
    assert record.endpoint == "messages"


@pytest.mark.parametrize("usage", ["asked", "each", "last"])
def test_a_streamed_message_is_charged_what_the_vendor_counts(
    usage: str, fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    answer = ask(client, fake_key, f"[fake tokens=30 usage={usage}]", stream=True)
    stream = told(answer)
    deltas = [one["delta"] for one in stream if one["type"] == "content_block_delta"]
    assert "".join(delta["text"] for delta in deltas) == fake.truth[0].text
    assert stream[0]["type"] == "message_start"
    assert stream[-1]["type"] == "message_stop"
    counted = stream[-2]["usage"]
    check_charged(shop, asked=counted["input_tokens"], written=counted["output_tokens"])


def test_a_message_without_any_usage_is_charged_by_our_count(
    fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    ask(client, fake_key, "[fake usage=none]", stream=True)
    (record,) = shop.settled()
    assert record.usage_source == "counted"
    assert record.output_count > 0


@pytest.mark.parametrize("stream", [False, True])
def test_tools_of_a_message_make_the_round_of_two_turns(
    stream: bool, fake_key: str, fake: FakeUpstream, client: httpx.Client
) -> None:
    tools = [{"name": "get_weather", "input_schema": {"type": "object"}}]
    first = ask(client, fake_key, "[fake tool chunk_chars=5]", tools=tools, stream=stream)
    if stream:
        deltas = [one["delta"] for one in told(first) if one["type"] == "content_block_delta"]
        assert json.loads("".join(delta["partial_json"] for delta in deltas)) == ARGUMENTS
        assert told(first)[-2]["delta"]["stop_reason"] == "tool_use"
    else:
        assert first.json()["content"][0]["input"] == ARGUMENTS
    used = {"type": "tool_use", "id": "call_fake", "name": "get_weather", "input": ARGUMENTS}
    result = {"type": "tool_result", "tool_use_id": "call_fake", "content": "rain"}
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [result]},
    ]
    second = ask(client, fake_key, messages=messages, tools=tools).json()
    asked = json.loads(fake.truth[1].body)["messages"]
    assert second["stop_reason"] == "end_turn"
    assert asked[1]["tool_calls"][0]["id"] == "call_fake"
    assert asked[2] == {"role": "tool", "tool_call_id": "call_fake", "content": "rain"}


def test_a_turn_of_claude_code_is_answered(
    shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    shop.fake_channel(fake)
    key = shop.key(10_000_000)
    shop.wait_for_relays()
    headers = {"authorization": f"Bearer {key}", "anthropic-beta": "claude-code-20250219"}
    body = claude_code(model="gpt-4")
    answer = client.post(f"{MESSAGES}?beta=true", headers=headers, json=body)
    assert told(answer)[-1] == {"type": "message_stop"}
    truth = fake.truth[0]
    assert "anthropic-beta" not in truth.headers
    assert truth.query == ""
    assert len(json.loads(truth.body)["tools"]) == 24


def test_what_a_chat_can_not_hold_is_refused_as_anthropic_would(
    fake_key: str, fake: FakeUpstream, client: httpx.Client
) -> None:
    answer = ask(client, fake_key, top_k=5)
    assert answer.status_code == 400
    assert answer.json()["type"] == "error"
    assert "top_k" in answer.json()["error"]["message"]
    assert fake.truth == []


def test_errors_of_chats_are_told_as_anthropics(fake_key: str, client: httpx.Client) -> None:
    answer = ask(client, fake_key, "[fake status=400]").json()
    assert answer["type"] == "error"
    assert answer["error"]["type"] == "invalid_request_error"
    assert "org-FakeOrg" not in answer["error"]["message"]


@pytest.mark.parametrize(
    "directive", ["error_event=4 delay_ms=20", "cut=4 delay_ms=20", "junk=4 delay_ms=20"]
)
def test_a_message_that_breaks_ends_with_an_error_event(
    directive: str, fake_key: str, shop: Shop, client: httpx.Client
) -> None:
    headers = {"x-api-key": fake_key}
    text = ""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream(
            "POST", MESSAGES, headers=headers, json=message(f"[fake {directive}]", stream=True)
        ) as answer,
    ):
        for piece in answer.iter_text():
            text += piece
    assert text.split("\n\n")[-2].startswith("event: error\n")
    assert "message_stop" not in text
    assert shop.settled()[0].charged_ubt > 0


def test_tokens_of_a_message_are_counted_without_the_upstream(
    fake_key: str, shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    headers = {"x-api-key": fake_key}
    short = client.post(f"{MESSAGES}/count_tokens", headers=headers, json=message())
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    body = message(messages=[{"role": "user", "content": [image]}])
    long = client.post(f"{MESSAGES}/count_tokens", headers=headers, json=body)
    assert 1 <= short.json()["input_tokens"] < 20
    assert long.json()["input_tokens"] > 1_000
    assert fake.truth == []
    assert [record.charged_ubt for record in shop.settled(2)] == [0, 0]


def test_a_translated_model_may_have_another_name(
    shop: Shop, fake: FakeUpstream, client: httpx.Client
) -> None:
    shop.fake_channel(fake, models={"gpt-4": "vendor-model"})
    key = shop.key()
    shop.wait_for_relays()
    answer = ask(client, key).json()
    assert json.loads(fake.truth[0].body)["model"] == "vendor-model"
    assert answer["model"] == "vendor-model"
