"""What a chat client is answered by Gemini."""

import json
from typing import Any

import pytest

from relay.translate import CHAT_TO_GEMINI
from tests.relay.translate.carrying import Json, answered, raw_stream, reshaped, streamed

USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 60,
    "candidatesTokenCount": 15,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 120,
}
CALL = {"functionCall": {"name": "weather", "args": {"city": "Bergen"}}}


def answer(*parts: Json, finish_reason: str | None = "STOP", index: int = 0) -> Json:
    """Return an answer or an event of Gemini."""
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}, "index": index}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    named = {"modelVersion": "gemini-test", "responseId": "r1"}
    return {"candidates": [candidate], "usageMetadata": USAGE, **named}


def choice(*parts: Json, finish_reason: str = "STOP") -> Json:
    """Return the only choice of a whole answer."""
    made = answered(CHAT_TO_GEMINI, answer(*parts, finish_reason=finish_reason))
    return dict(made["choices"][0])


def test_a_whole_answer_becomes_a_chat() -> None:
    made = answered(CHAT_TO_GEMINI, answer({"text": "Hm.", "thought": True}, {"text": "Rain."}))
    assert (made["id"], made["model"]) == ("chatcmpl-r1", "gemini-test")
    message = made["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Rain.", "Hm.")
    assert made["choices"][0]["finish_reason"] == "stop"


def test_usage_is_told_in_openais_terms() -> None:
    usage = answered(CHAT_TO_GEMINI, answer({"text": "Rain."}))["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (100, 20)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 60
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 5


def test_calls_get_ids_and_keep_their_signatures() -> None:
    made = choice(CALL | {"thoughtSignature": "abc"}, CALL)
    first, second = made["message"]["tool_calls"]
    assert made["finish_reason"] == "tool_calls"
    assert (first["id"], second["id"]) == ("made_r1_0", "made_r1_1")
    assert first["extra_content"] == {"google": {"thought_signature": "abc"}}
    assert json.loads(first["function"]["arguments"]) == {"city": "Bergen"}


def test_an_id_of_the_vendors_is_kept() -> None:
    made = choice({"functionCall": {"id": "abc", "name": "weather"}})
    (call,) = made["message"]["tool_calls"]
    assert (call["id"], call["function"]["arguments"]) == ("abc", "{}")


def test_images_are_delivered_beside_the_text() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    made = choice({"text": "Look:"}, image)
    url = {"url": "data:image/png;base64,AA=="}
    assert made["message"]["images"] == [{"type": "image_url", "image_url": url}]


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "content_filter"),
        ("SOMETHING_NEW", "content_filter"),
    ],
)
def test_reasons_to_finish_are_translated(reason: str, finish_reason: str) -> None:
    assert choice({"text": "a"}, finish_reason=reason)["finish_reason"] == finish_reason
    chunks = streamed(CHAT_TO_GEMINI, [answer({"text": "a"}, finish_reason=reason)])
    assert chunks[-1]["choices"][0]["finish_reason"] == finish_reason


def test_a_blocked_prompt_is_a_filtered_answer() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE}
    made = answered(CHAT_TO_GEMINI, blocked)["choices"][0]
    assert (made["message"]["content"], made["finish_reason"]) == ("", "content_filter")
    chunks = streamed(CHAT_TO_GEMINI, [blocked])
    assert chunks[-1]["choices"][0]["finish_reason"] == "content_filter"


def test_a_stream_becomes_chunks() -> None:
    events = [
        answer({"text": "Hm.", "thought": True}, finish_reason=None),
        answer({"text": "Ra"}, finish_reason=None),
        answer({"text": "in."}),
    ]
    chunks = streamed(CHAT_TO_GEMINI, events)
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm."},
        {"content": "Ra"},
        {"content": "in."},
        {},
    ]
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-r1"}
    assert raw_stream(CHAT_TO_GEMINI, events).endswith("data: [DONE]\n\n")


def test_usage_comes_last_and_only_if_it_was_asked_for() -> None:
    events = [answer({"text": "Rain."})]
    assert not any("usage" in chunk for chunk in streamed(CHAT_TO_GEMINI, events))
    told = streamed(CHAT_TO_GEMINI, events, stream_options={"include_usage": True})[-1]
    assert (told["choices"], told["usage"]["total_tokens"]) == ([], 120)


def test_calls_of_several_events_are_numbered_on() -> None:
    events = [answer(CALL, finish_reason=None), answer(CALL)]
    chunks = streamed(CHAT_TO_GEMINI, events)
    calls = [
        call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert [(call["index"], call["id"]) for call in calls] == [(0, "made_r1_0"), (1, "made_r1_1")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_several_answers_are_told_apart() -> None:
    events = [answer({"text": "a"}), answer({"text": "b"}, index=1)]
    chunks = [chunk["choices"][0] for chunk in streamed(CHAT_TO_GEMINI, events, n=2)]
    assert [(chunk["index"], chunk["delta"].get("content")) for chunk in chunks] == [
        (0, ""),
        (0, "a"),
        (0, None),
        (1, ""),
        (1, "b"),
        (1, None),
    ]


@pytest.mark.parametrize(
    "candidates", [None, [None], [{"content": 5}], [{"content": {"parts": 5}}]]
)
def test_an_answer_of_a_strange_shape_is_an_empty_chat(candidates: Any) -> None:
    made = reshaped(CHAT_TO_GEMINI, {"candidates": candidates})
    assert [one["message"]["content"] for one in made["choices"]] in ([], [""])
