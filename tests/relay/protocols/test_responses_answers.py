"""What a response says, whole and in events, for metering, committing to a channel and ending."""

import json
from typing import Any

import pytest
from openai.types.responses import ResponseErrorEvent, ResponseFailedEvent

from billing.pricing import Counts
from relay.errors import InsufficientQuota
from relay.protocols.base import AnswerFacts, EventFacts
from relay.protocols.responses import RESPONSES, RESPONSES_ERRORS
from relay.protocols.responses_answer import ResponseReader
from tests.relay.protocols.requests import packed
from tests.relay.protocols.responses import event, facts_of, response, said

COUNTS = Counts(input=6, cached_input=4, output=2, reasoning=5)


def answer(body: Any, **fields: Any) -> AnswerFacts:
    raw = body if isinstance(body, bytes) else packed(body)
    return RESPONSES.dialect.answer(raw, facts_of(**fields), b"application/json")


def read(*events: bytes) -> list[EventFacts]:
    reader = ResponseReader(keeps=True)
    return [reader.read(event) for event in events]


def delta(text: Any, kind: str = "output_text", index: int = 0) -> bytes:
    return event(f"response.{kind}.delta", delta=text, output_index=index, item_id="msg_1")


def test_a_whole_response_says_what_it_has_used() -> None:
    facts = answer(response())
    assert facts == AnswerFacts(COUNTS, finished=True, has_content=True, object_id="resp_1")


def test_the_text_is_only_read_to_be_counted() -> None:
    call = {"type": "function_call", "name": "f", "arguments": '{"a":1}', "call_id": "c"}
    facts = answer(response(usage=None, output=[said("Hello"), call]))
    assert (facts.usage, facts.text) == (None, 'Hellof{"a":1}')


def test_a_response_that_is_not_kept_has_no_name() -> None:
    assert answer(response(), store=False).object_id == ""


@pytest.mark.parametrize(
    "body",
    [
        response(status="failed", error={"code": "server_error", "message": "Trouble"}),
        response(status="failed"),
        {"error": {"message": "Trouble", "type": "server_error"}},
        b"<html>Bad Gateway</html>",
        b"",
    ],
)
def test_a_failed_response_is_an_error_in_spite_of_its_status(body: Any) -> None:
    assert answer(body).error


def test_an_answer_that_was_cut_short_by_its_limit_is_whole() -> None:
    details = {"reason": "max_output_tokens"}
    assert answer(response(status="incomplete", incomplete_details=details)).finished


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"input_tokens": 3, "output_tokens": 2}, Counts(input=3, output=2)),
        ({"prompt_tokens": 3, "completion_tokens": 2}, Counts(input=3, output=2)),
        ({"input_tokens": 0, "output_tokens": 0}, Counts()),
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {
                    "cached_tokens": 20,
                    "cache_write_tokens": 50,
                    "cache_write_tokens_details": {"ttl_12h_tokens": 40, "ttl_30m_tokens": 10},
                    "audio_tokens": 5,
                },
                "output_tokens": 9,
                "output_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 4},
            },
            Counts(
                input=25,
                cached_input=20,
                cache_write_5m=10,
                cache_write_1h=40,
                audio_in=5,
                output=2,
                reasoning=3,
                audio_out=4,
            ),
        ),
        (
            {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 9}, "output_tokens": 1},
            Counts(cached_input=3, output=1),
        ),
        ({"input_tokens": "many"}, None),
        (None, None),
    ],
)
def test_usage_becomes_disjoint_buckets(usage: Any, counts: Counts | None) -> None:
    assert answer(response(usage=usage)).usage == counts


def test_searches_and_pictures_are_counted_and_opened_pages_are_not() -> None:
    output = [
        {"type": "web_search_call", "action": {"type": "search", "query": "q"}},
        {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}},
        {"type": "file_search_call", "queries": ["q"]},
        {"type": "image_generation_call", "result": "AAAA"},
        said("Found"),
    ]
    usage = answer(response(output=output)).usage
    assert usage is not None
    assert (usage.search, usage.image, usage.input) == (2, 1, 6)


def test_a_delta_is_text_and_content() -> None:
    assert read(delta("Hi")) == [EventFacts(text="Hi", has_content=True)]


@pytest.mark.parametrize(
    "kind",
    [
        *("output_text", "refusal", "reasoning_summary_text", "reasoning_text"),
        *("function_call_arguments", "mcp_call_arguments", "custom_tool_call_input"),
        *("code_interpreter_call_code", "audio.transcript", "shell_call_command"),
    ],
)
def test_every_delta_counts(kind: str) -> None:
    assert read(delta("Hi", kind)) == [EventFacts(text="Hi", has_content=True)]


