"""What a client of responses is answered by OpenAI's chats."""

from typing import Any

import pytest

from relay.translate import RESPONSES_TO_CHAT
from relay.translate.responses_conversation import REASONING
from tests.relay.translate.carrying import Json, answered, streamed
from tests.relay.translate.test_chat_as_messages import USAGE, begun, called, chat, chunk

TOLD = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}


def whole(finish_reason: str = "stop", **message: Any) -> Json:
    return answered(RESPONSES_TO_CHAT, chat(finish_reason, **message), input="Hello")


def told(*chunks: Json) -> list[Json]:
    """Return the events that a client gets, with the usual beginning and end of the upstream."""
    usage = {"id": "chatcmpl-1", "model": "gpt-test", "choices": [], "usage": USAGE}
    events = [chunk(role="assistant"), *chunks, usage, "[DONE]"]
    return streamed(RESPONSES_TO_CHAT, events, input="Hello")


def kinds(events: list[Json]) -> list[str]:
    return [str(event["type"]).removeprefix("response.") for event in events]


def test_a_whole_chat_becomes_a_response() -> None:
    made = whole(content="Rain.", reasoning_content="Hm.")
    assert (made["id"], made["object"], made["status"]) == ("resp_1", "response", "completed")
    assert made["usage"] == TOLD
    reasoning, message = made["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert reasoning["encrypted_content"] == REASONING
    assert message["content"][0]["text"] == "Rain."


def test_a_call_becomes_an_item() -> None:
    function = {"name": "files--read", "arguments": '{"a":1}'}
    (item,) = whole("tool_calls", tool_calls=[{"id": "call_1", "function": function}])["output"]
    assert (item["type"], item["call_id"]) == ("function_call", "call_1")
    assert (item["namespace"], item["name"], item["arguments"]) == ("files", "read", '{"a":1}')


@pytest.mark.parametrize(
    ("finish_reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_reasons_to_finish_are_translated(finish_reason: str, status: str, details: Any) -> None:
    made = whole(finish_reason, content="a")
    assert (made["status"], made["incomplete_details"]) == (status, details)
    assert kinds(told(chunk(content="a"), chunk(finish_reason)))[-1] == status


def test_a_refusal_is_a_part_of_its_own() -> None:
    assert whole(refusal="No.")["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]
    assert "refusal.delta" in kinds(told(chunk(refusal="No."), chunk("stop")))


def test_text_streams_as_the_vendor_would() -> None:
    events = told(chunk(content="Ra"), chunk(content="in."), chunk("stop"))
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(10))
    assert events[6]["text"] == "Rain."
    assert events[-1]["response"]["output"] == [events[8]["item"]]
    assert events[-1]["response"]["usage"] == TOLD


def test_reasoning_streams_as_a_summary() -> None:
    events = told(chunk(reasoning_content="Hm."), chunk(content="Rain."), chunk("stop"))
    made = kinds(events)
    assert made.index("reasoning_summary_text.done") < made.index("output_text.delta")
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["type"] for item in done] == ["reasoning", "message"]


def test_arguments_pass_as_they_come_even_in_turns() -> None:
    events = told(
        chunk(content="See:"),
        chunk(tool_calls=[begun()]),
        chunk(tool_calls=[begun(1, "call_2")]),
        chunk(tool_calls=[called('{"a')]),
        chunk(tool_calls=[called("{}", 1)]),
        chunk(tool_calls=[called('":1}')]),
        chunk("tool_calls"),
    )
    deltas = [event for event in events if event["type"].endswith("arguments.delta")]
    assert [event["output_index"] for event in deltas] == [1, 2, 1]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item.get("arguments") for item in done] == [None, '{"a":1}', "{}"]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = told(chunk(tool_calls=[begun()]), chunk("tool_calls"))
    assert events[-1]["response"]["output"][0]["arguments"] == "{}"


def test_a_stream_that_says_nothing_is_an_empty_response() -> None:
    events = told(chunk("stop"))
    assert kinds(events) == ["created", "in_progress", "completed"]
    assert events[-1]["response"]["output"] == []
