"""What answers and events in Gemini's dialect say, and how its clients are told of errors."""

import json
from typing import Any

import pytest

from billing.pricing import Counts
from relay.errors import (
    BadRequest,
    InsufficientQuota,
    InvalidKey,
    ModelNotFound,
    NotAllowed,
    RelayError,
    UpstreamFailed,
    UpstreamTimedOut,
)
from relay.protocols.base import AnswerFacts, EventFacts
from relay.protocols.gemini import GEMINI_ERRORS
from relay.protocols.gemini_answer import MALFORMED, StreamReader, answer_facts

USAGE = {"promptTokenCount": 8, "candidatesTokenCount": 5, "totalTokenCount": 13}
CALL = {"functionCall": {"name": "get_weather", "args": {"city": "Beijing"}}}
PICTURE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}


def answer(*parts: dict[str, Any], finish: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": USAGE} | fields


def whole(*parts: dict[str, Any], **fields: Any) -> AnswerFacts:
    return answer_facts(json.dumps(answer(*parts, **fields)).encode())


def event(value: dict[str, Any]) -> bytes:
    return b"data: %b\r\n\r\n" % json.dumps(value).encode()


def read(*values: dict[str, Any]) -> list[EventFacts]:
    reader = StreamReader()
    return [reader.read(event(value)) for value in values]


def test_a_whole_answer_has_text_usage_and_an_end() -> None:
    facts = whole({"text": "Hello"}, {"text": " world"})
    assert (facts.text, facts.finished, facts.has_content) == ("Hello world", True, True)
    assert facts.usage == Counts(input=8, output=5)


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"text": "I wonder", "thought": True}, "I wonder"),
        (CALL, "get_weatherBeijing"),
        ({"executableCode": {"language": "PYTHON", "code": "print(1)"}}, "PYTHONprint(1)"),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}, "OUTCOME_OK1"),
        (PICTURE, ""),
        ({"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AAAA"}}, ""),
        ({"fileData": {"fileUri": "https://x.example/1"}}, ""),
    ],
)
def test_every_kind_of_part_is_content(part: dict[str, Any], text: str) -> None:
    facts = whole(part)
    assert (facts.text, facts.has_content) == (text, True)


@pytest.mark.parametrize("parts", [(), ({},), ({"text": ""},), ({"thoughtSignature": "abc"},)])
def test_an_answer_may_end_without_content(parts: tuple[dict[str, Any], ...]) -> None:
    facts = whole(*parts, finish="MAX_TOKENS")
    assert (facts.finished, facts.has_content) == (True, False)


def test_images_are_counted_by_the_piece_but_not_drafts() -> None:
    facts = whole(PICTURE, PICTURE, PICTURE | {"thought": True})
    assert facts.usage == Counts(input=8, output=5, image=2)


@pytest.mark.parametrize(("most", "charged"), [(1, 1), (100, 2)])
def test_searches_are_charged_by_the_prompt_or_by_the_query(most: int, charged: int) -> None:
    candidate = answer({"text": "Sunny"})["candidates"][0]
    queries = ["weather beijing", "beijing today", "beijing today"]
    candidate["groundingMetadata"] = {"webSearchQueries": queries}
    body = json.dumps({"candidates": [candidate], "usageMetadata": USAGE}).encode()
    usage = Counts(input=8, output=5, search=charged)
    assert answer_facts(body, most_searches=most).usage == usage
    reader = StreamReader(most_searches=most)
    for _ in range(2):
        reader.read(b"data: %b\n\n" % body)
    assert reader.usage == usage


@pytest.mark.parametrize(("chunk", "searches"), [({"maps": {}}, 1), ({"retrievedContext": {}}, 0)])
def test_maps_are_searched_too_but_files_are_looked_up(chunk: Any, searches: int) -> None:
    candidate = answer({"text": "There"})["candidates"][0]
    candidate["groundingMetadata"] = {"groundingChunks": [chunk]}
    body = json.dumps({"candidates": [candidate], "usageMetadata": USAGE}).encode()
    assert answer_facts(body).usage == Counts(input=8, output=5, search=searches)


