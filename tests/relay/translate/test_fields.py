"""Every field of both APIs is carried over, left out on purpose, or refused: none is lost."""

from pathlib import Path
from typing import Any

import pytest

from relay.errors import BadRequest
from relay.translate import (
    CHAT_TO_GEMINI,
    CHAT_TO_MESSAGES,
    MESSAGES_TO_CHAT,
    RESPONSES_TO_CHAT,
    chat_to_gemini,
    chat_to_messages,
    messages_to_chat,
    responses_to_chat,
)
from relay.translate.joined import Joined
from tests.relay.translate.carrying import TOOL, Json, asking, carried

SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
CHAT_TOOLS = {"tools": [{"type": "function", "function": TOOL}]}
MESSAGE_TOOLS = {"tools": [{"name": "weather", "input_schema": {"type": "object"}}]}

# A value that asks for something, and what else it takes to matter.
CHAT_SAMPLES: dict[str, tuple[Any, Json]] = {
    "model": ("another-model", {}),
    "messages": ([{"role": "user", "content": "Other words"}], {}),
    "stream": (True, {}),
    "stream_options": ({"include_usage": True}, {"stream": True}),
    "max_tokens": (7, {}),
    "max_completion_tokens": (7, {}),
    "temperature": (0.3, {}),
    "top_p": (0.3, {}),
    "stop": (["END"], {}),
    "tools": (CHAT_TOOLS["tools"], {}),
    "tool_choice": ("none", CHAT_TOOLS),
    "parallel_tool_calls": (False, CHAT_TOOLS),
    "response_format": ({"type": "json_object"}, {}),
    "reasoning_effort": ("low", {}),
    "user": ("somebody", {}),
    "n": (2, {}),
    "modalities": (["text", "audio"], {}),
    "seed": (1, {}),
    "frequency_penalty": (0.5, {}),
    "presence_penalty": (0.5, {}),
    "logit_bias": ({"1": 5}, {}),
    "logprobs": (True, {}),
    "top_logprobs": (2, {}),
    "verbosity": ("low", {}),
    "web_search_options": ({}, {}),
    "audio": ({"voice": "alloy", "format": "mp3"}, {}),
    "moderation": ({"model": "omni-moderation-latest"}, {}),
    "extra_body": ({"a": 1}, {}),
    "functions": ([TOOL], {}),
    "function_call": ("auto", {}),
    "metadata": ({"a": "b"}, {}),
    "store": (True, {}),
    "service_tier": ("flex", {}),
    "prediction": ({"type": "content", "content": "words"}, {}),
    "prompt_cache_key": ("key", {}),
    "prompt_cache_options": ({"mode": "implicit"}, {}),
    "prompt_cache_retention": ("24h", {}),
    "safety_identifier": ("somebody", {}),
    "thinking": ({"type": "enabled", "budget_tokens": 1024}, {}),
    "top_k": (5, {}),
}
MESSAGE_SAMPLES: dict[str, tuple[Any, Json]] = {
    "model": ("another-model", {}),
    "messages": ([{"role": "user", "content": "Other words"}], {}),
    "system": ("Be brief.", {}),
    "max_tokens": (7, {}),
    "stop_sequences": (["END"], {}),
    "stream": (True, {}),
    "temperature": (0.3, {}),
    "top_p": (0.3, {}),
    "tools": (MESSAGE_TOOLS["tools"], {}),
    "tool_choice": ({"type": "none"}, MESSAGE_TOOLS),
    "thinking": ({"type": "enabled", "budget_tokens": 1024}, {"model": "o3"}),
    "output_config": ({"effort": "low"}, {"model": "o3"}),
    "output_format": ({"type": "json_schema", "schema": SCHEMA}, {}),
    "metadata": ({"user_id": "somebody"}, {}),
    "cache_control": ({"type": "ephemeral"}, {}),
    "context_management": ({"edits": []}, {}),
    "betas": (["context-1m-2025-08-07"], {}),
    "service_tier": ("auto", {}),
    "diagnostics": ({}, {}),
    "user_profile_id": ("profile", {}),
    "workspace_id": ("workspace", {}),
    "billing_policy": ({}, {}),
    "fallback_credit_token": ("token", {}),
    "speed": ("fast", {}),
    "inference_geo": ("us", {}),
    "mcp_servers": ([{"type": "url", "name": "a", "url": "https://example.com"}], {}),
    "fallbacks": ([{"model": "another"}], {}),
    "top_k": (5, {}),
    "container": ("container", {}),
    "compaction": ({}, {}),
    "thread": ({}, {}),
}
RESPONSE_TOOLS = {"tools": [{"type": "function", **TOOL}]}
RESPONSE_SAMPLES: dict[str, tuple[Any, Json]] = {
    "model": ("another-model", {}),
    "input": ("Other words", {}),
    "instructions": ("Be brief.", {}),
    "stream": (True, {}),
    "max_output_tokens": (7, {}),
    "temperature": (0.3, {}),
    "top_p": (0.3, {}),
    "tools": (RESPONSE_TOOLS["tools"], {}),
    "tool_choice": ("none", RESPONSE_TOOLS),
    "parallel_tool_calls": (False, RESPONSE_TOOLS),
    "reasoning": ({"effort": "low"}, {"model": "o3"}),
    "text": ({"format": {"type": "json_object"}}, {}),
    "user": ("somebody", {}),
    "include": (["web_search_call.action.sources"], {}),
    "store": (True, {}),
    "metadata": ({"a": "b"}, {}),
    "client_metadata": ({"a": "b"}, {}),
    "stream_options": ({"include_obfuscation": False}, {"stream": True}),
    "prompt_cache_key": ("key", {}),
    "prompt_cache_options": ({"mode": "implicit"}, {}),
    "prompt_cache_retention": ("24h", {}),
    "safety_identifier": ("somebody", {}),
    "service_tier": ("flex", {}),
    "truncation": ("auto", {}),
    "background": (True, {}),
    "top_logprobs": (2, {}),
    "previous_response_id": ("resp_1", {}),
    "conversation": ("conv_1", {}),
    "prompt": ({"id": "pmpt_1"}, {}),
    "max_tool_calls": (2, {}),
    "moderation": ({"model": "omni-moderation-latest"}, {}),
    "context_management": ([{"type": "compaction"}], {}),
    "background_options": ({"completion_window": "2h"}, {}),
    "access_programs": ({"cyber": "standard"}, {}),
    "image": ({}, {}),
}
PARALLEL = (True, CHAT_TOOLS)
TABLES = (
    (CHAT_TO_MESSAGES, chat_to_messages.FIELDS, CHAT_SAMPLES),
    (CHAT_TO_GEMINI, chat_to_gemini.FIELDS, CHAT_SAMPLES | {"parallel_tool_calls": PARALLEL}),
    (MESSAGES_TO_CHAT, messages_to_chat.FIELDS, MESSAGE_SAMPLES),
    (RESPONSES_TO_CHAT, responses_to_chat.FIELDS, RESPONSE_SAMPLES),
)
# What is carried over, but not in the body: how the upstream is asked, and how it is answered.
ELSEWHERE = {"stream_options"}
ELSEWHERE_IN_GEMINI = ELSEWHERE | {"model", "stream", "parallel_tool_calls"}


