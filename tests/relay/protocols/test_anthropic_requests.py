"""What is read from a request for a message, and what each driver of its cost does to the bound."""

import json
from typing import Any

import pytest

from relay.errors import BadRequest
from relay.protocols.anthropic import COUNT_TOKENS, MESSAGES, MessagesFacts, prompt_text
from relay.protocols.anthropic import read_request as read
from relay.protocols.base import UNSEEN_TOKENS, Asked
from tests.relay.protocols.messages import (
    PDF,
    PICTURE,
    TOOL,
    blocks,
    claude_code,
    facts_of,
    message,
)


def refusal(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        facts_of(**fields)
    return caught.value


def test_a_message_has_a_model_a_limit_and_its_bytes_as_bound() -> None:
    facts = facts_of()
    assert (facts.model, facts.text_bytes) == ("claude-sonnet-4-5", len(message()))
    assert (facts.output_limit, facts.limit_field, facts.choices) == (500, "max_tokens", 1)
    assert (facts.stream, facts.messages, facts.cache_write) == (False, 1, "")


def test_a_stream_is_seen() -> None:
    assert facts_of(stream=True).stream
    assert not facts_of(stream=None).stream


@pytest.mark.parametrize("fields", [{"max_tokens": None}, {"max_tokens": None, "stream": True}])
def test_a_message_needs_a_limit(fields: dict[str, Any]) -> None:
    error = refusal(**fields)
    assert (error.param, error.message) == ("max_tokens", "max_tokens: Field required")


def test_counting_tokens_needs_no_limit_and_writes_nothing() -> None:
    facts = facts_of(COUNT_TOKENS, max_tokens=None, stream=True)
    assert (facts.output_limit, facts.choices, facts.stream) == (None, 0, False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"content": 5}]}, "messages[0].content"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 2**40}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"max_uses": -1, "type": "web_search_20250305"}]}, "tools[0].max_uses"),
        ({"thinking": {"budget_tokens": "all"}}, "thinking.budget_tokens"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
        ({"Max_tokens": 5}, "Max_tokens"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields).param == param


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"model":"m","max_tokens":5,"messages":"\xff"}', b'{"a":' * 10_000],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(MESSAGES, Asked(body))


def test_a_field_given_twice_is_refused_in_short_and_in_long_bodies() -> None:
    for text in ("hello", "hello" * 5_000):
        body = message(system=text)[:-1] + b',"max_tokens":9}'
        with pytest.raises(BadRequest, match="twice"):
            read(MESSAGES, Asked(body))


@pytest.mark.parametrize(
    "fields",
    [
        {"service_tier": "priority"},
        {"speed": "fast"},
        {"inference_geo": "us"},
        {"fallbacks": [{"model": "claude-opus-4-8"}]},
        {"tools": [{"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-8"}]},
    ],
)
def test_what_has_another_price_is_refused(fields: dict[str, Any]) -> None:
    assert refusal(**fields).param in fields


def test_the_usual_tiers_and_unknown_fields_pass() -> None:
    facts_of(service_tier="standard_only", speed="standard", inference_geo="global")
    facts_of(service_tier="auto", fallbacks=None, made_up=[{"model": "x"}], mcp_servers=[{}])


def test_a_picture_is_an_item_and_its_bytes_are_no_text() -> None:
    facts = facts_of(messages=blocks({"type": "image", "source": PICTURE}, {"type": "text"}))
    assert (facts.images, facts.files) == (1, 0)
    assert facts.text_bytes < 400
    assert facts.text_bytes + facts.image_bytes > 9_000


def test_text_that_calls_itself_a_picture_is_text() -> None:
    source = {"type": "text", "data": "x" * 5_000}
    assert facts_of(messages=blocks({"type": "image", "source": source})).text_bytes > 5_000


def test_a_picture_in_a_tools_result_is_an_item_too() -> None:
    content = [{"type": "text", "text": "seen"}, {"type": "image", "source": PICTURE}]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}
    assert facts_of(messages=blocks(result)).images == 1


def test_a_document_is_a_file_unless_it_is_text() -> None:
    assert facts_of(messages=blocks({"type": "document", "source": PDF})).files == 1
    text = {"type": "text", "media_type": "text/plain", "data": "x" * 5_000}
    facts = facts_of(messages=blocks({"type": "document", "source": text}))
    assert facts.files == 0
    assert facts.text_bytes > 5_000


def test_pictures_inside_a_document_of_blocks_are_items() -> None:
    source = {"type": "content", "content": [{"type": "image", "source": PICTURE}]}
    facts = facts_of(messages=blocks({"type": "document", "source": source}))
    assert (facts.images, facts.files) == (1, 0)


def test_search_results_are_text() -> None:
    found = {"type": "search_result", "source": "https://a.example", "content": [{"type": "text"}]}
    assert facts_of(messages=blocks(found)).files == 0


