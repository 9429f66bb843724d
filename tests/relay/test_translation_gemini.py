"""OpenAI's chats on Gemini's channels, through a running relay: answered and charged."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes.gemini import FakeGemini
from tests.relay.asking import CHAT, bearer, chat, events, said
from tests.relay.conftest import Shop

Json = dict[str, Any]

TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
CALL = "[fake tool tokens=1]"


@pytest.fixture
def fake() -> Iterator[FakeGemini]:
    """A fake of Gemini's API."""
    with FakeGemini() as fake:
        yield fake


@pytest.fixture
def key(shop: Shop, fake: FakeGemini) -> str:
    """A key of a shop whose only channel speaks Gemini's protocol."""
    shop.channel(
        "gemini",
        provider="gemini",
        base_url=fake.origin,
        credential="sk-fake-credential",
        allow_private_network=True,
        models={"gpt-4": "gemini-3-pro"},
    )
    return shop.key(1_000_000)


def ask(client: httpx.Client, key: str, text: str = "Hello", **fields: Any) -> httpx.Response:
    return client.post(CHAT, headers=bearer(key), json=chat(text, **fields))


def told(answer: httpx.Response) -> list[Json]:
    """Return what the events of a stream say."""
    return [json.loads(data) for data in events(answer) if data != "[DONE]"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_answered_and_charged_what_the_vendor_counts(
    stream: bool, key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    answer = ask(client, key, "[fake tokens=30 cached=50 reasoning=9]", stream=stream)
    truth = fake.truth[0]
    assert (truth.model, truth.stream) == ("gemini-3-pro", stream)
    if stream:
        assert said(answer) == truth.text
        assert events(answer)[-1] == "[DONE]"
        assert told(answer)[-1]["choices"][0]["finish_reason"] == "stop"
    else:
        assert answer.json()["usage"]["completion_tokens"] == 39
        assert len(answer.json()["choices"][0]["message"]["content"].split()) == 30
    (record,) = shop.settled()
    counted = truth.usage or {}
    asked, written = counted["promptTokenCount"], counted["candidatesTokenCount"] + 9
    assert record.charged_ubt == (20 * asked + 40 * written) * 1_000_000
    assert (record.usage_source, record.model_served) == ("upstream", "gemini-3-pro")
    shop.check_books()


def test_usage_comes_last_if_it_was_asked_for(key: str, client: httpx.Client) -> None:
    options = {"include_usage": True}
    last = told(ask(client, key, stream=True, stream_options=options))[-1]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 12


@pytest.mark.parametrize("stream", [False, True])
def test_tools_make_the_round_of_two_turns(
    stream: bool, key: str, fake: FakeGemini, client: httpx.Client
) -> None:
    first = ask(client, key, CALL, tools=TOOLS, stream=stream)
    if stream:
        deltas = [chunk["choices"][0]["delta"] for chunk in told(first)]
        calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
        assert told(first)[-1]["choices"][0]["finish_reason"] == "tool_calls"
    else:
        calls = first.json()["choices"][0]["message"]["tool_calls"]
        assert first.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "Beijing"}
    turn = {"role": "assistant", "content": None, "tool_calls": calls}
    result = {"role": "tool", "tool_call_id": calls[0]["id"], "content": "rain"}
    messages = [{"role": "user", "content": "Weather?"}, turn, result]
    second = client.post(CHAT, headers=bearer(key), json=chat(messages=messages, tools=TOOLS))
    asked = json.loads(fake.truth[1].body)["contents"]
    assert second.json()["choices"][0]["finish_reason"] == "stop"
    assert asked[1]["parts"][0]["functionCall"]["name"] == "get_weather"
    response = {"name": "get_weather", "response": {"output": "rain"}}
    assert asked[2]["parts"] == [{"functionResponse": response}]


def test_an_image_reaches_the_vendor(key: str, fake: FakeGemini, client: httpx.Client) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    body = chat(messages=[{"role": "user", "content": [image]}])
    assert client.post(CHAT, headers=bearer(key), json=body).status_code == 200
    (part,) = json.loads(fake.truth[0].body)["contents"][0]["parts"]
    assert part["inlineData"] == {"mimeType": "image/png", "data": "iVBORw0KGgo="}


def test_several_answers_are_charged_together(key: str, shop: Shop, client: httpx.Client) -> None:
    answer = ask(client, key, n=2).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert shop.settled()[0].output_count == 24


def test_a_blocked_prompt_ends_as_filtered(key: str, client: httpx.Client) -> None:
    choice = ask(client, key, "[fake blocked]").json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "content_filter")


def test_a_wallet_that_affords_less_than_the_model_could_write_is_served(
    key: str, shop: Shop, fake: FakeGemini, client: httpx.Client
) -> None:
    poor = shop.key(4_000)
    shop.wait_for_relays()
    assert ask(client, poor, stream=True).status_code == 200
    config = json.loads(fake.truth[0].body)["generationConfig"]
    assert 0 < config["maxOutputTokens"] <= 100


def test_errors_are_told_as_openais(key: str, shop: Shop, client: httpx.Client) -> None:
    answer = ask(client, key, "[fake status=400]")
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert "AIza" not in answer.text
    assert shop.settled()[0].charged_ubt == 0


@pytest.mark.parametrize("directive", ["error_event=4", "cut=4", "junk=4"])
def test_a_stream_that_breaks_ends_with_the_clients_error(
    directive: str, key: str, shop: Shop, client: httpx.Client
) -> None:
    body = chat(f"[fake {directive} delay_ms=20]", stream=True)
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
    assert shop.settled()[0].charged_ubt > 0
