"""What a request for a response asks of OpenAI's chats."""

from typing import Any

import pytest

from relay.errors import BadRequest
from relay.translate import RESPONSES_TO_CHAT
from relay.translate.responses_conversation import REASONING
from tests.relay.translate.carrying import TOOL, Json, asking, carried

PNG = "data:image/png;base64,AA=="
SHOWN = {"type": "image_url", "image_url": {"url": PNG}}
FUNCTION = {"type": "function", **TOOL}
SCHEMA = {"type": "object", "properties": {}}


def asked(*items: Any, **fields: Any) -> Json:
    """Return what is asked of a chat for these items."""
    return carried(RESPONSES_TO_CHAT, asking(input=list(items) or "Hello", **fields))


def messages(*items: Json) -> list[Json]:
    made: list[Json] = asked(*items)["messages"]
    return made


def user(*parts: Json) -> Json:
    return {"type": "message", "role": "user", "content": list(parts)}


def text(words: str) -> Json:
    return {"type": "input_text", "text": words}


def call(call_id: str = "call_1", **fields: Any) -> Json:
    return {
        "type": "function_call",
        "call_id": call_id,
        "name": "weather",
        "arguments": "{}",
    } | fields


def output(value: Any, call_id: str = "call_1") -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def refusal(*items: Json, **fields: Any) -> BadRequest:
    """Return how this is refused."""
    with pytest.raises(BadRequest) as refused:
        asked(*items, **fields)
    return refused.value


def test_a_short_request_becomes_a_chat() -> None:
    made = asked(instructions="Be brief.", max_output_tokens=50)
    assert made == {
        "model": "some-model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ],
        "max_tokens": 50,
    }


def test_messages_keep_their_order_and_roles() -> None:
    said = {"type": "output_text", "text": "Hi", "annotations": []}
    made = messages(
        {"role": "developer", "content": "Be kind."},
        user(text("Hello")),
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [said],
        },
    )
    assert made == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
    ]


def test_images_and_files_stand_in_the_turn() -> None:
    image = {"type": "input_image", "image_url": PNG, "detail": "auto"}
    file = {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": "data:application/pdf;base64,AA==",
    }
    made = messages(user(text("Look"), image, file))[0]["content"]
    assert made[:2] == [{"type": "text", "text": "Look"}, SHOWN]
    assert made[2]["file"]["filename"] == "a.pdf"


def test_calls_of_a_turn_are_one_message_and_results_follow() -> None:
    made = messages(
        user(text("Weather?")),
        call(),
        call("call_2"),
        output("rain"),
        output([text("sun"), {"type": "input_image", "image_url": PNG}], "call_2"),
        user(text("So?")),
    )
    assert [one["role"] for one in made] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert [one["id"] for one in made[1]["tool_calls"]] == ["call_1", "call_2"]
    assert [one["content"] for one in made[2:4]] == ["rain", "sun"]
    assert made[4]["content"] == [{"type": "text", "text": "Of the result of call_2:"}, SHOWN]


def test_reasoning_of_a_chat_goes_back_with_its_calls() -> None:
    summary = [{"type": "summary_text", "text": "Hm."}]
    ours = {"type": "reasoning", "summary": summary, "encrypted_content": REASONING}
    made = messages(user(text("Hello")), ours, call(), output("rain"))
    assert made[1]["reasoning_content"] == "Hm."


def test_reasoning_of_the_vendor_is_left_out() -> None:
    theirs = {"type": "reasoning", "summary": [], "encrypted_content": "sealed"}
    assert messages(user(text("Hello")), theirs) == [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "item_reference", "id": "a"}, "input[0].type"),
        ({"type": "web_search_call", "id": "a"}, "input[0].type"),
        ({"type": "custom_tool_call", "call_id": "a"}, "input[0].type"),
        ({"role": "narrator", "content": "a"}, "input[0].role"),
        (user({"type": "input_image", "file_id": "a"}), "input[0].content[0].file_id"),
        (user({"type": "input_audio"}), "input[0].content[0].type"),
        (call(name=""), "input[0].name"),
    ],
)
def test_items_that_a_chat_can_not_hold_are_refused_by_name(item: Json, param: str) -> None:
    assert refusal(item).param == param


def test_functions_of_a_namespace_tell_it_in_their_names() -> None:
    space = {
        "type": "namespace",
        "name": "files",
        "description": "About files.",
        "tools": [FUNCTION],
    }
    made = asked(user(text("a")), call(namespace="files"), output("b"), tools=[space, FUNCTION])
    assert [tool["function"]["name"] for tool in made["tools"]] == ["files--weather", "weather"]
    assert made["tools"][0]["function"]["description"] == "About files."
    assert made["messages"][1]["tool_calls"][0]["function"]["name"] == "files--weather"


def test_a_search_that_is_only_offered_is_left_out() -> None:
    made = asked(tools=[FUNCTION, {"type": "web_search", "external_web_access": False}])
    assert [tool["function"]["name"] for tool in made["tools"]] == ["weather"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tools[0].type"),
        ({"tools": [{"type": "custom", "name": "apply_patch"}]}, "tools[0].type"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"tools": [FUNCTION], "tool_choice": "perhaps"}, "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"reasoning": {"unheard_of": 1}}, "reasoning.unheard_of"),
    ],
)
def test_what_can_not_be_carried_is_refused_by_name(fields: Json, param: str) -> None:
    assert refusal(**fields).param == param


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "function", "name": "a"}, {"type": "function", "function": {"name": "a"}}),
    ],
)
def test_the_choice_of_tools_is_carried(choice: Any, made: Any) -> None:
    assert asked(tools=[FUNCTION], tool_choice=choice)["tool_choice"] == made


def test_a_form_is_asked_for_where_chats_have_it() -> None:
    form = {"type": "json_schema", "name": "answer", "strict": True, "schema": SCHEMA}
    made = asked(text={"format": form, "verbosity": "low"})
    assert made["response_format"]["json_schema"] == {
        "name": "answer",
        "schema": SCHEMA,
        "strict": True,
    }
    assert made["verbosity"] == "low"


@pytest.mark.parametrize(
    ("model", "tools", "effort"),
    [
        ("o3", [], "high"),
        ("claude-opus-5", [], "high"),
        ("deepseek-chat", [], None),
        ("gpt-5.6-terra", [FUNCTION], "none"),
    ],
)
def test_effort_goes_to_models_that_know_it(model: str, tools: list[Json], effort: Any) -> None:
    made = asked(model=model, tools=tools, reasoning={"effort": "high", "summary": "auto"})
    assert made.get("reasoning_effort") == effort
