"""OpenAI's chat clients on channels that speak Gemini's own protocol: what is asked.

The answers are in `gemini_as_chat.py`. What is carried over, left out and refused is told in
docs/concepts/translation.md. Model and stream stand in the address there, not in the body.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from relay.errors import BadRequest
from relay.protocols.base import RequestFacts
from relay.translate import model_names
from relay.translate.chat_conversation import Call, Media, Message, Text, read_conversation
from relay.translate.chat_settings import (
    CHAT_FIELDS,
    Tool,
    ToolChoice,
    read_format,
    read_limit,
    read_stops,
    read_tool_choice,
    read_tools,
)
from relay.translate.given import (
    CARRIED,
    LEFT_OUT,
    Fate,
    Given,
    parsed_object,
    read_body,
)

Json = dict[str, Any]

FIELDS: Mapping[str, Fate] = CHAT_FIELDS | {
    "n": CARRIED,
    "seed": CARRIED,
    "frequency_penalty": CARRIED,
    "presence_penalty": CARRIED,
    "top_k": CARRIED,
    "user": LEFT_OUT,
}

UNSIGNED = "skip_thought_signature_validator"
"""What the vendor takes in place of a signature that a client has not kept."""

MADE_ID = "made_"
"""How the ids begin that we have given to calls which came without one."""

_NUMBERS = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
_BUDGET_TOKENS = {"none": 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
_BUDGET_TOKENS |= {"xhigh": 24_576, "max": 24_576}
_LEVELS = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium"}
_LEVELS |= {"high": "high", "xhigh": "high", "max": "high"}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}


def gemini_request(body: bytes, facts: RequestFacts, *, most_output: int) -> bytes:
    """Return a chat's body as Gemini has it; see Translation. Without a limit it needs none."""
    request = read_body(body, FIELDS)
    conversation = read_conversation(request)
    model = request.text("model")
    made: Json = {"contents": _contents(conversation.messages, model)}
    if conversation.system:
        parts = [{"text": text.text} for text in conversation.system]
        made["systemInstruction"] = {"parts": parts}
    if tools := read_tools(request):
        made["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in tools]}]
        choice = read_tool_choice(request)
        if request.flag("parallel_tool_calls") is False and choice.mode in ("auto", "required"):
            raise request.lost("parallel_tool_calls", "it may always make several calls at once")
        if request.has("tool_choice"):
            made["toolConfig"] = _tool_config(choice)
    if config := _generation_config(request, model, most_output=most_output):
        made["generationConfig"] = config
    return msgspec.json.encode(made)


def _contents(messages: Iterable[Message], model: str) -> list[Json]:
    """Return the turns, those of one side in a row made one.

    Results go back in the order of their calls: without ids, that is how they are told apart.
    """
    contents: list[Json] = []
    calls: dict[str, tuple[int, Json]] = {}
    for message in messages:
        if message.role == "tool":
            parts = [_result(message, calls)]
        else:
            parts = [_part(part) for part in message.parts]
            if message.calls:
                named = [_named(call, model) for call in message.calls]
                calls = {call.id: (at, named[at]) for at, call in enumerate(message.calls)}
                parts += _call_parts(message.calls, model)
        role = "model" if message.role == "assistant" else "user"
        if parts and contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    if not contents:
        raise BadRequest("Expected at least one message with content.", param="messages")
    for content in contents:
        _order_results(content)
    return contents


def _part(part: Text | Media) -> Json:
    if isinstance(part, Text):
        return {"text": part.text}
    if part.url:
        raise BadRequest(
            "This model takes images as data URLs only, it does not fetch them.", param=part.at
        )
    return {"inlineData": {"mimeType": part.mime_type, "data": part.data}}


def _named(call: Call, model: str) -> Json:
    """Return what a call and its result have in common: an id only where the vendor gives ids."""
    named = {"name": call.name}
    if call.id.startswith(MADE_ID) or not model_names.needs_signatures(model):
        return named
    return named | {"id": call.id}


def _call_parts(calls: Iterable[Call], model: str) -> list[Json]:
    """Return calls with their signatures; the first of a turn must have one."""
    parts: list[Json] = []
    for call in calls:
        part: Json = {"functionCall": _named(call, model) | {"args": call.arguments}}
        if call.signature:
            part["thoughtSignature"] = call.signature
        elif not parts and model_names.needs_signatures(model):
            part["thoughtSignature"] = UNSIGNED
        parts.append(part)
    return parts


def _result(message: Message, calls: Mapping[str, tuple[int, Json]]) -> Json:
    """Return a result with the place of its call, by which it is sorted afterwards."""
    where = f"{message.at}.tool_call_id"
    if message.call_id not in calls:
        raise BadRequest("This answers no call of the message before.", param=where)
    if media := next((part for part in message.parts if isinstance(part, Media)), None):
        raise BadRequest("The result of a tool can only be text.", param=media.at)
    place, named = calls[message.call_id]
    return {"functionResponse": named | {"response": _outcome(message.text)}, "place": place}


def _outcome(text: str) -> Json:
    """Return what a tool has said as the object that Gemini wants."""
    if text.lstrip().startswith("{"):
        try:
            return parsed_object(text, "")
        except BadRequest:
            pass
    return {"output": text}


def _order_results(content: Json) -> None:
    """Put the results of a turn into the order of their calls."""
    results = [part for part in content["parts"] if "place" in part]
    if results:
        results.sort(key=lambda part: part["place"])
        rest = [part for part in content["parts"] if "place" not in part]
        content["parts"] = [{"functionResponse": part["functionResponse"]} for part in results]
        content["parts"] += rest


def _declaration(tool: Tool) -> Json:
    declared: Json = {"name": tool.name, "parametersJsonSchema": tool.schema}
    return declared | {"description": tool.description} if tool.description else declared


def _tool_config(choice: ToolChoice) -> Json:
    calling: Json = {"mode": _MODES[choice.mode]}
    if choice.mode == "named":
        calling["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": calling}


def _generation_config(request: Given, model: str, *, most_output: int) -> Json:
    numbers = {theirs: request.number(ours) for ours, theirs in _NUMBERS.items()}
    config: Json = {name: number for name, number in numbers.items() if number is not None}
    limit = read_limit(request)
    if limit is not None:
        config["maxOutputTokens"] = min(limit, most_output)
    if stops := read_stops(request):
        config["stopSequences"] = stops
    form = read_format(request)
    if form is not None:
        config["responseMimeType"] = "application/json"
        if form.schema is not None:
            config["responseJsonSchema"] = form.schema
    if effort := request.text("reasoning_effort"):
        config["thinkingConfig"] = _thinking(request, effort, model)
    return config


def _thinking(request: Given, effort: str, model: str) -> Json:
    """Return how much to think; thoughts come back unless none are wanted."""
    if effort not in _LEVELS:
        raise request.lost("reasoning_effort")
    thinking: Json = {"includeThoughts": True} if effort != "none" else {}
    if model_names.gemini_thinking(model) == "effort":
        return thinking | {"thinkingLevel": _LEVELS[effort]}
    return thinking | {"thinkingBudget": _BUDGET_TOKENS[effort]}