def cases(fate: str) -> list[Any]:
    return [
        pytest.param(via, name, id=f"{at}-{name}")
        for at, (via, fields, _) in enumerate(TABLES)
        for name, given in fields.items()
        if given.name == fate
    ]


def sample(via: Joined, name: str) -> tuple[Json, Json]:
    """Return a request without and with a field."""
    value, needs = next(samples for one, _, samples in TABLES if one is via)[name]
    if via is RESPONSES_TO_CHAT:
        without = asking(**{"input": "Hello"} | needs)
    else:
        without = asking(**{"max_tokens": 2000} | needs)
    return without, without | {name: value}


@pytest.mark.parametrize(("via", "name"), cases("carried"))
def test_a_field_that_is_carried_changes_what_the_upstream_is_asked(via: Joined, name: str) -> None:
    without, given = sample(via, name)
    elsewhere = ELSEWHERE_IN_GEMINI if via is CHAT_TO_GEMINI else ELSEWHERE
    assert (carried(via, given) == carried(via, without)) == (name in elsewhere)


@pytest.mark.parametrize(("via", "name"), cases("left out"))
def test_a_field_that_is_left_out_changes_nothing(via: Joined, name: str) -> None:
    without, given = sample(via, name)
    assert carried(via, given) == carried(via, without)


@pytest.mark.parametrize(("via", "name"), cases("refused"))
def test_a_field_that_is_refused_is_named(via: Joined, name: str) -> None:
    _, given = sample(via, name)
    with pytest.raises(BadRequest) as refused:
        carried(via, given)
    assert (refused.value.param or "").startswith(name)


@pytest.mark.parametrize(("via", "name"), cases("refused"))
def test_values_of_a_refused_field_that_ask_for_nothing_pass(via: Joined, name: str) -> None:
    fields = next(fields for one, fields, _ in TABLES if one is via)
    without, _ = sample(via, name)
    for harmless in (None, *fields[name].harmless):
        assert carried(via, without | {name: harmless}) == carried(via, without)


@pytest.mark.parametrize(("via", "fields", "samples"), TABLES)
def test_every_field_that_has_a_fate_is_tried(
    via: Joined, fields: dict[str, Any], samples: dict[str, Any]
) -> None:
    assert set(fields) <= set(samples)
    assert set(samples) - set(fields) <= {"thinking"}


@pytest.mark.parametrize("via", [via for via, _, _ in TABLES])
def test_a_field_that_nobody_knows_is_refused(via: Joined) -> None:
    with pytest.raises(BadRequest, match="'unheard_of' can't be carried over"):
        usual = {"input": "Hello"} if via is RESPONSES_TO_CHAT else {"max_tokens": 5}
        carried(via, asking(**usual, unheard_of=1))


SECTIONS = {
    "Chats on Anthropic's channels": (chat_to_messages.FIELDS, {}),
    # It tells the differences to the section before.
    "Chats on Gemini's channels": (chat_to_gemini.FIELDS, chat_to_messages.FIELDS),
    "Messages on OpenAI's channels": (messages_to_chat.FIELDS, {}),
    "Responses on OpenAI's channels of chats": (responses_to_chat.FIELDS, {}),
}


@pytest.mark.parametrize("title", SECTIONS)
def test_the_documents_tell_the_fate_of_every_field(title: str) -> None:
    page = Path(__file__).parents[3] / "docs/concepts/translation.md"
    section = page.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    fields, told_before = SECTIONS[title]
    untold = {name for name in fields if f"`{name}`" not in section}
    assert {name for name in untold if told_before.get(name) != fields[name]} == set()
