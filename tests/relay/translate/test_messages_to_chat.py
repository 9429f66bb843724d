"""What a request of Anthropic's clients asks of OpenAI's chats."""

from typing import Any

import pytest

from relay.errors import BadRequest
from relay.translate import MESSAGES_TO_CHAT
from relay.translate.messages_conversation import REASONING
from tests.relay.translate.carrying import HELLO, MOST_OUTPUT, Json, asking, carried

SCHEMA = {"type": "object", "properties": {}}
TOOL = {"name": "weather", "description": "Tells the weather.", "input_schema": SCHEMA}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
USED = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bergen"}}
CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def asked(*messages: Json, **fields: Any) -> Json:
    """Return what is asked of OpenAI for these messages."""
    body = asking(messages=list(messages or HELLO), max_tokens=100) | fields
    return carried(MESSAGES_TO_CHAT, body)


def turns(*messages: Json) -> list[Json]:
    """Return the messages of the chat for these."""
    made: list[Json] = asked(*messages)["messages"]
    return made


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def result(content: Any = "rain", **fields: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **fields}


def refusal(*messages: Json, **fields: Any) -> BadRequest:
    """Return how this is refused."""
    with pytest.raises(BadRequest) as refused:
        asked(*messages, **fields)
    return refused.value


def test_a_short_message_becomes_a_chat() -> None:
    assert asked() == {"model": "some-model", "messages": HELLO, "max_tokens": 100}


def test_a_stream_is_asked_for_its_usage() -> None:
    made = asked(stream=True)
    assert (made["stream"], made["stream_options"]) == (True, {"include_usage": True})


@pytest.mark.parametrize("system", ["Be brief.", [text("Be brief.") | CACHED]])
def test_the_system_comes_first(system: Any) -> None:
    assert asked(system=system)["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_system_of_several_blocks_is_one_text() -> None:
    made = asked(system=[text("Be brief."), text("Be kind.")])
    assert made["messages"][0]["content"] == "Be brief.\n\nBe kind."


def test_what_claude_code_says_to_the_vendors_books_stays_here() -> None:
    header = text("x-anthropic-billing-header: cc_version=2.1.197.94e; cc_entrypoint=cli;")
    made = asked(system=[header, text("You are a tool.")])
    assert made["messages"][0]["content"] == "You are a tool."


def test_instructions_between_the_turns_stay_there() -> None:
    made = turns(*HELLO, {"role": "system", "content": "Be brief."}, *HELLO)
    assert [message["role"] for message in made] == ["user", "system", "user"]


def test_models_that_want_the_newer_limit_get_it() -> None:
    made = asked(model="gpt-5.1", max_tokens=50)
    assert made["max_completion_tokens"] == 50
    assert "max_tokens" not in made


def test_no_more_is_asked_for_than_the_model_can_write() -> None:
    assert asked(max_tokens=32_000)["max_tokens"] == MOST_OUTPUT


def test_an_image_stands_in_the_turn() -> None:
    address = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    assert turns(user(text("Look"), IMAGE | CACHED, address))[0]["content"] == [
        text("Look"),
        SHOWN,
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


def test_a_pdf_becomes_a_file() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    made = turns(user({"type": "document", "source": source, "title": "a.pdf", "context": "Old."}))
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
    assert made[0]["content"] == [text("Old."), {"type": "file", "file": file}]


def test_a_document_of_text_is_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "words"}
    made = turns(user({"type": "document", "source": source, "title": "Title"}, text("Sum up.")))
    assert made[0]["content"] == "Title\n\nwords\n\nSum up."


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "document", "source": {"type": "url", "url": "https://a"}}, "source.type"),
        ({"type": "document", "source": {"type": "file", "file_id": "a"}}, "source.type"),
        ({"type": "image", "source": {"type": "file", "file_id": "a"}}, "source.type"),
        ({"type": "image", "source": {"type": "base64"}}, "source.media_type"),
        ({"type": "search_result", "content": []}, "type"),
        ({"type": "container_upload", "file_id": "a"}, "type"),
        ({"type": "text", "text": "a", "unheard_of": 1}, "unheard_of"),
    ],
)
def test_blocks_that_a_chat_can_not_hold_are_refused_by_name(block: Json, param: str) -> None:
    assert refusal(user(block)).param == f"messages[0].content[0].{param}"


def test_a_call_and_its_result_keep_their_id() -> None:
    made = turns(*HELLO, assistant(text("Let me see."), USED), user(result(), text("So?")))
    function = {"name": "weather", "arguments": '{"city":"Bergen"}'}
    called = [{"id": "toolu_1", "type": "function", "function": function}]
    assert made[1:] == [
        {"role": "assistant", "content": "Let me see.", "tool_calls": called},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "rain"},
        {"role": "user", "content": "So?"},
    ]


def test_results_go_before_what_the_user_says() -> None:
    second = result() | {"tool_use_id": "toolu_2"}
    made = turns(
        *HELLO, assistant(USED, USED | {"id": "toolu_2"}), user(text("So?"), result(), second)
    )
    assert [message["role"] for message in made[2:]] == ["tool", "tool", "user"]


def test_images_of_a_result_follow_in_the_users_turn() -> None:
    made = turns(*HELLO, assistant(USED), user(result([IMAGE]), text("So?")))
    assert made[2]["content"] == "The result is shown in the next message."
    assert made[3]["content"] == [text("Of the result of toolu_1:"), SHOWN, text("So?")]