def test_a_blocked_prompt_is_an_answer_without_content() -> None:
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 8},
    }
    facts = answer_facts(json.dumps(blocked).encode())
    assert (facts.finished, facts.has_content, facts.usage) == (True, False, Counts(input=8))


@pytest.mark.parametrize(
    "body",
    [
        b'{"embedding":{"values":[0.1]}}',
        b'{"embeddings":[{"values":[0.1]}]}',
        b'{"totalTokens":31}',
    ],
)
def test_vectors_and_counts_are_content(body: bytes) -> None:
    facts = answer_facts(body)
    assert (facts.finished, facts.has_content, facts.usage) == (True, True, None)


def test_an_error_in_an_answer_is_one() -> None:
    body = b'{"error":{"code":500,"message":"oh","status":"INTERNAL"}}'
    assert answer_facts(body).error == body
    assert StreamReader().read(b"data: %b\n\n" % body).error == body


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b'"text"', b"\xff"])
def test_what_can_not_be_read_is_an_error(body: bytes) -> None:
    assert answer_facts(body).error == MALFORMED


def test_an_imitators_types_are_borne() -> None:
    odd = {
        "candidates": [{"content": {"parts": "Hello"}, "finishReason": 1}],
        "usageMetadata": USAGE,
    }
    facts = answer_facts(json.dumps(odd).encode())
    assert (facts.text, facts.finished, facts.usage) == ("Hello", True, Counts(input=8, output=5))


def test_events_tell_text_the_usage_so_far_and_the_end() -> None:
    first, last = read(
        answer({"text": "Hel"}, finish=None, usageMetadata={"promptTokenCount": 8}),
        answer({"text": "lo"}),
    )
    assert (first.text, first.usage, first.finished) == ("Hel", Counts(input=8), False)
    assert (last.text, last.usage, last.finished) == ("lo", Counts(input=8, output=5), True)


def test_images_and_searches_of_earlier_events_are_remembered() -> None:
    searched = answer(PICTURE, finish=None)
    searched["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["x"]}
    _, last = read(searched, answer(PICTURE))
    assert last.usage == Counts(input=8, output=5, image=2, search=1)


@pytest.mark.parametrize("said", [b": ping\n\n", b"data: \n\n", b"event: x\n\n"])
def test_events_without_data_say_nothing(said: bytes) -> None:
    assert StreamReader().read(said) == EventFacts()


def test_the_mark_of_imitators_ends_a_stream() -> None:
    assert StreamReader().read(b"data: [DONE]\n\n").done


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (BadRequest("Wrong."), 400, "INVALID_ARGUMENT"),
        (InvalidKey(), 401, "UNAUTHENTICATED"),
        (NotAllowed(), 403, "PERMISSION_DENIED"),
        (ModelNotFound(), 404, "NOT_FOUND"),
        (InsufficientQuota(), 429, "RESOURCE_EXHAUSTED"),
        (UpstreamFailed(), 503, "UNAVAILABLE"),
        (UpstreamTimedOut(), 504, "DEADLINE_EXCEEDED"),
        (RelayError(), 500, "INTERNAL"),
    ],
)
def test_errors_have_the_vendors_shape(error: RelayError, code: int, status: str) -> None:
    told = json.loads(GEMINI_ERRORS.body(error, "req-1"))["error"]
    assert (told["code"], told["status"]) == (code, status)
    assert told["message"] == f"{error.message} (request id: req-1)"


def test_our_own_code_and_the_field_stand_in_the_details() -> None:
    told = json.loads(GEMINI_ERRORS.body(ModelNotFound(param="model"), "req-1"))["error"]
    reason, violation = told["details"]
    assert reason["reason"] == "model_not_found"
    assert violation["fieldViolations"][0]["field"] == "model"


def test_a_stream_ends_with_the_error_as_an_event() -> None:
    error = InsufficientQuota()
    body = GEMINI_ERRORS.body(error, "req-1")
    assert GEMINI_ERRORS.event(error, "req-1") == b"data: %b\n\n" % body


def test_a_call_that_is_no_utf_8_is_an_error() -> None:
    body = b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"\xff"}}]}}]}'
    assert answer_facts(body).error == MALFORMED
    assert StreamReader().read(b"data: %b\n\n" % body).error == MALFORMED
