"""What a chat asks of Anthropic's messages."""

import json
from typing import Any

import pytest

from relay.errors import BadRequest
from relay.translate import CHAT_TO_MESSAGES
from relay.translate.chat_to_messages import JSON_TOOL
from tests.relay.translate.carrying import HELLO, MOST_OUTPUT, TOOL, Json, asking, carried, facts_of

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0="
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Bergen"}'},
}
TOOLS = [{"type": "function", "function": TOOL}]
SCHEMA = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
OPEN = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
FORM = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}


def asked(*messages: Json, **fields: Any) -> Json:
    """Return what is asked of Anthropic for these messages."""
    return carried(CHAT_TO_MESSAGES, asking(messages=list(messages), **fields))


def turns(*messages: Json) -> list[Json]:
    """Return the turns for these messages."""
    made: list[Json] = asked(*messages)["messages"]
    return made


def user(*parts: Json) -> Json:
    return {"role": "user", "content": list(parts)}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def refusal(*messages: Json, **fields: Any) -> BadRequest:
    """Return how this is refused."""
    with pytest.raises(BadRequest) as refused:
        asked(*messages, **fields)
    return refused.value


def test_a_short_chat_becomes_a_message() -> None:
    assert carried(CHAT_TO_MESSAGES, asking()) == {
        "model": "some-model",
        "max_tokens": MOST_OUTPUT,
        "messages": [{"role": "user", "content": [text("Hello")]}],
    }


def test_instructions_go_to_the_front() -> None:
    made = asked(
        {"role": "system", "content": "Be brief."},
        *HELLO,
        {"role": "developer", "content": [text("Be kind.")]},
    )
    assert made["system"] == [text("Be brief."), text("Be kind.")]
    assert len(made["messages"]) == 1


def test_turns_of_one_side_in_a_row_become_one() -> None:
    made = turns(
        *HELLO, {"role": "user", "content": "again"}, {"role": "assistant", "content": "Hi"}
    )
    assert [turn["role"] for turn in made] == ["user", "assistant"]
    assert made[0]["content"] == [text("Hello"), text("again")]


def test_nothing_said_is_no_turn() -> None:
    made = turns(*HELLO, {"role": "assistant", "content": ""}, {"role": "user", "content": "?"})
    assert made == [{"role": "user", "content": [text("Hello"), text("?")]}]


@pytest.mark.parametrize("content", ["", []])
def test_a_chat_in_which_nothing_is_said_is_refused(content: Any) -> None:
    assert refusal({"role": "user", "content": content}).param == "messages"


def test_instructions_alone_are_refused() -> None:
    assert "at least one message" in refusal({"role": "system", "content": "Be brief."}).message


def test_images_travel_as_data_and_as_addresses() -> None:
    data = {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}
    address = {"type": "image_url", "image_url": "https://example.com/a.png"}
    assert turns(user(data, address))[0]["content"] == [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        },
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]


def test_a_pdf_becomes_a_document() -> None:
    made = turns(user({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}))
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    assert made[0]["content"] == [{"type": "document", "source": source, "title": "a.pdf"}]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}, ""),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "x"}},
            ".input_audio.format",
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, ".file.file_id"),
        ({"type": "file", "file": {"file_data": "data:text/csv;base64,YQ=="}}, ""),
        (
            {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}},
            ".image_url.url",
        ),
        ({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}, ".image_url.url"),
        ({"type": "video_url", "video_url": {"url": "https://example.com"}}, ".type"),
        ({"type": "text", "text": "a", "unheard_of": 1}, ".unheard_of"),
        ({"type": "text", "text": 1}, ".text"),
    ],
)
def test_parts_that_the_vendor_does_not_take_are_refused_by_name(part: Json, param: str) -> None:
    assert refusal(user(part)).param == f"messages[0].content[0]{param}"


def test_calls_and_their_results_keep_their_ids() -> None:
    calls = [CALL, CALL | {"id": "call_2"}]
    made = turns(
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "tool", "tool_call_id": "call_2", "content": [text("sun")]},
        {"role": "user", "content": "So?"},
    )
    used = {"type": "tool_use", "name": "weather", "input": {"city": "Bergen"}}
    assert made[1]["content"] == [used | {"id": "call_1"}, used | {"id": "call_2"}]
    assert made[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": [text("rain")]},
        {"type": "tool_result", "tool_use_id": "call_2", "content": [text("sun")]},
        text("So?"),
    ]


def test_ids_of_other_vendors_are_spelled_as_this_one_allows() -> None:
    call = CALL | {"id": "functions.weather:0"}
    result = {"role": "tool", "tool_call_id": "functions.weather:0", "content": ""}
    made = turns(*HELLO, {"role": "assistant", "tool_calls": [call]}, result)
    id_ = made[1]["content"][0]["id"]
    assert id_.startswith("functions_weather_0_")
    assert made[2]["content"] == [{"type": "tool_result", "tool_use_id": id_}]


def test_arguments_that_are_no_object_are_refused_by_name() -> None:
    call = CALL | {"function": {"name": "weather", "arguments": "[1]"}}
    refused = refusal(*HELLO, {"role": "assistant", "tool_calls": [call]})
    assert refused.param == "messages[1].tool_calls[0].function.arguments"


@pytest.mark.parametrize(
    "message", [{"role": "function", "name": "f", "content": ""}, {"role": ""}]
)
def test_messages_of_nobody_are_refused(message: Json) -> None:
    assert refusal(message).param == "messages[0].role"