def test_a_result_that_is_an_error_says_so() -> None:
    made = turns(*HELLO, assistant(USED), user(result("no such city", is_error=True)))
    assert made[2]["content"] == "Error: no such city"


def test_an_empty_result_is_still_one() -> None:
    made = turns(*HELLO, assistant(USED), user(result(None)))
    assert made[2] == {"role": "tool", "tool_call_id": "toolu_1", "content": ""}


def test_thinking_of_past_turns_is_left_out() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "of the vendor"}
    hidden = {"type": "redacted_thinking", "data": "abc"}
    made = turns(*HELLO, assistant(thought, hidden, text("Hi.")), *HELLO)
    assert made[1] == {"role": "assistant", "content": "Hi."}


def test_reasoning_of_a_chat_goes_back_with_its_calls() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": REASONING}
    made = turns(*HELLO, assistant(thought, USED), user(result()))
    assert made[1]["reasoning_content"] == "Hm."
    assert made[1]["content"] is None


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([*HELLO, {"role": "assistant", "content": "{"}], "messages"),
        ([{"role": "tool", "content": "a"}], "messages[0].role"),
        ([assistant({"type": "server_tool_use"}), *HELLO], "messages[0].content[0].type"),
        ([user({"type": "tool_result", "content": "a"})], "messages[0].content[0].tool_use_id"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
    ],
)
def test_turns_that_a_chat_does_not_have_are_refused(messages: list[Json], param: str) -> None:
    assert refusal(*messages).param == param


def test_a_tool_becomes_a_function() -> None:
    schema = SCHEMA | {"required": [], "additionalProperties": False}
    tool = TOOL | CACHED | {"type": "custom", "strict": True, "input_schema": schema}
    function = {"name": "weather", "description": "Tells the weather.", "parameters": schema}
    made = [{"type": "function", "function": function | {"strict": True}}]
    assert asked(tools=[tool])["tools"] == made


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "bash_20250124", "name": "bash"},
    ],
)
def test_tools_of_the_vendors_own_are_refused_in_plain_words(tool: Json) -> None:
    refused = refusal(tools=[TOOL, tool])
    assert refused.param == "tools[1].type"
    assert "not available here" in refused.message


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "a"}, {"type": "function", "function": {"name": "a"}}),
    ],
)
def test_the_choice_of_tools_is_carried(choice: Json, made: Any) -> None:
    assert asked(tools=[TOOL], tool_choice=choice)["tool_choice"] == made


def test_one_call_at_a_time_can_be_asked_for() -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert asked(tools=[TOOL], tool_choice=choice)["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        ({"type": "object", "properties": {}, "required": [], "additionalProperties": False}, True),
        ({"properties": {"a": {}}, "required": ["a", []], "additionalProperties": False}, True),
        ({"properties": {"a": {}}, "required": 5, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {}}, False),
        ({"anyOf": [{"type": "object", "properties": {}}]}, False),
        ({"type": "array", "items": {"type": "string"}}, True),
    ],
)
@pytest.mark.parametrize("at", ["output_config", "output_format"])
def test_a_schema_is_strict_where_openai_takes_it_so(
    at: str, schema: Json, is_strict: bool
) -> None:
    form = {"type": "json_schema", "schema": schema}
    made = asked(**{at: {"format": form} if at == "output_config" else form})["response_format"]
    assert made["json_schema"] == {"name": "answer", "schema": schema, "strict": is_strict}


@pytest.mark.parametrize(
    ("model", "fields", "effort"),
    [
        ("o3", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ("gpt-5", {"thinking": {"type": "enabled", "budget_tokens": 8000}}, "medium"),
        ("gpt-5", {"thinking": {"type": "enabled", "budget_tokens": 31_999}}, "high"),
        ("gpt-5", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "high"),
        ("gpt-5", {"thinking": {"type": "disabled"}}, None),
        ("gpt-4o", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None),
        ("deepseek-chat", {"output_config": {"effort": "low"}}, None),
        ("gpt-5.6-terra", {"output_config": {"effort": "low"}, "tools": [TOOL]}, "none"),
        ("gpt-5.6-terra", {"tools": [TOOL]}, "none"),
        ("gpt-5", {"output_config": {"effort": "low"}, "tools": [TOOL]}, "low"),
    ],
)
def test_leave_to_think_becomes_effort_for_models_that_know_it(
    model: str, fields: Json, effort: str | None
) -> None:
    assert asked(model=model, **fields).get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop_sequences": list("abcde")}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"tools": [TOOL], "tool_choice": {"type": "perhaps"}}, "tool_choice.type"),
        ({"tools": [TOOL | {"allowed_callers": ["code"]}]}, "tools[0].allowed_callers"),
        ({"tools": [TOOL | {"input_examples": [{}]}]}, "tools[0].input_examples"),
        ({"output_config": {"task_budget": {}}}, "output_config.task_budget"),
        ({"output_format": {"type": "grammar"}}, "output_format.type"),
    ],
)
def test_what_can_not_be_carried_is_refused_by_name(fields: Json, param: str) -> None:
    assert refusal(**fields).param == param


def test_a_turn_of_claude_code_is_carried() -> None:
    made = asked(
        user(text("<system-reminder>now</system-reminder>"), text("List the files.") | CACHED),
        system=[text("You are a tool."), text("Be brief.") | CACHED],
        tools=[TOOL],
        thinking={"type": "enabled", "budget_tokens": 31_999},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        metadata={"user_id": '{"session_id": "abc"}'},
        temperature=1,
        stream=True,
    )
    assert set(made) == {"model", "messages", "max_tokens", "stream", "stream_options", "tools"}
