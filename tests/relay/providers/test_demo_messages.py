"""The demo answers messages like Anthropic would, the same every time, and fails when told."""

import json
from typing import Any

import pytest

from relay.protocols.anthropic import (
    COUNT_TOKENS,
    MESSAGES,
    EventReader,
    answer_facts,
)
from relay.protocols.base import Endpoint
from relay.providers import REGISTRY
from relay.providers.base import LocalCall
from relay.sse import EventSplitter, event_data
from relay.wire.errors import ConnectionLost
from relay.wire.messages import Timeouts, UpstreamResponse

TOOL = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    },
}
OTHER_TOOL = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}


async def respond(
    text: str = "Hi", *, endpoint: Endpoint = MESSAGES, **fields: Any
) -> UpstreamResponse:
    local = REGISTRY["demo"].local
    assert local is not None
    asked: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_tokens": 4_000} | fields
    asked.setdefault("messages", [{"role": "user", "content": text}])
    body = json.dumps(asked).encode()
    return await local.respond(LocalCall(endpoint, asked["model"], body, Timeouts()))


async def answer(text: str = "Hi", **fields: Any) -> dict[str, Any]:
    response = await respond(text, **fields)
    assert response.status == 200
    body: dict[str, Any] = json.loads(await response.read(1 << 20))
    return body


async def events(text: str = "Hi", **fields: Any) -> list[bytes]:
    response = await respond(text, stream=True, **fields)
    splitter, found = EventSplitter(), []
    while chunk := await response.next_chunk():
        found += splitter.feed(chunk)
    return found


def data(event: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(event_data(event) or b"")
    return told


async def test_it_says_that_it_is_the_demo_and_quotes_the_prompt() -> None:
    found = await answer("How are you?")
    (block,) = found["content"]
    assert "demo channel" in block["text"]
    assert "How are you?" in block["text"]
    assert (found["type"], found["role"], found["stop_reason"]) == (
        "message",
        "assistant",
        "end_turn",
    )


async def test_the_stream_says_the_same_as_the_whole_answer_and_costs_the_same() -> None:
    asked: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1_024}}
    whole = answer_facts(json.dumps(await answer("Hello 世界", **asked)).encode())
    reader = EventReader()
    text = "".join(reader.read(event).text for event in await events("Hello 世界", **asked))
    assert (text, reader.usage, reader.finished) == (whole.text, whole.usage, True)


async def test_its_events_come_in_the_vendors_order() -> None:
    kinds = [data(event)["type"] for event in await events("[demo tokens=2]")]
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_it_thinks_when_asked_to() -> None:
    thought, said = (await answer(thinking={"type": "adaptive"}))["content"]
    assert (thought["type"], said["type"]) == ("thinking", "text")
    assert thought["signature"]


async def test_it_keeps_to_the_limit_thoughts_included() -> None:
    found = await answer("[demo tokens=90]", max_tokens=20, thinking={"type": "enabled"})
    assert (found["usage"]["output_tokens"], found["stop_reason"]) == (20, "max_tokens")
    short = await answer(max_tokens=3, thinking={"type": "enabled"})
    assert (len(short["content"]), short["usage"]["output_tokens"]) == (1, 3)


async def test_it_stops_at_a_stop_sequence_and_names_it() -> None:
    found = await answer(stop_sequences=["never", "demo"])
    assert found["content"][0]["text"] == "Hello! This is the "
    assert (found["stop_reason"], found["stop_sequence"]) == ("stop_sequence", "demo")


async def test_it_calls_the_first_tool_when_told() -> None:
    found = await answer("[demo tool]", tools=[TOOL, OTHER_TOOL])
    (block,) = found["content"]
    assert (block["type"], block["name"]) == ("tool_use", "get_weather")
    assert block["input"] == {"city": "demo", "days": 1}
    assert found["stop_reason"] == "tool_use"


async def test_it_calls_the_tool_that_is_asked_for() -> None:
    choice = {"type": "tool", "name": "get_time"}
    found = await answer("[demo tool]", tools=[TOOL, OTHER_TOOL], tool_choice=choice)
    assert found["content"][0]["name"] == "get_time"
    none = await answer("[demo tool]", tools=[TOOL], tool_choice={"type": "none"})
    assert none["stop_reason"] == "end_turn"


async def test_a_streamed_call_adds_up_to_its_arguments() -> None:
    found = [data(event) for event in await events("[demo tool]", tools=[TOOL])]
    pieces = [one["delta"]["partial_json"] for one in found if one["type"] == "content_block_delta"]
    assert len(pieces) > 1
    assert json.loads("".join(pieces)) == {"city": "demo", "days": 1}


async def test_it_answers_a_tools_result_in_words() -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_demo", "content": "Sunny [demo tool]"}
    found = await answer(messages=[{"role": "user", "content": [result]}], tools=[TOOL])
    assert "Sunny" in found["content"][0]["text"]


async def test_it_fills_in_a_form() -> None:
    form = {"type": "json_schema", "schema": TOOL["input_schema"]}
    found = await answer(output_config={"format": form})
    assert json.loads(found["content"][0]["text"]) == {"city": "demo", "days": 1}


async def test_counted_tokens_are_what_a_message_would_be_charged() -> None:
    asked: dict[str, Any] = {"system": [{"type": "text", "text": "Be brief"}], "tools": [TOOL]}
    counted = await answer("Hello", endpoint=COUNT_TOKENS, **asked)
    assert counted == {"input_tokens": (await answer("Hello", **asked))["usage"]["input_tokens"]}


async def test_it_reports_no_usage_when_told() -> None:
    assert "usage" not in await answer("[demo usage=none]")
    reader = EventReader()
    for event in await events("[demo usage=none]"):
        reader.read(event)
    assert reader.usage is None


@pytest.mark.parametrize(
    ("status", "type_"),
    [(400, "invalid_request_error"), (429, "rate_limit_error"), (529, "overloaded_error")],
)
async def test_it_fails_in_the_vendors_shape(status: int, type_: str) -> None:
    response = await respond(f"[demo status={status} retry_after=3]")
    told = json.loads(await response.read(1 << 20))
    assert (response.status, told["type"], told["error"]["type"]) == (status, "error", type_)
    assert response.header(b"retry-after") == b"3"


async def test_a_wrong_request_is_refused() -> None:
    assert (await respond(messages=[{"content": 5}])).status == 400


async def test_it_breaks_off_when_told() -> None:
    with pytest.raises(ConnectionLost):
        await events("[demo cut=3]")
    found = await events("[demo error_event=4]")
    assert EventReader().read(found[-1]).error is not None
    assert len(found) == 5
