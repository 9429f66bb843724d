"""What a chat client is answered by Anthropic's messages."""

import json
from typing import Any

import pytest

from relay.translate import CHAT_TO_MESSAGES
from relay.translate.chat_to_messages import JSON_TOOL
from tests.relay.translate.carrying import Json, answered, raw_stream, reshaped, streamed

USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 200,
    "cache_creation_input_tokens": 30,
    "output_tokens": 7,
}
TEXT = {"type": "text", "text": "Rain."}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "abc"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bergen"}}


def message(*content: Json, stop_reason: str = "end_turn") -> Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": list(content),
        "stop_reason": stop_reason,
        "usage": USAGE,
    }


def started() -> Json:
    return {"type": "message_start", "message": message() | {"usage": USAGE | {"output_tokens": 1}}}


def block(index: int, begun: Json, *deltas: Json) -> list[Json]:
    """Return the events of a block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def ended(stop_reason: str = "end_turn") -> list[Json]:
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]


def said(text: str) -> Json:
    return {"type": "text_delta", "text": text}


def written(text: str) -> Json:
    return {"type": "input_json_delta", "partial_json": text}


def deltas(*events: Any) -> list[Json]:
    """Return the deltas that a chat client gets, the role's left out."""
    chunks = streamed(CHAT_TO_MESSAGES, [started(), *events, *ended()])
    return [chunk["choices"][0]["delta"] for chunk in chunks][1:-1]


def test_a_whole_message_becomes_a_chat() -> None:
    chat = answered(CHAT_TO_MESSAGES, message(THOUGHT, TEXT))
    assert chat["id"] == "chatcmpl-msg_1"
    assert (chat["object"], chat["model"]) == ("chat.completion", "claude-test")
    assert chat["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Rain.",
        "refusal": None,
        "reasoning_content": "Hm.",
    }


def test_usage_is_told_in_openais_terms() -> None:
    usage = answered(CHAT_TO_MESSAGES, message(TEXT))["usage"]
    assert usage["prompt_tokens"] == 240
    assert usage["completion_tokens"] == 7
    assert usage["total_tokens"] == 247
    assert usage["prompt_tokens_details"]["cached_tokens"] == 200
    assert usage["prompt_tokens_details"]["cache_write_tokens"] == 30


def test_a_call_becomes_a_tool_call() -> None:
    choice = answered(CHAT_TO_MESSAGES, message(CALL, stop_reason="tool_use"))["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    (call,) = choice["message"]["tool_calls"]
    assert (call["id"], call["type"], call["function"]["name"]) == (
        "toolu_1",
        "function",
        "weather",
    )
    assert json.loads(call["function"]["arguments"]) == {"city": "Bergen"}


def test_an_answer_in_a_form_is_text() -> None:
    form = {"type": "tool_use", "id": "toolu_1", "name": JSON_TOOL, "input": {"a": "b"}}
    choice = answered(CHAT_TO_MESSAGES, message(form, stop_reason="tool_use"))["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert json.loads(choice["message"]["content"]) == {"a": "b"}
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_reasons_to_stop_are_translated(stop_reason: str, finish_reason: str) -> None:
    whole = answered(CHAT_TO_MESSAGES, message(TEXT, stop_reason=stop_reason))
    events = [
        started(),
        *block(0, {"type": "text", "text": ""}, said("Rain.")),
        *ended(stop_reason),
    ]
    chunks = streamed(CHAT_TO_MESSAGES, events)
    assert whole["choices"][0]["finish_reason"] == finish_reason
    assert chunks[-1]["choices"][0]["finish_reason"] == finish_reason


def test_a_stream_begins_with_the_role_and_ends_with_the_mark() -> None:
    events = [started(), *block(0, {"type": "text", "text": ""}, said("Ra"), said("in.")), *ended()]
    stream = raw_stream(CHAT_TO_MESSAGES, events)
    chunks = streamed(CHAT_TO_MESSAGES, events)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks[1:]] == [
        "Ra",
        "in.",
        None,
    ]
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-msg_1"}
    assert stream.endswith("data: [DONE]\n\n")


def test_usage_comes_last_and_only_if_it_was_asked_for() -> None:
    events = [started(), *block(0, {"type": "text", "text": ""}, said("Rain.")), *ended()]
    silent = streamed(CHAT_TO_MESSAGES, events)
    told = streamed(CHAT_TO_MESSAGES, events, stream_options={"include_usage": True})
    assert not any("usage" in chunk for chunk in silent)
    assert told[-1]["choices"] == []
    assert (told[-1]["usage"]["prompt_tokens"], told[-1]["usage"]["completion_tokens"]) == (240, 7)


def test_pings_and_signatures_say_nothing() -> None:
    thought = block(
        0,
        {"type": "thinking", "thinking": ""},
        {"type": "thinking_delta", "thinking": "Hm."},
        {"type": "signature_delta", "signature": "abc"},
    )
    assert deltas({"type": "ping"}, *thought) == [{"reasoning_content": "Hm."}]


def test_calls_are_numbered_and_their_arguments_pass_as_they_come() -> None:
    begun = CALL | {"input": {}}
    second = begun | {"id": "toolu_2", "name": "time"}
    made = deltas(
        *block(0, begun, written(""), written('{"ci'), written('ty":1}')), *block(1, second)
    )
    calls = [delta["tool_calls"][0] for delta in made]
    assert [call["index"] for call in calls] == [0, 0, 0, 1, 1]
    assert [call.get("id") for call in calls] == ["toolu_1", None, None, "toolu_2", None]
    assert [call["function"]["arguments"] for call in calls] == ["", '{"ci', 'ty":1}', "", "{}"]


def test_arguments_that_came_at_once_are_not_lost() -> None:
    made = deltas(*block(0, CALL))
    assert made[1]["tool_calls"][0]["function"]["arguments"] == '{"city":"Bergen"}'


def test_an_answer_in_a_form_streams_as_text() -> None:
    form = {"type": "tool_use", "id": "toolu_1", "name": JSON_TOOL, "input": {}}
    events = [started(), *block(0, form, written('{"a":'), written("1}")), *ended("tool_use")]
    chunks = [chunk["choices"][0] for chunk in streamed(CHAT_TO_MESSAGES, events)]
    assert "".join(chunk["delta"].get("content") or "" for chunk in chunks) == '{"a":1}'
    assert chunks[-1]["finish_reason"] == "stop"


@pytest.mark.parametrize("content", [None, "Rain.", [None], [{"type": 5}], [{"type": "text"}]])
def test_a_message_of_a_strange_shape_is_an_empty_chat(content: Any) -> None:
    made = reshaped(CHAT_TO_MESSAGES, message() | {"content": content})
    assert made["choices"][0]["message"]["content"] == ""
