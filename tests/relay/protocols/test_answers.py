"""What a whole answer says: was anything delivered, did it finish, what did its model write."""

import json
from typing import Any

import pytest

from billing.pricing import Counts
from relay.errors import BadRequest, InsufficientQuota
from relay.protocols.openai import (
    AnswerFacts,
    StreamReader,
    answer_facts,
    error_body,
    error_event,
)
from relay.sse import EventSplitter

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def said(*messages: dict[str, Any], reason: str | None = "stop", **fields: Any) -> AnswerFacts:
    choices = [
        {"index": index, "message": message, "finish_reason": reason}
        for index, message in enumerate(messages)
    ]
    return answer_facts(json.dumps({"choices": choices} | fields).encode())


def test_an_answer_has_text_an_end_and_usage() -> None:
    facts = said({"role": "assistant", "content": "Hi there"}, usage=USAGE)
    assert facts == AnswerFacts(
        usage=Counts(input=3, output=2), finished=True, has_content=True, text="Hi there"
    )


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None, "refusal": "No."}, "No."),
        ({"content": "B", "reasoning_content": "A"}, "AB"),
        ({"content": "B", "reasoning": "A"}, "AB"),
        ({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "f{}"),
        (
            {
                "content": None,
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
            },
            "f{}",
        ),
        ({"content": None, "audio": {"id": "a", "data": "UklGRg==", "transcript": "Hi"}}, "Hi"),
        ({"content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "!"}]}, "Hi!"),
    ],
)
def test_everything_a_model_delivers_is_content(message: dict[str, Any], text: str) -> None:
    facts = said(message)
    assert (facts.text, facts.has_content, facts.finished) == (text, True, True)


def test_an_empty_answer_that_finished_has_no_content() -> None:
    facts = said({"content": ""}, usage=USAGE)
    assert (facts.has_content, facts.finished, facts.usage) == (False, True, Counts(3, output=2))


def test_all_choices_are_read() -> None:
    assert said({"content": "A"}, {"content": "B"}).text == "AB"


def test_completions_have_their_text_in_the_choice() -> None:
    body = b'{"choices":[{"text":"Hi","finish_reason":"length"}],"usage":null}'
    facts = answer_facts(body)
    assert (facts.text, facts.finished, facts.usage) == ("Hi", True, None)


def test_vectors_are_delivery() -> None:
    body = b'{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":4,"total_tokens":4}}'
    assert answer_facts(body) == AnswerFacts(usage=Counts(input=4), finished=True, has_content=True)


def test_a_picture_is_content_without_words() -> None:
    facts = said({"content": None, "images": [{"image_url": {"url": "data:image/png;base64,A"}}]})
    assert (facts.has_content, facts.text) == (True, "")


@pytest.mark.parametrize("error", [{"message": "no"}, "no"])
def test_an_error_with_status_200_is_no_content(error: Any) -> None:
    body = json.dumps({"error": error, "choices": []}).encode()
    facts = answer_facts(body)
    assert facts == AnswerFacts(error=body)


@pytest.mark.parametrize("nothing", [None, {}, "", False, 0])
def test_an_empty_error_is_none(nothing: Any) -> None:
    assert said({"content": "A"}, error=nothing).error is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"choices":[{"mess', b'{"choices":5}'])
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    facts = answer_facts(body)
    assert facts.error
    assert not facts.has_content


def test_our_error_body_has_openais_shape_and_our_request_id() -> None:
    body = error_body(BadRequest("Wrong.", param="n"), "018f")
    assert json.loads(body) == {
        "error": {
            "message": "Wrong. (request id: 018f)",
            "type": "invalid_request_error",
            "param": "n",
            "code": None,
        }
    }


def test_our_error_event_is_one_event_that_readers_take_for_an_error() -> None:
    event = error_event(InsufficientQuota(), "018f")
    assert EventSplitter().feed(event) == [event]
    error = StreamReader().read(event).error
    assert error is not None
    assert json.loads(error)["error"]["code"] == "insufficient_quota"
