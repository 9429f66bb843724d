"""OpenAI's chat clients on channels that speak Anthropic's messages: what is asked.

The answers are in `messages_as_chat.py`. What is carried over, left out and refused is told in
docs/concepts/translation.md.
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from relay.errors import BadRequest
from relay.protocols.base import RequestFacts
from relay.translate import model_names
from relay.translate.chat_conversation import Media, Message, Text, read_conversation
from relay.translate.chat_settings import (
    CHAT_FIELDS,
    Format,
    Tool,
    read_format,
    read_limit,
    read_stops,
    read_tool_choice,
    read_tools,
)
from relay.translate.given import CARRIED, Fate, Given, read_body
from relay.translate.schemas import is_plain

Json = dict[str, Any]

FIELDS: Mapping[str, Fate] = CHAT_FIELDS | {"thinking": CARRIED, "top_k": CARRIED}
"""Anthropic's own two are for clients who know whom they talk to."""

JSON_TOOL = "answer_in_json"
"""The tool whose call is the answer, where a model has no other way to keep to a form."""

LEAST_BUDGET_TOKENS = 1_024
_BUDGET_TOKENS = {
    "minimal": LEAST_BUDGET_TOKENS,
    "low": LEAST_BUDGET_TOKENS,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 31_999,
    "max": 31_999,
}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
_EFFORTS |= {"xhigh": "xhigh", "max": "max"}
_MODES = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def messages_request(body: bytes, facts: RequestFacts, *, most_output: int) -> bytes:
    """Return a chat's body as Anthropic's messages; see Translation."""
    request = read_body(body, FIELDS)
    conversation = read_conversation(request)
    model = request.text("model")
    made: Json = {
        "model": model,
        "max_tokens": min(read_limit(request) or most_output, most_output),
        "messages": _turns(conversation.messages),
    }
    if conversation.system:
        made["system"] = [_text_block(text) for text in conversation.system]
    if facts.stream:
        made["stream"] = True
    if stops := read_stops(request):
        made["stop_sequences"] = stops
    if request.has("top_k"):
        made["top_k"] = request.get("top_k")
    if user := request.text("user"):
        made["metadata"] = {"user_id": user}
    _add_tools(made, request)
    _add_form(made, request)
    _add_thinking(made, request, is_answering_tools=conversation.messages[-1].role == "tool")
    _add_sampling(made, request)
    return msgspec.json.encode(made)


def _turns(messages: Iterable[Message]) -> list[Json]:
    """Return the turns, those of one side in a row made one; nothing said is no turn."""
    turns: list[Json] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise BadRequest("Expected at least one message with content.", param="messages")
    return turns


def _blocks(message: Message) -> list[Json]:
    blocks = [
        _text_block(part) if isinstance(part, Text) else _media_block(part)
        for part in message.parts
    ]
    if message.role == "tool":
        result: Json = {"type": "tool_result", "tool_use_id": _tool_id(message.call_id)}
        return [result | {"content": blocks}] if blocks else [result]
    for call in message.calls:
        used = {"type": "tool_use", "id": _tool_id(call.id), "name": call.name}
        blocks.append(used | {"input": call.arguments})
    return blocks


def _text_block(part: Text) -> Json:
    block = {"type": "text", "text": part.text}
    return block | {"cache_control": part.cache_control} if part.cache_control else block


def _media_block(media: Media) -> Json:
    source: Json = {"type": "url", "url": media.url}
    if media.data:
        source = {"type": "base64", "media_type": media.mime_type, "data": media.data}
    if media.kind == "image" and (media.url or media.mime_type in _IMAGE_TYPES):
        return {"type": "image", "source": source}
    if media.kind == "file" and media.mime_type == "application/pdf":
        named = {"title": media.name} if media.name else {}
        return {"type": "document", "source": source, **named}
    raise BadRequest(
        "This model takes images (JPEG, PNG, GIF, WebP) and files in PDF only.", param=media.at
    )


