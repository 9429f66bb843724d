"""Anthropic's usage becomes disjoint buckets whose sums are what the vendor billed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import Counts, input_total
from relay.protocols.anthropic import EventReader, answer_facts
from tests.relay.protocols.messages import delta, end, event, start


def counts(**usage: Any) -> Counts | None:
    body = {"type": "message", "content": [], "stop_reason": "end_turn", "usage": usage}
    return answer_facts(json.dumps(body).encode()).usage


def streamed(*events: bytes) -> Counts | None:
    reader = EventReader()
    for one in events:
        reader.read(one)
    return reader.usage


def found(content: Any) -> bytes:
    block = {"type": "web_search_tool_result", "content": content}
    return event("content_block_start", index=0, content_block=block)


def test_plain_usage_is_input_and_output() -> None:
    assert counts(input_tokens=9, output_tokens=12) == Counts(input=9, output=12)


def test_the_cache_stands_beside_the_input() -> None:
    assert counts(
        input_tokens=9,
        cache_read_input_tokens=100,
        cache_creation_input_tokens=60,
        cache_creation={"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40},
        output_tokens=1,
    ) == Counts(input=9, cached_input=100, cache_write_5m=20, cache_write_1h=40, output=1)


def test_writes_that_are_not_split_are_for_five_minutes() -> None:
    found = counts(input_tokens=1, cache_creation_input_tokens=60, output_tokens=1)
    assert found == Counts(input=1, cache_write_5m=60, output=1)


def test_a_split_without_a_total_counts() -> None:
    split = {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}
    found = counts(input_tokens=1, cache_creation=split, output_tokens=1)
    assert found == Counts(input=1, cache_write_5m=2, cache_write_1h=3, output=1)


def test_thinking_and_searches_are_told_apart_where_they_are_reported() -> None:
    assert counts(
        input_tokens=1,
        output_tokens=50,
        output_tokens_details={"thinking_tokens": 30},
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 1},
    ) == Counts(input=1, output=20, reasoning=30, search=2)


def test_a_compaction_is_billed_beside_the_message() -> None:
    more = {"type": "compaction", "input_tokens": 1_000, "output_tokens": 40}
    same = {"type": "message", "input_tokens": 10, "output_tokens": 5}
    found = counts(input_tokens=10, output_tokens=5, iterations=[more, same])
    assert found == Counts(input=1_010, output=45)


def test_an_explicit_zero_is_a_number() -> None:
    assert counts(input_tokens=0, output_tokens=0) == Counts()


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"output_tokens": 5},
        {"input_tokens": 5},
        {"input_tokens": -1, "output_tokens": 5},
        {"input_tokens": 5, "output_tokens": 2**60},
        {"input_tokens": "five", "output_tokens": 5},
        {"input_tokens": 5, "output_tokens": 5, "cache_read_input_tokens": -7},
        {"input_tokens": 5, "output_tokens": 5, "iterations": "none"},
    ],
)
def test_nonsense_is_no_usage(usage: dict[str, Any]) -> None:
    assert counts(**usage) is None


def test_searches_are_counted_as_they_come_until_the_vendor_tells() -> None:
    reader = EventReader()
    reader.read(start(input_tokens=9, output_tokens=1))
    reader.read(found([{"title": "t"}]))
    running = reader.read(found([])).usage
    assert running == Counts(input=9, output=1, search=2)
    assert reader.read(found({"type": "web_search_tool_result_error"})).usage is None
    told = end(output_tokens=5, server_tool_use={"web_search_requests": 1})
    assert reader.read(told).usage == Counts(input=9, output=5, search=1)


def test_a_stream_cumulates() -> None:
    begun = start(input_tokens=9, cache_read_input_tokens=100, output_tokens=1)
    assert streamed(begun, end(output_tokens=30)) == Counts(input=9, cached_input=100, output=30)


def test_the_later_word_wins() -> None:
    begun = start(input_tokens=9, output_tokens=1)
    assert streamed(begun, end(input_tokens=700, output_tokens=30)) == Counts(input=700, output=30)


def test_a_start_without_numbers_waits_for_the_end() -> None:
    begun = start(input_tokens=0, output_tokens=0)
    assert streamed(begun, end(input_tokens=7, output_tokens=3)) == Counts(input=7, output=3)


def test_zeros_at_the_end_do_not_make_the_prompt_free() -> None:
    begun = start(input_tokens=9, cache_read_input_tokens=4, output_tokens=1)
    ended = end(input_tokens=0, cache_read_input_tokens=0, output_tokens=3)
    assert streamed(begun, ended) == Counts(input=9, cached_input=4, output=3)


def test_a_null_or_nonsense_at_the_end_leaves_the_start() -> None:
    for usage in (None, {"output_tokens": -1}):
        reader = EventReader()
        reader.read(start(input_tokens=9, output_tokens=1))
        reader.read(delta(type="text_delta", text="Hi"))
        body = json.dumps({"type": "message_delta", "delta": {}, "usage": usage})
        assert reader.read(f"data: {body}\n\n".encode()).usage is None
        assert reader.usage == Counts(input=9, output=1)


tokens = st.one_of(st.none(), st.integers(0, 2**40))


@given(tokens, tokens, tokens, tokens, tokens)
def test_the_buckets_sum_up_to_what_was_billed(
    plain: int | None, written: int | None, read: int | None, hour: int | None, thought: int | None
) -> None:
    found = counts(
        input_tokens=plain,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=read,
        cache_creation={"ephemeral_1h_input_tokens": hour},
        output_tokens=50,
        output_tokens_details={"thinking_tokens": thought},
    )
    if plain is None:
        assert found is None
        return
    assert found is not None
    all_written = (hour or 0) if written is None else written
    assert input_total(found) == plain + all_written + (read or 0)
    assert found.output + found.reasoning == 50