@pytest.mark.parametrize("block", [{"type": "IMAGE", "source": PICTURE}, {"file_id": "file_1"}])
def test_a_block_of_an_unknown_kind_is_never_free(block: dict[str, Any]) -> None:
    facts = facts_of(messages=blocks(block))
    assert facts.files == 1
    assert facts.text_bytes >= len(json.dumps(block, separators=(",", ":")))


@pytest.mark.parametrize(
    "source",
    [{"type": "url", "url": "https://a.example/a.pdf"}, {"type": "file", "file_id": "file_1"}],
)
def test_a_document_that_lies_elsewhere_is_held_by_a_figure(source: dict[str, Any]) -> None:
    facts = facts_of(messages=blocks({"type": "document", "source": source}))
    assert (facts.files, facts.file_bytes > UNSEEN_TOKENS) == (1, True)
    assert 0 < facts.text_bytes < 400


@pytest.mark.parametrize(
    "content", [{"type": "web_search_tool_result_error"}, "text", None, [{"type": "x", "n": 1}]]
)
def test_results_of_the_vendors_tools_pass_in_every_form(content: Any) -> None:
    block = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}
    assert facts_of(messages=blocks(block)).files == 0


def test_tools_count_as_text_and_bring_tokens_of_their_own() -> None:
    asked = message(tools=[TOOL])
    assert facts_of(tools=[TOOL]).text_bytes == len(asked) + 500
    assert facts_of(tools=[]).text_bytes == len(message(tools=[]))


@pytest.mark.parametrize(
    ("tools", "searches"),
    [
        ([{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}], 3),
        ([{"type": "web_search_20250305", "name": "web_search"}], 5),
        ([{"type": "code_execution_20250825", "name": "code_execution"}], 0),
        ([{"type": "custom", "name": "web_search", "max_uses": 3}, TOOL], 0),
    ],
)
def test_searches_are_held_as_often_as_they_may_happen(
    tools: list[dict[str, Any]], searches: int
) -> None:
    assert facts_of(tools=tools).searches == searches


def test_a_cache_that_is_written_is_seen_with_its_time() -> None:
    for_5m = {"type": "ephemeral"}
    assert facts_of(cache_control=for_5m).cache_write == "5m"
    system = [{"type": "text", "text": "x", "cache_control": for_5m | {"ttl": "1h"}}]
    assert facts_of(system=system).cache_write == "1h"
    assert facts_of(system='"cache_control":{"ttl":"1h"}').cache_write == ""
    assert facts_of(cache_control=None).cache_write == ""


def test_the_user_of_a_conversation_keeps_it_together() -> None:
    assert facts_of(metadata={"user_id": "u-1"}).conversation == "u-1"
    assert facts_of(metadata={}).conversation == ""
    assert len(facts_of(metadata={"user_id": "u" * 5_000}).conversation) == 512


def test_a_thread_leads_back_to_the_channel_that_keeps_it() -> None:
    assert facts_of(thread={"type": "create"}).bound_to == ""
    thread = {"type": "continue", "previous_message_id": "msg_1"}
    facts = facts_of(thread=thread)
    assert (facts.bound_to, facts.files, facts.file_bytes) == ("msg_1", 1, 2_000)
    assert facts.text_bytes == len(message(thread=thread))


@pytest.mark.parametrize(
    ("query", "passed"),
    [
        (b"beta=true", b"beta=true"),
        (b"key=ak-secret&beta=true", b"beta=true"),
        (b"key=ak-secret", b""),
        (b"beta=a%0d%0ab", b""),
        (b"&".join([b"beta=true"] * 2_000), b"beta=true"),
    ],
)
def test_only_the_beta_mark_of_a_query_is_passed_on(query: bytes, passed: bytes) -> None:
    assert facts_of(query=query).query == passed


def test_the_shape_of_claude_code_is_read_whole() -> None:
    body = json.dumps(claude_code()).encode()
    facts = read(MESSAGES, Asked(body, query=b"beta=true"))
    assert isinstance(facts, MessagesFacts)
    assert (facts.output_limit, facts.thinking_budget) == (32_000, 31_999)
    assert (facts.cache_write, facts.stream) == ("5m", True)
    assert json.loads(facts.conversation)["session_id"] == "5e55"


def test_every_text_is_counted_but_pictures_and_files_are_not() -> None:
    texts = prompt_text(
        message(
            system=[{"type": "text", "text": "rules"}],
            messages=blocks(
                {"type": "text", "text": "question"},
                {"type": "image", "source": PICTURE},
                {"type": "document", "title": "report", "source": PDF},
                {"type": "document", "source": {"type": "text", "data": "words"}},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"q": "city"}},
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "found"},
            ),
            tools=[TOOL],
        )
    )
    assert texts[:-1] == ["rules", "question", "report", "words", "look", "city", "found"]
    assert json.loads(texts[-1]) == [TOOL]


def test_numbers_that_nobody_can_represent_are_counted_as_they_stand() -> None:
    body = b'{"model":"m","max_tokens":5,"messages":[{"n":1e999}]}'
    assert prompt_text(body) == [body.decode()]
