"""What is read from a request for a response, and what each cost driver does to the bound."""

import base64
from typing import Any

import pytest

from relay.errors import BadRequest
from relay.protocols.base import UNSEEN_TOKENS, Asked
from relay.protocols.responses import RESPONSES
from relay.protocols.responses_request import KEPT_TOKENS
from tests.relay.protocols.responses import asked, facts_of, message

PICTURE = "data:image/png;base64," + base64.b64encode(bytes(9_000)).decode()


def refused(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as refusal:
        facts_of(**fields)
    return refusal.value


def test_text_is_bounded_by_all_bytes() -> None:
    facts = facts_of(instructions="Be short", stream=True, max_output_tokens=50)
    body = asked(instructions="Be short", stream=True, max_output_tokens=50)
    assert (facts.model, facts.stream, facts.output_limit) == ("gpt-5", True, 50)
    assert (facts.text_bytes, facts.messages, facts.files) == (len(body), 1, 0)


def test_a_picture_counts_as_one_and_not_as_text() -> None:
    facts = facts_of(input=[message({"type": "input_image", "image_url": PICTURE})])
    assert (facts.images, facts.messages) == (1, 1)
    assert facts.image_bytes > 12_000 > 200 > facts.text_bytes


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "input_image", "file_id": "file-1"}, "images"),
        ({"type": "input_file", "file_data": "data:application/pdf;base64,AAAA"}, "files"),
        ({"type": "input_file", "file_url": "https://files.example/a.pdf"}, "files"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "audio"),
    ],
)
def test_what_is_no_text_is_counted_by_kind(part: dict[str, Any], kind: str) -> None:
    facts = facts_of(input=[message(part)])
    assert {name: getattr(facts, name) for name in ("images", "files", "audio")} == {
        "images": 0,
        "files": 0,
        "audio": 0,
    } | {kind: 1}


def test_pictures_in_outputs_of_tools_count_too() -> None:
    shot = {"type": "computer_screenshot", "image_url": PICTURE}
    items = [
        {"type": "computer_call_output", "call_id": "call_1", "output": shot},
        {"type": "function_call_output", "call_id": "call_2", "output": [shot]},
        {"type": "image_generation_call", "id": "ig_1", "result": "AAAA"},
        {"type": "function_call_output", "call_id": "call_3", "output": "sunny"},
    ]
    assert facts_of(input=items).images == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1"}},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
    ],
)
def test_what_the_upstream_keeps_is_held_by_a_figure(fields: dict[str, Any]) -> None:
    facts = facts_of(**fields)
    assert (facts.files, facts.file_bytes) == (1, KEPT_TOKENS)


def test_a_previous_response_decides_the_channel() -> None:
    facts = facts_of(previous_response_id="resp_1")
    assert (facts.bound_to, facts.conversation) == ("resp_1", "resp_1")


def test_a_conversation_decides_the_channel() -> None:
    assert facts_of(conversation="conv_1").bound_to == "conv_1"
    assert facts_of(conversation={"id": "conv_1"}).bound_to == "conv_1"


def test_the_key_of_a_prompt_cache_names_the_conversation() -> None:
    facts = facts_of(prompt_cache_key="thread-1", previous_response_id="resp_1")
    assert (facts.conversation, facts.bound_to) == ("thread-1", "resp_1")


def test_tools_that_search_are_counted_wherever_they_stand() -> None:
    inner = {"type": "namespace", "name": "more", "tools": [{"type": "web_search_preview"}]}
    tools = [{"type": "web_search"}, {"type": "function", "name": "f"}, inner]
    assert facts_of(tools=tools).searches == 2
    assert facts_of(tools=None).searches == 0


def test_tools_that_cost_something_are_counted() -> None:
    drawing = {"type": "image_generation", "quality": "high"}
    shell = {"type": "shell", "environment": {"type": "local"}}
    tools = [drawing, {"type": "namespace", "tools": [drawing]}, {"type": "file_search"}, shell]
    facts = facts_of(tools=tools)
    assert (facts.drawings, facts.searches) == (2, 1)


@pytest.mark.parametrize("part", [{"file_url": "https://example.com/a.pdf"}, {"file_id": "file-1"}])
def test_a_file_that_lies_elsewhere_is_held_by_a_figure(part: dict[str, Any]) -> None:
    facts = facts_of(input=[message({"type": "input_file"} | part)])
    assert (facts.files, facts.file_bytes) == (1, UNSEEN_TOKENS)


@pytest.mark.parametrize(("store", "keeps"), [(None, True), (True, True), (False, False)])
def test_a_response_is_kept_unless_the_client_objects(store: bool | None, keeps: bool) -> None:
    assert facts_of(store=store).keeps is keeps


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"input": 3}, "input"),
        ({"input": [3]}, "input[0]"),
        ({"tools": "all"}, "tools"),
        ({"tools": [{"type": "namespace", "tools": 1}]}, "tools"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools"),
        ({"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "tools"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"conversation": 1}, "conversation"),
        ({"previous_response_id": "x" * 300}, "previous_response_id"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"gpt-5","model":"gpt-4","input":"hi"}',
        b'{"model":"gpt-5","Max_Output_Tokens":9,"input":"hi"}',
    ],
)
def test_a_member_open_to_two_readings_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        RESPONSES.dialect.read(RESPONSES, Asked(body))


def test_unknown_fields_pass() -> None:
    facts = facts_of(client_metadata={"x": "y"}, include=["reasoning.encrypted_content"])
    assert facts.model == "gpt-5"


def rewritten(body: bytes, *, served: str = "gpt-5", output_limit: int | None = None) -> bytes:
    facts = RESPONSES.dialect.read(RESPONSES, Asked(body))
    return RESPONSES.dialect.rewritten(
        body, facts, served=served, output_limit=output_limit, limit_field="max_tokens"
    )


def test_a_body_that_need_not_change_does_not() -> None:
    body = asked(stream=True, max_output_tokens=50)
    assert rewritten(body) is body


def test_the_model_is_replaced_where_it_stands() -> None:
    body = asked(input=[message({"type": "input_text", "text": '"model":"gpt-5"'})])
    assert rewritten(body, served="deployed") == body.replace(b'"gpt-5"', b'"deployed"', 1)


def test_a_limit_is_added_under_its_only_name() -> None:
    assert rewritten(asked(), output_limit=40) == asked(max_output_tokens=40)


def test_a_limit_is_lowered_but_never_raised() -> None:
    assert rewritten(asked(max_output_tokens=90), output_limit=40) == asked(max_output_tokens=40)
    assert rewritten(asked(max_output_tokens=9), output_limit=40) == asked(max_output_tokens=9)
    assert rewritten(asked(max_output_tokens=None), output_limit=40) == asked(max_output_tokens=40)


def test_the_prompt_is_every_text_that_the_model_reads() -> None:
    items = [
        message({"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "x"}),
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
    ]
    tools = [{"type": "function", "name": "f"}]
    texts = RESPONSES.dialect.prompt(asked(instructions="Be short", input=items, tools=tools))
    assert texts == ["Be short", "Look", "f", "{}", "sunny", '[{"type":"function","name":"f"}]']