def test_output_of_a_shell_counts_by_its_texts() -> None:
    assert read(delta({"stdout": "done"}, "shell_call_output_content"))[0].text == "done"


def test_audio_is_content_but_no_text() -> None:
    assert read(delta("UklGRg==", "audio")) == [EventFacts(has_content=True)]


@pytest.mark.parametrize(
    "kind",
    ["response.in_progress", "response.output_item.added", "response.content_part.added"],
)
def test_what_only_begins_is_no_content(kind: str) -> None:
    assert read(event(kind, item={"type": "message"}, output_index=0)) == [EventFacts()]


def test_the_first_event_names_what_is_kept() -> None:
    created = event("response.created", response=response(status="in_progress", usage=None))
    assert read(created) == [EventFacts(object_id="resp_1")]
    assert ResponseReader(keeps=False).read(created) == EventFacts()


def test_done_events_repeat_and_are_not_counted_again() -> None:
    facts = read(
        delta("Hello"),
        event("response.output_text.done", text="Hello", output_index=0),
        event("response.content_part.done", part={"text": "Hello"}, output_index=0),
        event("response.output_item.done", item=said("Hello"), output_index=0),
        event("response.completed", response=response()),
    )
    assert "".join(each.text for each in facts) == "Hello"


def test_an_item_without_deltas_is_delivered_when_it_is_done() -> None:
    search = {"type": "web_search_call", "status": "completed", "action": {"type": "search"}}
    done = event("response.output_item.done", item=search, output_index=1)
    assert [each.has_content for each in read(delta("Hi"), done)] == [True, True]


def test_searches_are_known_as_they_come() -> None:
    search = {"type": "web_search_call", "action": {"type": "search"}}
    facts = read(*(event("response.output_item.done", item=search, output_index=i) for i in (0, 1)))
    assert [each.usage for each in facts] == [Counts(search=1), Counts(search=2)]


def test_searches_of_an_answer_without_usage_are_told_apart() -> None:
    output = [{"type": "web_search_call"}, said("Found")]
    facts = answer(response(output=output, usage=None))
    assert (facts.usage, facts.units, facts.text) == (None, Counts(search=1), "Found")


def test_a_vendor_without_deltas_is_counted_by_its_last_event() -> None:
    last = event("response.completed", response=response(usage=None))
    assert read(last)[0].text == "Hello there"


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
def test_the_last_event_ends_the_stream_with_its_usage(kind: str) -> None:
    reader = ResponseReader(keeps=True)
    facts = reader.read(event(kind, response=response()))
    assert (facts.usage, facts.finished, facts.done) == (COUNTS, True, True)
    assert (reader.usage, reader.finished) == (COUNTS, True)


def test_a_response_that_fails_in_mid_stream_is_an_error() -> None:
    why = {"code": "rate_limit_exceeded", "message": "Slow down"}
    failed = response(status="failed", error=why, usage=None, output=[])
    error = read(event("response.failed", response=failed))[0].error
    assert json.loads(error or b"") == {"error": why}


def test_an_error_event_is_an_error_in_both_shapes() -> None:
    flat = read(event("error", code="server_error", message="Trouble"))[0].error
    nested = read(event("error", error={"message": "Trouble"}))[0].error
    assert json.loads(flat or b"{}")["code"] == "server_error"
    assert json.loads(nested or b"{}") == {"error": {"message": "Trouble"}}


@pytest.mark.parametrize("data", [b"data: {not json\n\n", b'data: {"type":3}\n\n'])
def test_an_event_that_cannot_be_read_is_an_error(data: bytes) -> None:
    assert read(data)[0].error


@pytest.mark.parametrize("data", [b": ping\n\n", b"data:\n\n", b'data: {"type":"new.kind"}\n\n'])
def test_what_says_nothing_passes(data: bytes) -> None:
    assert read(data) == [EventFacts()]


def test_done_of_other_vendors_is_understood() -> None:
    assert read(b"data: [DONE]\n\n")[0].done


def test_a_failure_is_told_in_both_of_the_vendors_events() -> None:
    told = RESPONSES_ERRORS.event(InsufficientQuota(), "0123").decode()
    first, second = [json.loads(part.split("data: ")[1]) for part in told.strip().split("\n\n")]
    assert ResponseErrorEvent.model_validate(first).code == "insufficient_quota"
    assert first["error"]["code"] == "insufficient_quota"
    assert ResponseFailedEvent.construct(**second).type == "response.failed"
    assert second["response"]["error"]["code"] == "insufficient_quota"


def test_our_own_events_read_as_failures() -> None:
    told = RESPONSES_ERRORS.event(InsufficientQuota(), "0123")
    assert all(each.error for each in read(*(part + b"\n\n" for part in told.split(b"\n\n")[:2])))
