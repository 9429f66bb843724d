"""Gemini's usage becomes disjoint buckets whose sum is the vendor's."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing import Counts
from relay.protocols.gemini_usage import usage_counts

TOKENS = st.integers(0, 10**6)


def counted(*, is_speech: bool = False, **usage: Any) -> Counts | None:
    return usage_counts(json.dumps(usage).encode(), is_speech=is_speech)


def details(**modalities: int) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": count} for name, count in modalities.items()]


def test_a_plain_usage_is_input_and_output() -> None:
    assert counted(promptTokenCount=8, candidatesTokenCount=5, totalTokenCount=13) == Counts(
        input=8, output=5
    )


def test_cached_tokens_stand_inside_the_prompt() -> None:
    assert counted(promptTokenCount=800, cachedContentTokenCount=700) == Counts(
        input=100, cached_input=700
    )


def test_thoughts_stand_beside_the_candidates() -> None:
    assert counted(
        promptTokenCount=8, candidatesTokenCount=5, thoughtsTokenCount=90, totalTokenCount=103
    ) == Counts(input=8, output=5, reasoning=90)


def test_thoughts_that_only_the_total_tells_are_found() -> None:
    assert counted(promptTokenCount=8, candidatesTokenCount=5, totalTokenCount=103) == Counts(
        input=8, output=5, reasoning=90
    )


def test_imitators_put_thoughts_inside_the_candidates() -> None:
    assert counted(
        promptTokenCount=8, candidatesTokenCount=95, thoughtsTokenCount=90, totalTokenCount=103
    ) == Counts(input=8, output=5, reasoning=90)


def test_what_tools_have_read_is_input_beside_the_prompt() -> None:
    assert counted(
        promptTokenCount=8,
        toolUsePromptTokenCount=300,
        candidatesTokenCount=5,
        totalTokenCount=313,
    ) == Counts(input=308, output=5)


def test_audio_is_told_apart_both_ways() -> None:
    assert counted(
        promptTokenCount=110,
        candidatesTokenCount=60,
        promptTokensDetails=details(TEXT=10, AUDIO=100),
        candidatesTokensDetails=details(AUDIO=50, TEXT=10),
    ) == Counts(input=10, audio_in=100, output=10, audio_out=50)


def test_audio_that_is_cached_is_cached() -> None:
    assert counted(
        promptTokenCount=110,
        cachedContentTokenCount=80,
        promptTokensDetails=details(TEXT=10, AUDIO=100),
        cacheTokensDetails=details(AUDIO=80),
    ) == Counts(input=10, audio_in=20, cached_input=80)


def test_tokens_of_images_are_left_to_the_price_of_a_piece() -> None:
    assert counted(
        promptTokenCount=10,
        candidatesTokenCount=1_300,
        totalTokenCount=1_310,
        candidatesTokensDetails=details(IMAGE=1_290, TEXT=10),
    ) == Counts(input=10, output=10)


def test_speech_without_details_is_audio() -> None:
    spoken: dict[str, Any] = {"promptTokenCount": 10, "candidatesTokenCount": 300}
    assert counted(is_speech=True, **spoken) == Counts(input=10, audio_out=300)
    assert counted(**spoken) == Counts(input=10, output=300)


@pytest.mark.parametrize(
    "raw", [b"null", b"{}", b"[]", b'{"promptTokenCount":-1}', b'{"promptTokenCount":"many"}', b"{"]
)
def test_nonsense_is_no_usage(raw: bytes) -> None:
    assert usage_counts(raw) is None


def test_the_prompt_follows_from_the_total() -> None:
    assert counted(totalTokenCount=20, candidatesTokenCount=5) == Counts(input=15, output=5)


@given(prompt=TOKENS, cached=TOKENS, heard=TOKENS, written=TOKENS, said=TOKENS, thoughts=TOKENS)
def test_buckets_are_disjoint_and_add_up(
    prompt: int, cached: int, heard: int, written: int, said: int, thoughts: int
) -> None:
    found = counted(
        promptTokenCount=prompt,
        cachedContentTokenCount=cached,
        candidatesTokenCount=written,
        thoughtsTokenCount=thoughts,
        totalTokenCount=prompt + written + thoughts,
        promptTokensDetails=details(AUDIO=heard),
        candidatesTokensDetails=details(AUDIO=said),
    )
    assert found is not None
    assert found.input + found.cached_input + found.audio_in == prompt
    assert found.output + found.audio_out == written
    assert found.reasoning == thoughts
