"""What a chat asks of Gemini."""

from typing import Any

import pytest

from relay.errors import BadRequest
from relay.translate import CHAT_TO_GEMINI
from relay.translate.chat_to_gemini import UNSIGNED
from tests.relay.translate.carrying import HELLO, TOOL, Json, asking, carried

TOOLS = [{"type": "function", "function": TOOL}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def call(id_: str, name: str = "weather", **fields: Any) -> Json:
    function = {"name": name, "arguments": '{"city": "Bergen"}'}
    return {"id": id_, "type": "function", "function": function, **fields}


def result(id_: str, content: Any = "rain") -> Json:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def asked(*messages: Json, **fields: Any) -> Json:
    """Return what is asked of Gemini for these messages."""
    return carried(CHAT_TO_GEMINI, asking(messages=list(messages or HELLO), **fields))


def contents(*messages: Json, model: str = "gemini-2.5-flash") -> list[Json]:
    made: list[Json] = asked(*messages, model=model)["contents"]
    return made


def config(**fields: Any) -> Json:
    return dict(asked(**fields).get("generationConfig", {}))


def refusal(*messages: Json, **fields: Any) -> BadRequest:
    """Return how this is refused."""
    with pytest.raises(BadRequest) as refused:
        asked(*messages, **fields)
    return refused.value


def test_a_short_chat_becomes_contents() -> None:
    assert asked(stream=True) == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def test_instructions_stand_apart() -> None:
    made = asked({"role": "system", "content": "Be brief."}, *HELLO)
    assert made["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert len(made["contents"]) == 1


def test_the_assistant_is_the_model() -> None:
    made = contents(*HELLO, {"role": "assistant", "content": "Hi"}, *HELLO, *HELLO)
    assert [content["role"] for content in made] == ["user", "model", "user"]
    assert made[2]["parts"] == [{"text": "Hello"}, {"text": "Hello"}]


@pytest.mark.parametrize(
    ("part", "mime_type"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/webp;base64,AA=="}}, "image/webp"),
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}, "audio/mpeg"),
        ({"type": "file", "file": {"file_data": "data:text/csv;base64,AA=="}}, "text/csv"),
    ],
)
def test_media_travel_inside(part: Json, mime_type: str) -> None:
    made = contents({"role": "user", "content": [part]})
    assert made[0]["parts"] == [{"inlineData": {"mimeType": mime_type, "data": "AA=="}}]


def test_images_by_address_are_refused() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    refused = refusal({"role": "user", "content": [part]})
    assert refused.param == "messages[0].content[0].image_url.url"


def test_results_go_back_in_the_order_of_their_calls() -> None:
    calls = [call("call_1"), call("call_2", "time")]
    made = contents(
        *HELLO,
        {"role": "assistant", "tool_calls": calls},
        result("call_2", '{"hour": 5}'),
        result("call_1"),
    )
    assert [part["functionCall"]["name"] for part in made[1]["parts"]] == ["weather", "time"]
    assert made[2]["parts"] == [
        {"functionResponse": {"name": "weather", "response": {"output": "rain"}}},
        {"functionResponse": {"name": "time", "response": {"hour": 5}}},
    ]


def test_ids_go_back_to_models_that_give_them() -> None:
    called = {"role": "assistant", "tool_calls": [call("abc"), call("made_r1_1")]}
    made = contents(*HELLO, called, result("abc"), result("made_r1_1"), model="gemini-3-pro")
    assert [part["functionCall"].get("id") for part in made[1]["parts"]] == ["abc", None]
    assert [part["functionResponse"].get("id") for part in made[2]["parts"]] == ["abc", None]


@pytest.mark.parametrize("content", ["[1]", "5", '{"a": ', "", "{rain}"])
def test_a_result_that_is_no_object_is_put_into_one(content: str) -> None:
    made = contents(*HELLO, {"role": "assistant", "tool_calls": [call("a")]}, result("a", content))
    assert made[2]["parts"][0]["functionResponse"]["response"] == {"output": content}


