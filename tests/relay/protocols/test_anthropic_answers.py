"""What an answer of Anthropic's says, whole or in events: text, delivery, end, error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import Counts
from relay.protocols.anthropic import COUNT_TOKENS, MESSAGES, EventReader, answer_facts
from relay.protocols.base import EventFacts
from tests.relay.protocols.messages import delta, end, event, facts_of, start

ERROR = {"type": "overloaded_error", "message": "Overloaded"}

KINDS = ["message_start", "message_delta", "content_block_start", "content_block_delta", "message"]
names = st.sampled_from(
    ["delta", "content_block", "message", "usage", "content", "text", "input", "input_tokens"]
)


def read(*events: bytes) -> EventFacts:
    reader = EventReader()
    return [reader.read(one) for one in events][-1]


def whole(*content: dict[str, Any], **fields: Any) -> bytes:
    usage = {"input_tokens": 3, "output_tokens": 2}
    head = {"type": "message", "id": "msg_1", "stop_reason": "end_turn", "usage": usage}
    return json.dumps(head | {"content": list(content)} | fields).encode()


def begun(**block: Any) -> bytes:
    return event("content_block_start", index=0, content_block=block)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"type": "text_delta", "text": "Hello"}, "Hello"),
        ({"type": "thinking_delta", "thinking": "Hm"}, "Hm"),
        ({"type": "input_json_delta", "partial_json": '{"a":'}, '{"a":'),
        ({"type": "compaction_delta", "content": "So far"}, "So far"),
        ({"type": "something_new", "text": "New"}, "New"),
    ],
)
def test_what_the_model_writes_is_content(fields: dict[str, Any], text: str) -> None:
    facts = read(delta(**fields))
    assert (facts.text, facts.has_content) == (text, True)


@pytest.mark.parametrize(
    "event_",
    [
        start(input_tokens=3, output_tokens=1),
        event("ping"),
        begun(type="text", text=""),
        begun(type="thinking", thinking="", signature=""),
        delta(type="signature_delta", signature="c2ln"),
        delta(type="citations_delta", citation={"cited_text": "x"}),
        delta(type="input_json_delta", partial_json=""),
        event("content_block_stop", index=0),
        event("something_new", delta={"text": 5}),
        b": a comment\n\n",
        b"event: ping\ndata: \n\n",
    ],
)
def test_what_surrounds_it_is_none(event_: bytes) -> None:
    facts = read(event_)
    assert (facts.text, facts.has_content, facts.finished, facts.error) == ("", False, False, None)


def test_a_call_begins_with_its_name() -> None:
    facts = read(begun(type="tool_use", id="toolu_1", name="get_weather", input={}))
    assert (facts.text, facts.has_content) == ("get_weather", True)


@pytest.mark.parametrize("kind", ["redacted_thinking", "web_search_tool_result"])
def test_a_block_that_comes_whole_is_content_without_words(kind: str) -> None:
    facts = read(begun(type=kind, data="c2VhbGVk", content=[{"title": "t"}]))
    assert (facts.text, facts.has_content) == ("", True)


def test_the_end_is_told_with_its_reason() -> None:
    assert read(end("max_tokens", output_tokens=3)).finished
    assert not read(end(None, output_tokens=3)).finished
    assert read(event("message_stop")).done


def test_the_start_of_a_message_is_no_delivery_though_it_has_usage() -> None:
    reader = EventReader()
    assert reader.read(start(input_tokens=3, output_tokens=1)).usage == Counts(input=3, output=1)
    assert reader.usage is None
    reader.read(delta(type="text_delta", text="Hi"))
    assert reader.usage == Counts(input=3, output=1)


@pytest.mark.parametrize(
    "event_",
    [
        event("error", error=ERROR),
        f"data: {json.dumps({'type': 'error', 'error': ERROR})}\n\n".encode(),
        f"event: error\r\ndata: {json.dumps({'error': ERROR})}\r\n\r\n".encode(),
    ],
)
def test_an_error_event_is_told(event_: bytes) -> None:
    error = read(event_).error
    assert error is not None
    assert json.loads(error)["error"] == ERROR


@pytest.mark.parametrize(
    "event_", [b"data: {no json\n\n", b"data: []\n\n", b'data: {"type":5}\n\n', b"data: \xff\n\n"]
)
def test_what_can_not_be_read_is_an_error(event_: bytes) -> None:
    assert read(event_).error is not None


@pytest.mark.parametrize(
    "form", ["event: x\r\ndata: {}\r\n\r\n", "data: {}\n\n", "data:{}\nevent: x\n\n"]
)
def test_events_may_be_written_in_every_way(form: str) -> None:
    data = delta(type="text_delta", text="Hello").split(b"data: ")[1].strip().decode()
    assert read(form.replace("{}", data).encode()).text == "Hello"


def test_a_whole_message_tells_its_words_its_end_and_its_usage() -> None:
    body = whole(
        {"type": "thinking", "thinking": "Hm. ", "signature": "c2ln"},
        {"type": "text", "text": "Look: ", "citations": [{"cited_text": "x"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"n": 2, "at": ["sea"]}},
        {"type": "web_search_tool_result", "content": [{"title": "t"}]},
    )
    facts = answer_facts(body)
    assert facts.text == 'Hm. Look: look{"n": 2, "at": ["sea"]}'
    assert (facts.finished, facts.has_content) == (True, True)
    assert facts.usage == Counts(input=3, output=2)
    assert facts.units == Counts(search=1)


def test_a_message_need_not_have_an_id() -> None:
    facts = answer_facts(whole({"type": "text", "text": "Hi"}, id=None))
    assert (facts.error, facts.text) == (None, "Hi")


def test_a_call_may_be_nested_as_deep_as_the_model_likes() -> None:
    depth = 900
    body = whole({"type": "tool_use", "name": "f", "input": 0})
    deep = body.replace(b'"input": 0', b'"input": ' + b"[" * depth + b"]" * depth)
    assert len(answer_facts(deep).text) == 1 + 2 * depth


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)


@given(st.sampled_from(KINDS), st.dictionaries(names, anything, max_size=4))
def test_no_shape_of_an_event_can_raise(kind: str, fields: dict[str, Any]) -> None:
    reader = EventReader()
    reader.read(start(input_tokens=3, output_tokens=1))
    facts = reader.read(event(kind, **fields))
    assert isinstance(facts.text, str)
    answer_facts(json.dumps({"type": kind} | fields).encode())


@given(st.binary(max_size=200))
def test_nothing_that_an_upstream_sends_can_raise(junk: bytes) -> None:
    reader = EventReader()
    for data in (junk, b"event: x\ndata: " + junk, b'data: {"type":"message_start",' + junk):
        reader.read(data + b"\n\n")
    assert answer_facts(junk).usage is None


def test_a_call_may_be_written_in_no_encoding_at_all() -> None:
    body = whole({"type": "tool_use", "name": "f", "input": {"a": 1}})
    assert answer_facts(body.replace(b'"a"', b'"\xbe"')).text.startswith("f{")


def test_an_empty_message_that_has_ended_is_charged_by_its_usage() -> None:
    facts = answer_facts(whole())
    assert (facts.finished, facts.has_content) == (True, False)
    assert facts.usage == Counts(input=3, output=2)


@pytest.mark.parametrize("body", [b'{"type":"error","error":{}}', b'{"error":"x"}', b"<html>", b""])
def test_an_error_with_a_good_status_is_an_error(body: bytes) -> None:
    assert answer_facts(body).error is not None


def test_a_thread_is_remembered_under_the_id_of_its_message() -> None:
    facts = facts_of(thread={"type": "create"})
    assert MESSAGES.dialect.answer(whole(), facts, b"").object_id == "msg_1"
    assert MESSAGES.dialect.reader(facts).read(start(input_tokens=1)).object_id == "msg_1"
    assert MESSAGES.dialect.answer(whole(), facts_of(), b"").object_id == ""


def test_counted_tokens_are_an_answer_that_has_used_nothing() -> None:
    facts = facts_of(COUNT_TOKENS)
    answer = COUNT_TOKENS.dialect.answer(b'{"input_tokens":14}', facts, b"application/json")
    assert (answer.usage, answer.finished, answer.has_content) == (Counts(), True, True)
    assert COUNT_TOKENS.dialect.answer(b'{"type":"error"}', facts, b"").error is not None