def _tool_id(given: str) -> str:
    """Return an id as this vendor allows them, the same for the same one and for no other."""
    if not _NOT_IN_IDS.search(given):
        return given
    return f"{_NOT_IN_IDS.sub('_', given)}_{zlib.crc32(given.encode()):08x}"


def _add_tools(made: Json, request: Given) -> None:
    tools = read_tools(request)
    if not tools:
        return
    choice = read_tool_choice(request)
    wanted: Json = {"type": _MODES[choice.mode]}
    if choice.mode == "named":
        wanted["name"] = choice.name
    if request.flag("parallel_tool_calls") is False and choice.mode != "none":
        wanted["disable_parallel_tool_use"] = True
    keeps_to_schemas = model_names.keeps_to_schemas(made["model"])
    made["tools"] = [_tool(tool, may_be_strict=keeps_to_schemas) for tool in tools]
    if wanted != {"type": "auto"}:
        made["tool_choice"] = wanted
    if any(tool.name == JSON_TOOL for tool in tools):
        raise BadRequest(f"The name '{JSON_TOOL}' is taken.", param="tools")


def _tool(tool: Tool, *, may_be_strict: bool) -> Json:
    made: Json = {"name": tool.name, "input_schema": tool.schema}
    if tool.description:
        made["description"] = tool.description
    if tool.is_strict and may_be_strict and is_plain(tool.schema):
        made["strict"] = True
    if tool.cache_control:
        made["cache_control"] = tool.cache_control
    return made


def _add_form(made: Json, request: Given) -> None:
    """Ask for a form: by the vendor's structured outputs, else by a tool that must be called."""
    form = read_format(request)
    if form is None:
        return
    keeps_to_schemas = model_names.keeps_to_schemas(made["model"])
    if form.schema is not None and keeps_to_schemas and is_plain(form.schema):
        made["output_config"] = {"format": {"type": "json_schema", "schema": form.schema}}
        return
    if "tools" in made:
        why = "it can keep to a form or call tools, not both"
        raise request.lost("response_format", why)
    made["tools"] = [_json_tool(form)]
    made["tool_choice"] = {"type": "tool", "name": JSON_TOOL}


def _json_tool(form: Format) -> Json:
    any_object = {"type": "object", "properties": {}, "additionalProperties": True}
    return {
        "name": JSON_TOOL,
        "description": form.description or "Gives the answer, as the JSON object asked for.",
        "input_schema": any_object if form.schema is None else form.schema,
    }


def _add_thinking(made: Json, request: Given, *, is_answering_tools: bool) -> None:
    """Have the model think, as far as the vendor allows it here.

    A call that must be made excludes thinking. With a budget, the turn that goes on after a call
    would have to repeat the thinking before it, which no chat has kept.
    """
    if request.has("thinking"):
        made["thinking"] = request.object("thinking").members
        return
    effort = request.text("reasoning_effort")
    if not effort:
        return
    if effort != "none" and effort not in _EFFORTS:
        raise request.lost("reasoning_effort")
    is_forced = made.get("tool_choice", {}).get("type") in ("any", "tool")
    if effort == "none" or is_forced:
        return
    if model_names.claude_thinking(made["model"]) == "effort":
        made["thinking"] = {"type": "adaptive", "display": "summarized"}
        made["output_config"] = made.get("output_config", {}) | {"effort": _EFFORTS[effort]}
        return
    # The limit is for both; a quarter of it at least is for what is said.
    budget = min(_BUDGET_TOKENS[effort], made["max_tokens"] * 3 // 4)
    if budget >= LEAST_BUDGET_TOKENS and not is_answering_tools:
        made["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _add_sampling(made: Json, request: Given) -> None:
    """Add what is not the default; thinking, and newer models, have no such settings."""
    temperature, top_p = request.number("temperature"), request.number("top_p")
    is_thinking = made.get("thinking", {}).get("type") in ("enabled", "adaptive")
    if is_thinking or not model_names.takes_sampling(made["model"]):
        return
    if temperature is not None and temperature < 1:
        made["temperature"] = temperature
    if top_p is not None and top_p != 1:
        made["top_p"] = top_p
