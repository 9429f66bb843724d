"""What Anthropic's clients are answered by OpenAI's chats."""

from typing import Any

import pytest

from relay.translate import MESSAGES_TO_CHAT
from relay.translate.messages_conversation import REASONING
from tests.relay.translate.carrying import Json, answered, raw_stream, reshaped, streamed

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
TOLD = {
    "input_tokens": 40,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 60,
    "output_tokens": 20,
}

ASKED: Json = {"max_tokens": 9, "thinking": {"type": "adaptive"}}


def called(arguments: str, at: int = 0, **fields: Any) -> Json:
    return {"index": at, "function": {"arguments": arguments}, **fields}


def begun(at: int = 0, id_: str = "call_1") -> Json:
    """Return how OpenAI begins a call."""
    function = {"name": "weather", "arguments": ""}
    return {"index": at, "id": id_, "type": "function", "function": function}


def chat(finish_reason: str = "stop", **message: Any) -> Json:
    """Return a whole chat."""
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "model": "gpt-test", "choices": [choice], "usage": USAGE}


def chunk(finish_reason: str | None = None, **delta: Any) -> Json:
    """Return a chunk of a chat."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "model": "gpt-test", "choices": [choice]}


def told(*chunks: Json) -> list[Json]:
    """Return the events that a client gets, with the usual beginning and end of the upstream."""
    usage = {"id": "chatcmpl-1", "model": "gpt-test", "choices": [], "usage": USAGE}
    return streamed(MESSAGES_TO_CHAT, [chunk(role="assistant"), *chunks, usage, "[DONE]"], **ASKED)


def kinds(events: list[Json]) -> list[str]:
    return [str(event["type"]).removeprefix("content_block_") for event in events]


def whole(finish_reason: str = "stop", **message: Any) -> Json:
    return answered(MESSAGES_TO_CHAT, chat(finish_reason, **message), **ASKED)


def test_a_whole_chat_becomes_a_message() -> None:
    assert whole(content="Rain.", reasoning_content="Hm.") == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-test",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": REASONING},
            {"type": "text", "text": "Rain."},
        ],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": TOLD,
    }


def test_a_tool_call_becomes_a_block() -> None:
    function = {"name": "weather", "arguments": '{"city": "Bergen"}'}
    message = whole("tool_calls", content=None, tool_calls=[{"id": "call_1", "function": function}])
    used = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Bergen"}}
    assert message["content"] == [used]
    assert message["stop_reason"] == "tool_use"


@pytest.mark.parametrize("arguments", ['{"city": ', "[1]", "nonsense"])
def test_arguments_that_are_no_object_are_not_lost(arguments: str) -> None:
    function = {"name": "weather", "arguments": arguments}
    message = whole("tool_calls", tool_calls=[{"id": "call_1", "function": function}])
    assert message["content"][0]["input"] == {"arguments": arguments}


def test_a_call_without_an_id_gets_one() -> None:
    message = whole("tool_calls", tool_calls=[{"function": {"name": "a", "arguments": ""}}])
    assert (message["content"][0]["id"], message["content"][0]["input"]) == ("toolu_1_0", {})


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("something_new", "end_turn"),
    ],
)
def test_reasons_to_stop_are_translated(finish_reason: str, stop_reason: str) -> None:
    assert whole(finish_reason, content="a")["stop_reason"] == stop_reason
    events = told(chunk(content="a"), chunk(finish_reason))
    assert events[-2]["delta"] == {"stop_reason": stop_reason, "stop_sequence": None}


def test_a_refusal_is_told_as_one() -> None:
    message = whole(content=None, refusal="I can't.")
    assert message["content"] == [{"type": "text", "text": "I can't."}]
    assert message["stop_reason"] == "refusal"
    assert told(chunk(refusal="I can't."), chunk("stop"))[-2]["delta"]["stop_reason"] == "refusal"


def test_a_call_stops_a_message_though_its_vendor_says_otherwise() -> None:
    assert (
        told(chunk(tool_calls=[begun()]), chunk("stop"))[-2]["delta"]["stop_reason"] == "tool_use"
    )


def test_text_streams_in_one_block() -> None:
    events = told(chunk(content="Ra"), chunk(content="in."), chunk("stop"))
    assert kinds(events) == [
        "message_start",
        "start",
        "delta",
        "delta",
        "stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["content"] == []
    assert [event["delta"]["text"] for event in events[2:4]] == ["Ra", "in."]


def test_the_numbers_come_with_the_end() -> None:
    events = told(chunk(content="a"), chunk("stop"))
    assert events[0]["message"]["usage"]["input_tokens"] == 0
    assert events[-2]["usage"] == TOLD


def test_events_are_named() -> None:
    stream = raw_stream(MESSAGES_TO_CHAT, [chunk(content="a"), "[DONE]"], **ASKED)
    names = [line for line in stream.split("\n") if line.startswith("event: ")]
    assert names[0] == "event: message_start"
    assert names[-1] == "event: message_stop"


def test_thinking_is_a_signed_block_of_its_own() -> None:
    events = told(chunk(reasoning_content="Hm."), chunk(content="Rain."), chunk("stop"))
    assert kinds(events)[1:8] == ["start", "delta", "delta", "stop", "start", "delta", "stop"]
    assert events[1]["content_block"]["type"] == "thinking"
    assert events[3]["delta"] == {"type": "signature_delta", "signature": REASONING}
    assert [event["index"] for event in events[1:8]] == [0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("thinking", [None, {"type": "disabled"}])
def test_who_has_not_asked_for_thinking_gets_none(thinking: Any) -> None:
    asked = {"max_tokens": 9, "thinking": thinking}
    made = chat(content="Rain.", reasoning_content="Hm.")
    assert answered(MESSAGES_TO_CHAT, made, **asked)["content"][0]["text"] == "Rain."
    events = streamed(MESSAGES_TO_CHAT, [chunk(reasoning_content="Hm."), "[DONE]"], **asked)
    assert kinds(events) == ["message_start", "message_delta", "message_stop"]


def test_each_call_is_a_block_and_its_arguments_pass_as_they_come() -> None:
    events = told(
        chunk(content="See:"),
        chunk(tool_calls=[begun()]),
        chunk(tool_calls=[called('{"a')]),
        chunk(tool_calls=[called('":1}')]),
        chunk(tool_calls=[begun(1, "call_2")]),
        chunk(tool_calls=[called("{}", 1)]),
        chunk("tool_calls"),
    )
    blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    deltas = [event for event in events if event.get("delta", {}).get("type") == "input_json_delta"]
    assert [block.get("id") for block in blocks] == [None, "call_1", "call_2"]
    assert [event["index"] for event in deltas] == [1, 1, 2]
    assert [event["delta"]["partial_json"] for event in deltas] == ['{"a', '":1}', "{}"]


def test_a_stream_that_says_nothing_is_an_empty_message() -> None:
    assert kinds(told(chunk("stop"))) == ["message_start", "message_delta", "message_stop"]


def test_content_in_parts_is_text_too() -> None:
    events = told(chunk(content=[{"type": "text", "text": "Rain."}]), chunk("stop"))
    assert events[2]["delta"]["text"] == "Rain."


@pytest.mark.parametrize("message", [None, {"content": 5}, {"tool_calls": [None]}])
def test_a_chat_of_a_strange_shape_is_an_empty_message(message: Any) -> None:
    answer = {"id": 5, "choices": [{"message": message}]}
    assert reshaped(MESSAGES_TO_CHAT, answer, **ASKED)["content"] == []