def test_a_tool_becomes_the_vendors() -> None:
    tool = TOOL | {"description": "Tells the weather.", "strict": True, "parameters": SCHEMA}
    made = asked(*HELLO, tools=[{"type": "function", "function": tool}], model="claude-sonnet-4-5")
    assert made["tools"] == [
        {
            "name": "weather",
            "description": "Tells the weather.",
            "input_schema": SCHEMA,
            "strict": True,
        }
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "made"),
    [
        ("auto", None, None),
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", True, {"type": "any"}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            None,
            {"type": "tool", "name": "weather"},
        ),
    ],
)
def test_the_choice_of_tools_is_carried(choice: Any, parallel: bool | None, made: Any) -> None:
    fields = {"tools": TOOLS, "tool_choice": choice, "parallel_tool_calls": parallel}
    assert asked(*HELLO, **fields).get("tool_choice") == made


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "a"}}]}, "tools[0].type"),
        ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ({"tools": TOOLS, "tool_choice": "perhaps"}, "tool_choice"),
        ({"tools": TOOLS, "response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": JSON_TOOL}}]}, "tools"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"stop": [1]}, "stop"),
        ({"temperature": "hot"}, "temperature"),
        ({"user": 5}, "user"),
    ],
)
def test_what_can_not_be_carried_is_refused_by_name(fields: Json, param: str) -> None:
    assert refusal(*HELLO, **fields).param == param


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-5-20250929", "claude-opus-5", "claude-haiku-4-5"]
)
def test_a_schema_is_kept_to_by_the_vendor_where_it_can(model: str) -> None:
    made = asked(*HELLO, response_format=FORM, model=model, tools=TOOLS)
    assert made["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("model", "schema"),
    [
        ("claude-3-5-sonnet-20241022", SCHEMA),
        ("deepseek-chat", SCHEMA),
        ("claude-sonnet-4-5", OPEN),
    ],
)
def test_a_schema_is_kept_to_by_a_call_where_the_vendor_can_not(model: str, schema: Json) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    made = asked(*HELLO, response_format=form, model=model)
    assert made["tools"][0]["input_schema"] == schema
    assert made["tool_choice"] == {"type": "tool", "name": JSON_TOOL}


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("claude-3-7-sonnet-latest", "low", {"type": "enabled", "budget_tokens": 1024}),
        ("claude-sonnet-4-5", "medium", {"type": "enabled", "budget_tokens": 8192}),
        ("claude-opus-4-1", "high", {"type": "enabled", "budget_tokens": 12_288}),
        ("claude-opus-4-7", "high", {"type": "adaptive", "display": "summarized"}),
        ("claude-sonnet-5", "none", None),
    ],
)
def test_effort_becomes_thinking(model: str, effort: str, thinking: Any) -> None:
    made = asked(*HELLO, model=model, reasoning_effort=effort)
    assert made.get("thinking") == thinking


def test_newer_models_are_told_the_effort_itself() -> None:
    made = asked(*HELLO, model="claude-opus-4-7", reasoning_effort="xhigh", response_format=FORM)
    assert made["output_config"]["effort"] == "xhigh"
    assert made["output_config"]["format"]["schema"] == SCHEMA


@pytest.mark.parametrize(
    "fields", [{"max_tokens": 1024}, {"tools": TOOLS, "tool_choice": "required"}]
)
def test_nothing_is_thought_where_the_vendor_does_not_allow_it(fields: Json) -> None:
    assert "thinking" not in asked(*HELLO, reasoning_effort="low", **fields)


def test_with_a_budget_no_turn_that_answers_a_call_is_thought_about() -> None:
    called = {"role": "assistant", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}
    fields = {"reasoning_effort": "low", "tools": TOOLS}
    assert "thinking" not in asked(*HELLO, called, result, **fields)
    assert "thinking" in asked(*HELLO, called, result, model="claude-opus-4-6", **fields)


@pytest.mark.parametrize(
    ("model", "fields", "kept"),
    [
        ("claude-3-haiku-20240307", {"temperature": 0.5, "top_p": 1}, {"temperature": 0.5}),
        ("claude-3-haiku-20240307", {"temperature": 1.7, "top_p": 0.2}, {"top_p": 0.2}),
        ("claude-opus-4-7", {"temperature": 0.5, "top_p": 0.5}, {}),
        ("kimi-k2", {"temperature": 0.5}, {"temperature": 0.5}),
        ("claude-sonnet-4-5", {"temperature": 0.5, "reasoning_effort": "low"}, {}),
    ],
)
def test_settings_are_carried_to_models_that_have_them(
    model: str, fields: Json, kept: Json
) -> None:
    made = asked(*HELLO, model=model, **fields)
    assert {name: made[name] for name in ("temperature", "top_p") if name in made} == kept


def test_no_more_is_asked_for_than_the_model_can_write() -> None:
    assert asked(*HELLO, max_tokens=128_000)["max_tokens"] == MOST_OUTPUT


def test_of_two_limits_the_smaller_counts() -> None:
    assert asked(*HELLO, max_tokens=50, max_completion_tokens=40)["max_tokens"] == 40


def test_hints_for_the_cache_go_along() -> None:
    marked = {"cache_control": {"type": "ephemeral"}}
    made = asked(user(text("Hello") | marked), tools=[TOOLS[0] | marked])
    assert made["messages"][0]["content"] == [text("Hello") | marked]
    assert made["tools"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("mark", "written"), [({"type": "ephemeral"}, "5m"), ({"type": "ephemeral", "ttl": "1h"}, "1h")]
)
def test_what_may_be_written_into_the_cache_is_held_for(mark: Json, written: str) -> None:
    body = asking(messages=[user(text("Hello") | {"cache_control": mark})])
    assert facts_of(CHAT_TO_MESSAGES, json.dumps(body).encode()).cache_write == written
