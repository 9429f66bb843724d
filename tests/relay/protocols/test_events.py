"""What each event of a stream says, for metering, committing to a channel and ending."""

import json
from typing import Any

import pytest

from billing.pricing import Counts
from relay.protocols.openai import EventFacts, StreamReader

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
COUNTS = Counts(input=3, output=2)


def event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def chunk(delta: dict[str, Any], reason: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return event({"object": "chat.completion.chunk", "choices": [choice]} | fields)


def read(data: bytes) -> EventFacts:
    return StreamReader().read(data)


def test_a_delta_is_text_and_content() -> None:
    assert read(chunk({"content": "Hi"})) == EventFacts(text="Hi", has_content=True)


@pytest.mark.parametrize(
    "delta",
    [
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": None, "refusal": None},
        {"role": "assistant", "tool_calls": [], "audio": None},
        {},
    ],
)
def test_startup_metadata_is_no_content(delta: dict[str, Any]) -> None:
    assert read(chunk(delta)) == EventFacts()


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        ({"refusal": "No"}, "No"),
        ({"reasoning_content": "Hm", "content": None}, "Hm"),
        ({"reasoning": "Hm"}, "Hm"),
        ({"function_call": {"arguments": '{"a'}}, '{"a'),
        ({"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]}, '{"a'),
        ({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}, "f"),
        ({"audio": {"transcript": "Hi"}}, "Hi"),
        ({"audio": {"data": "UklGRg=="}}, ""),
        ({"content": [{"type": "text", "text": "Hi"}]}, "Hi"),
    ],
)
def test_whatever_a_model_delivers_is_content(delta: dict[str, Any], text: str) -> None:
    assert read(chunk(delta)) == EventFacts(text=text, has_content=True)


def test_completions_stream_text() -> None:
    data = event({"choices": [{"index": 0, "text": "Hi", "finish_reason": None}]})
    assert read(data) == EventFacts(text="Hi", has_content=True)


def test_several_choices_of_one_event_are_all_read() -> None:
    choices = [{"index": i, "delta": {"content": "A"}} for i in range(3)]
    assert read(event({"choices": choices})).text == "AAA"


def test_the_end_of_a_choice_is_seen() -> None:
    assert read(chunk({}, "stop")) == EventFacts(finished=True)


@pytest.mark.parametrize("data", [b"data: [DONE]\n\n", b"data:[DONE]\r\n\r\n", b"data: [DONE]"])
def test_the_end_of_the_stream_is_seen(data: bytes) -> None:
    assert read(data) == EventFacts(done=True)


def test_the_usage_chunk_is_to_be_stripped() -> None:
    assert read(event({"choices": [], "usage": USAGE})) == EventFacts(
        usage=COUNTS, is_usage_only=True
    )


def test_usage_beside_a_choice_is_not_to_be_stripped() -> None:
    facts = read(chunk({}, "stop", usage=USAGE))
    assert (facts.usage, facts.is_usage_only, facts.finished) == (COUNTS, False, True)


def test_usage_inside_the_choice_that_ends_counts_as_well() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 19, "completion_tokens": 13}
    data = json.dumps({"choices": [choice | {"usage": usage}]}).encode()
    facts = StreamReader().read(b"data: %b\n\n" % data)
    assert (facts.usage, facts.is_usage_only) == (Counts(input=19, output=13), False)


def test_null_usage_and_filter_results_are_neither() -> None:
    assert read(chunk({"content": "Hi"}, usage=None)).usage is None
    assert read(event({"choices": [], "prompt_filter_results": [{}]})) == EventFacts()


def test_nonsense_in_usage_does_not_hide_the_text() -> None:
    facts = read(chunk({"content": "Hi"}, usage={"prompt_tokens": "many"}))
    assert facts == EventFacts(text="Hi", has_content=True)


@pytest.mark.parametrize("data", [b": ping\n\n", b"event: ping\n\n", b"\n\n", b"data:\n\n"])
def test_comments_and_empty_events_say_nothing(data: bytes) -> None:
    assert read(data) == EventFacts()


@pytest.mark.parametrize(
    "data",
    [
        event({"error": {"message": "Secret trouble", "code": "x"}}),
        event({"error": "Secret trouble"}),
        event({"error": {"message": "Secret trouble"}, "choices": [{"delta": {"content": "x"}}]}),
        b'event: error\ndata: {"message":"Secret trouble"}\n\n',
    ],
)
def test_the_text_of_an_error_is_never_output(data: bytes) -> None:
    facts = read(data)
    assert facts.error is not None
    assert b"Secret trouble" in facts.error
    assert (facts.text, facts.has_content, facts.finished) == ("", False, False)


@pytest.mark.parametrize(
    "data",
    [
        b"data: {not json\n\n",
        b"data: 5\n\n",
        b"data: <html>\n\n",
        b'data: {"a":"\xff"\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"\xbb"}}]}}]}\n\n',
    ],
)
def test_what_can_not_be_read_is_an_error(data: bytes) -> None:
    assert read(data).error


def test_the_reader_remembers_what_matters_at_the_end() -> None:
    reader = StreamReader()
    for data in (
        chunk({"role": "assistant", "content": ""}, usage={"prompt_tokens": 3}),
        chunk({"content": "Hi"}),
        chunk({}, "stop"),
        event({"choices": [], "usage": USAGE}),
    ):
        reader.read(data)
    assert (reader.usage, reader.has_content, reader.finished) == (COUNTS, True, True)


def test_a_fresh_reader_has_seen_nothing() -> None:
    reader = StreamReader()
    reader.read(b": ping\n\n")
    assert (reader.usage, reader.has_content, reader.finished) == (None, False, False)


def test_an_answer_of_two_choices_is_finished_with_the_second() -> None:
    reader = StreamReader(choices=2)
    ends = [
        event({"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]})
        for index in (1, 1, 0)
    ]
    assert [reader.read(data).finished for data in ends] == [False, False, True]
    assert reader.finished
