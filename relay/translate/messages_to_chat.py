"""Anthropic's clients on channels that speak OpenAI's chats: what is asked.

The answers are in `chat_as_messages.py`. What is carried over, left out and refused is told in
docs/concepts/translation.md.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from relay.errors import BadRequest
from relay.protocols.base import RequestFacts
from relay.protocols.decoding import wrong_type
from relay.protocols.openai import CHAT
from relay.providers.openai import OpenAIProvider
from relay.translate import model_names
from relay.translate.given import CARRIED, LEFT_OUT, REFUSED, Fate, Given, read_body, refused_unless
from relay.translate.messages_conversation import chat_messages, read_system
from relay.translate.schemas import is_strict

Json = dict[str, Any]

FIELDS: Mapping[str, Fate] = {
    "model": CARRIED,
    "messages": CARRIED,
    "system": CARRIED,
    "max_tokens": CARRIED,
    "stop_sequences": CARRIED,
    "stream": CARRIED,
    "temperature": CARRIED,
    "top_p": CARRIED,
    "tools": CARRIED,
    "tool_choice": CARRIED,
    "thinking": CARRIED,
    "output_config": CARRIED,
    "output_format": CARRIED,
    "metadata": LEFT_OUT,
    "cache_control": LEFT_OUT,
    "context_management": LEFT_OUT,
    "betas": LEFT_OUT,
    "service_tier": LEFT_OUT,
    "diagnostics": LEFT_OUT,
    "user_profile_id": LEFT_OUT,
    "workspace_id": LEFT_OUT,
    "billing_policy": LEFT_OUT,
    "fallback_credit_token": LEFT_OUT,
    "speed": refused_unless("standard"),
    "inference_geo": refused_unless("global"),
    "mcp_servers": refused_unless([]),
    "fallbacks": REFUSED,
    "top_k": REFUSED,
    "container": REFUSED,
    "compaction": REFUSED,
    "thread": REFUSED,
}
"""What becomes of the fields of a message's request."""

MOST_STOPS = 4

_TOOL = frozenset({"name", "type", "description", "input_schema", "strict", "cache_control"})
_TOOL |= {"defer_loading", "eager_input_streaming", "allowed_callers"}
_MODES = {"auto": "auto", "any": "required", "none": "none"}
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_LOW_BUDGET_TOKENS = 4_096
_MEDIUM_BUDGET_TOKENS = 16_384

_OPENAI = OpenAIProvider()


def chat_request(body: bytes, facts: RequestFacts, *, most_output: int) -> bytes:
    """Return a message's body as a chat has it; see Translation."""
    request = read_body(body, FIELDS)
    model = request.text("model")
    made: Json = {"model": model, "messages": []}
    if system := read_system(request):
        made["messages"].append({"role": "system", "content": system})
    made["messages"] += chat_messages(request)
    if made["messages"][-1]["role"] == "assistant":
        words = "This model can't go on with an answer that has been begun."
        raise BadRequest(words, param="messages")
    limit = request.number("max_tokens")
    limit = most_output if limit is None else min(int(limit), most_output)
    made[_OPENAI.limit_field(model, CHAT)] = limit
    if facts.stream:
        made |= {"stream": True, "stream_options": {"include_usage": True}}
    _add_stops(made, request)
    _add_sampling(made, request)
    _add_tools(made, request)
    _add_form(made, request)
    _add_effort(made, request)
    return msgspec.json.encode(made)


def _add_stops(made: Json, request: Given) -> None:
    stops = request.list("stop_sequences")
    if not all(isinstance(text, str) for text in stops):
        raise wrong_type("stop_sequences", "an array of strings")
    if len(stops) > MOST_STOPS:
        raise request.lost("stop_sequences", f"it takes no more than {MOST_STOPS}")
    if stops:
        made["stop"] = stops


def _add_sampling(made: Json, request: Given) -> None:
    """Add what is not the default; models that think refuse even that."""
    for name in ("temperature", "top_p"):
        value = request.number(name)
        if value is not None and value != 1:
            made[name] = value


def _add_tools(made: Json, request: Given) -> None:
    tools = [_tool(tool) for tool in request.objects("tools")]
    if not tools:
        return
    made["tools"] = tools
    if not request.has("tool_choice"):
        return
    choice = request.object("tool_choice")
    choice.only({"type", "name", "disable_parallel_tool_use"})
    kind = choice.text("type")
    if kind == "tool":
        made["tool_choice"] = {"type": "function", "function": {"name": choice.needed("name")}}
    elif kind in _MODES:
        made["tool_choice"] = _MODES[kind]
    else:
        raise choice.lost("type")
    if choice.flag("disable_parallel_tool_use"):
        made["parallel_tool_calls"] = False


def _tool(given: Given) -> Json:
    if given.text("type") not in ("", "custom"):
        raise given.lost("type", "tools of the vendor's own are not available here")
    if any(caller != "direct" for caller in given.only(_TOOL).list("allowed_callers")):
        raise given.lost("allowed_callers")
    function: Json = {"name": given.needed("name")}
    if description := given.text("description"):
        function["description"] = description
    function["parameters"] = given.object("input_schema").members
    if given.flag("strict") and is_strict(function["parameters"]):
        function["strict"] = True
    return {"type": "function", "function": function}


def _add_form(made: Json, request: Given) -> None:
    """Ask for the form of an answer, at either place where Anthropic's clients put it."""
    config = request.object("output_config").only({"effort", "format"})
    place = config if config.has("format") else request
    name = "format" if place is config else "output_format"
    if not place.has(name):
        return
    form = place.object(name).only({"type", "schema"})
    if form.text("type") != "json_schema":
        raise form.lost("type")
    schema = form.object("schema").members
    described = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
    made["response_format"] = {"type": "json_schema", "json_schema": described}


def _add_effort(made: Json, request: Given) -> None:
    """Say how much to think, to models that can be told.

    A budget is leave to think, not an order: without a word for it the model does as it likes.
    """
    thinking = request.object("thinking")
    effort = _EFFORTS.get(request.object("output_config").text("effort"), "")
    if not effort and thinking.text("type") == "enabled":
        effort = _effort_for(thinking.number("budget_tokens") or 0)
    model = made["model"]
    if "tools" in made and model_names.calls_without_effort(model):
        made["reasoning_effort"] = "none"
    elif effort and model_names.takes_effort(model):
        made["reasoning_effort"] = effort


def _effort_for(budget_tokens: float) -> str:
    if budget_tokens < _LOW_BUDGET_TOKENS:
        return "low"
    return "medium" if budget_tokens < _MEDIUM_BUDGET_TOKENS else "high"
