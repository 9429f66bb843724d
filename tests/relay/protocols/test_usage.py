"""Usage becomes disjoint buckets whose sums are what the vendor billed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import INPUT_BUCKETS, Counts
from relay.protocols.openai import usage_of_answer


def counts(usage: Any) -> Counts | None:
    return usage_of_answer(json.dumps({"choices": [], "usage": usage}).encode())


def test_plain_usage_is_input_and_output() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
    assert counts(usage) == Counts(input=9, output=12)


def test_cached_reasoning_and_audio_tokens_are_taken_out_of_what_holds_them() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 5},
    }
    assert counts(usage) == Counts(
        input=26, cached_input=64, audio_in=10, output=25, reasoning=20, audio_out=5
    )


def test_details_may_be_null() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "prompt_tokens_details": None,
        "completion_tokens_details": {"reasoning_tokens": None},
    }
    assert counts(usage) == Counts(input=9, output=1)


def test_reasoning_beside_the_completion_is_seen_by_the_total() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 115,
        "completion_tokens_details": {"reasoning_tokens": 100},
    }
    assert counts(usage) == Counts(input=10, output=5, reasoning=100)


@pytest.mark.parametrize("name", ["cached_tokens", "prompt_cache_hit_tokens"])
def test_other_vendors_names_for_cached_tokens(name: str) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, name: 8}
    assert counts(usage) == Counts(input=2, cached_input=8, output=5)


def test_embeddings_have_no_output() -> None:
    assert counts({"prompt_tokens": 8, "total_tokens": 8}) == Counts(input=8)
    assert counts({"total_tokens": 8}) == Counts(input=8)


def test_an_explicit_zero_is_a_count() -> None:
    assert counts({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}) == Counts()


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "12",
        {"prompt_tokens": None},
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": "nine", "completion_tokens": 5},
        {"prompt_tokens": 10**15, "completion_tokens": 5},
        {"completion_tokens": 5},
    ],
)
def test_nonsense_is_no_usage(usage: Any) -> None:
    assert counts(usage) is None


@pytest.mark.parametrize(
    "slip",
    [
        {"prompt_tokens": "9"},
        {"prompt_tokens": 9.0},
        {"prompt_tokens_details": []},
        {"prompt_tokens_details": {"cached_tokens": -1, "audio_tokens": False}},
        {"server_tool_use": []},
    ],
)
def test_a_slip_in_one_place_loses_no_other_number(slip: Any) -> None:
    reasoning = {"completion_tokens_details": {"reasoning_tokens": 40}}
    usage = {"prompt_tokens": 9, "completion_tokens": 50, **reasoning, **slip}
    assert counts(usage) == Counts(input=9, output=10, reasoning=40)


@pytest.mark.parametrize(
    "told",
    [
        {"prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 40}},
        {"cached_tokens": 10, "cache_creation_input_tokens": 40},
    ],
)
def test_what_is_written_into_a_cache_has_a_price_of_its_own(told: Any) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5, **told}
    assert counts(usage) == Counts(input=50, cached_input=10, cache_write_5m=40, output=5)


@pytest.mark.parametrize("completion", [0, 5])
def test_thoughts_that_stand_in_the_total_only_are_paid_for(completion: int) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": completion, "total_tokens": 110 + completion}
    assert counts(usage) == Counts(input=10, output=completion, reasoning=100)


def test_a_cache_beside_the_prompt_is_seen_by_the_total() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115, "cached_tokens": 100}
    assert counts(usage) == Counts(input=10, cached_input=100, output=5)


@pytest.mark.parametrize(
    "told",
    [
        {"num_search_queries": 3},
        {"num_sources_used": 3},
        {"server_tool_use": {"web_search_requests": 3}},
    ],
)
def test_searches_are_counted_by_whichever_name(told: Any) -> None:
    found = counts({"prompt_tokens": 1, "completion_tokens": 1, **told})
    assert found == Counts(input=1, output=1, search=3)


tokens = st.integers(0, 10_000)


@given(tokens, tokens, tokens, tokens, tokens, tokens)
def test_the_buckets_always_add_up_to_what_was_billed(
    prompt: int, completion: int, cached: int, audio_in: int, reasoning: int, audio_out: int
) -> None:
    found = counts(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": audio_in},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": audio_out,
            },
        }
    )
    assert found is not None
    assert sum(getattr(found, bucket) for bucket in INPUT_BUCKETS) == prompt
    assert found.output + found.reasoning + found.audio_out == completion
