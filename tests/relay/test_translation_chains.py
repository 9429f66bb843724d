"""Responses and messages on channels two steps away, through a running relay."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.gemini import FakeGemini
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import events
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer
from tests.relay.test_translation import ARGUMENTS, MESSAGES, message

Json = dict[str, Any]

VENDORS = {"openai": FakeUpstream, "anthropic": FakeAnthropic, "gemini": FakeGemini}
TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object"},
    "strict": False,
}


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest, shop: Shop) -> Iterator[FakeUpstream]:
    """A fake vendor, the shop's only one, who knows no responses."""
    with VENDORS[request.param]() as fake:
        channel = shop.channel(
            "vendor",
            provider=request.param,
            base_url=fake.base_url if request.param == "openai" else fake.origin,
            credential="sk-fake-credential",
            allow_private_network=True,
        )
        endpoints = ["chat_completions", "messages", "gemini_generate"]
        shop.change_channel(channel, allowed_endpoints=endpoints)
        yield fake


@pytest.fixture
def library(vendor: FakeUpstream, shop: Shop, relay_server: RelayServer) -> Iterator[OpenAI]:
    """OpenAI's library at the relay."""
    key = shop.key(1_000_000)
    shop.wait_for_relays()
    with OpenAI(api_key=key, base_url=f"{relay_server.url}/v1", max_retries=0) as client:
        yield client


def test_a_response_is_answered_and_charged(
    library: OpenAI, vendor: FakeUpstream, shop: Shop
) -> None:
    made = library.responses.create(
        model="gpt-4", input="[fake tokens=9]", instructions="Be brief."
    )
    assert len(made.output_text.split()) == 9
    assert (made.status, vendor.truth[0].path.rpartition("/")[2] != "responses") == (
        "completed",
        True,
    )
    assert made.usage is not None
    (record,) = shop.settled()
    expected = 20 * made.usage.input_tokens + 40 * made.usage.output_tokens
    assert (record.charged_ubt, record.endpoint) == (expected * 1_000_000, "responses")


def test_a_streamed_response_is_what_the_library_expects(
    library: OpenAI, vendor: FakeUpstream, shop: Shop
) -> None:
    with library.responses.stream(model="gpt-4", input="[fake tokens=9]") as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(texts) == final.output_text == vendor.truth[0].text
    assert final.usage is not None
    (record,) = shop.settled()
    assert record.output_count == final.usage.output_tokens == 9
    assert record.usage_source == "upstream"


def test_tools_of_a_response_make_the_round_of_two_turns(
    library: OpenAI, vendor: FakeUpstream
) -> None:
    asked: Json = {"role": "user", "content": "[fake tool tokens=1]"}
    first = library.responses.create(model="gpt-4", input=[asked], tools=[TOOL])
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments)["city"] == ARGUMENTS["city"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    turns = [{"role": "user", "content": "Weather?"}, call.model_dump(), result]
    second = library.responses.create(model="gpt-4", input=turns, tools=[TOOL])
    assert second.output_text
    assert "rain" in vendor.truth[1].body


def test_a_message_reaches_every_vendor(library: OpenAI, vendor: FakeUpstream, shop: Shop) -> None:
    headers = {"x-api-key": library.api_key, "anthropic-version": "2023-06-01"}
    url = str(library.base_url).removesuffix("/v1/") + MESSAGES
    answer = library._client.post(
        url, headers=headers, json=message("[fake tokens=9]", stream=True)
    )
    told = [json.loads(data) for data in events(answer)]
    assert told[-1]["type"] == "message_stop"
    assert told[-2]["usage"]["output_tokens"] == 9
    assert shop.settled()[0].output_count == 9


def test_of_several_ways_the_one_is_taken_that_the_operator_has_named(
    shop: Shop, relay_server: RelayServer
) -> None:
    channel = shop.channel()
    shop.change_channel(channel, allowed_endpoints=["gemini_generate"])
    key = shop.key()
    shop.wait_for_relays()
    with OpenAI(api_key=key, base_url=f"{relay_server.url}/v1", max_retries=0) as client:
        asked: Any = [{"role": "user", "content": "Hello"}]
        answer = client.chat.completions.create(model="gpt-4", messages=asked)
    assert answer.choices[0].message.content
    assert shop.settled()[0].endpoint == "chat_completions"