def test_a_result_without_its_call_is_refused() -> None:
    assert refusal(*HELLO, result("call_1")).param == "messages[1].tool_call_id"


def test_an_image_as_a_result_is_refused() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    called = {"role": "assistant", "tool_calls": [call("a")]}
    assert (
        refusal(*HELLO, called, result("a", [part])).param == "messages[2].content[0].image_url.url"
    )


def test_signatures_go_back_with_their_calls() -> None:
    signed = call("a", extra_content={"google": {"thought_signature": "abc"}})
    made = contents(*HELLO, {"role": "assistant", "tool_calls": [signed]}, result("a"))
    assert made[1]["parts"][0]["thoughtSignature"] == "abc"


@pytest.mark.parametrize(
    ("model", "signatures"),
    [("gemini-3-pro-preview", [UNSIGNED, None]), ("gemini-2.5-flash", [None, None])],
)
def test_the_first_of_unsigned_calls_says_so_to_models_that_ask(
    model: str, signatures: list[str | None]
) -> None:
    called = {"role": "assistant", "tool_calls": [call("a"), call("b")]}
    made = contents(*HELLO, called, result("a"), result("b"), model=model)
    assert [part.get("thoughtSignature") for part in made[1]["parts"]] == signatures


def test_functions_are_declared_with_their_schema() -> None:
    tool = TOOL | {"description": "Tells the weather.", "strict": True}
    made = asked(tools=[{"type": "function", "function": tool}])
    declared = {
        "name": "weather",
        "description": "Tells the weather.",
        "parametersJsonSchema": TOOL["parameters"],
    }
    assert made["tools"] == [{"functionDeclarations": [declared]}]
    assert "toolConfig" not in made


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_the_choice_of_tools_is_carried(choice: Any, calling: Json) -> None:
    made = asked(tools=TOOLS, tool_choice=choice)
    assert made["toolConfig"] == {"functionCallingConfig": calling}


@pytest.mark.parametrize("choice", [None, "auto", "required"])
def test_a_model_that_may_make_several_calls_is_not_told_to_make_one(choice: Any) -> None:
    refused = refusal(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert refused.param == "parallel_tool_calls"


@pytest.mark.parametrize("choice", ["none", {"type": "function", "function": {"name": "weather"}}])
def test_where_one_call_is_named_no_others_are_feared(choice: Any) -> None:
    made = asked(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert made["toolConfig"]["functionCallingConfig"]["mode"] in ("NONE", "ANY")


def test_settings_have_other_names() -> None:
    made = config(
        temperature=0.5, top_p=0.9, max_tokens=50, stop="END", n=2, seed=1, presence_penalty=0.1
    )
    assert made == {
        "temperature": 0.5,
        "topP": 0.9,
        "maxOutputTokens": 50,
        "stopSequences": ["END"],
        "candidateCount": 2,
        "seed": 1,
        "presencePenalty": 0.1,
    }


def test_forms_are_asked_for_in_the_vendors_way() -> None:
    json = {"responseMimeType": "application/json"}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    assert config(response_format={"type": "json_object"}) == json
    assert config(response_format=form) == json | {"responseJsonSchema": SCHEMA}
    assert config(response_format={"type": "text"}) == {}


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "minimal", {"includeThoughts": True, "thinkingBudget": 1024}),
        ("gemini-2.5-pro", "medium", {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-2.5-pro", "xhigh", {"includeThoughts": True, "thinkingBudget": 24576}),
        ("gemini-3-flash-preview", "none", {"thinkingLevel": "minimal"}),
        ("gemini-3.1-pro", "high", {"includeThoughts": True, "thinkingLevel": "high"}),
    ],
)
def test_effort_becomes_thinking(model: str, effort: str, thinking: Json) -> None:
    assert config(model=model, reasoning_effort=effort)["thinkingConfig"] == thinking
