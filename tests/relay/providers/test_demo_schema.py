"""The demo fills forms: its values fit the schemas that tools and answers come with."""

import json
from typing import Any

import jsonschema
import pytest

from relay.protocols.openai import CHAT
from relay.providers.demo_schema import sample
from tests.relay.providers.test_demo import answer, events

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]


@pytest.mark.parametrize(
    "schema",
    [
        WEATHER,
        {"type": "array", "items": {"enum": ["a", "b"]}},
        {"$defs": {"P": WEATHER}, "type": "array", "items": {"$ref": "#/$defs/P"}},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {"type": ["integer", "null"]},
        {"const": 7},
        {"type": "object", "properties": {"deep": {"type": "object", "properties": {}}}},
    ],
)
def test_a_value_fits_its_schema(schema: Any) -> None:
    jsonschema.validate(sample(schema), schema)


def test_a_schema_that_refers_to_itself_comes_to_an_end() -> None:
    schema = {"$defs": {"n": {"properties": {"n": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}
    assert json.dumps(sample(schema))


async def test_a_tool_is_called_with_arguments_that_fit() -> None:
    found = await answer(CHAT, "Weather? [demo tool]", tools=TOOLS)
    [choice] = found["choices"]
    [call] = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], call["function"]["name"]) == ("tool_calls", "weather")
    jsonschema.validate(json.loads(call["function"]["arguments"]), WEATHER)


async def test_a_streamed_call_is_the_same_in_pieces() -> None:
    chunks = [json.loads(e[6:]) for e in await events("[demo tool]", tools=TOOLS) if b"{" in e]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    calls = [delta["tool_calls"][0] for delta in deltas if delta.get("tool_calls")]
    arguments = "".join(call["function"]["arguments"] for call in calls)
    assert calls[0]["id"] and json.loads(arguments) == sample(WEATHER)


async def test_what_a_tool_has_said_is_answered_in_words() -> None:
    messages = [
        {"role": "user", "content": "Weather? [demo tool]"},
        {"role": "tool", "tool_call_id": "call_demo", "content": "sunny"},
    ]
    found = await answer(CHAT, messages=messages, tools=TOOLS)
    assert found["choices"][0]["message"]["content"]


async def test_a_structured_answer_fits_its_schema() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER}}
    found = await answer(CHAT, response_format=form)
    jsonschema.validate(json.loads(found["choices"][0]["message"]["content"]), WEATHER)
