"""Clients of OpenAI's responses, such as Codex, on channels that speak chats: what is asked.

The answers are in `chat_as_responses.py`. What is carried over, left out and refused is told in
docs/concepts/translation.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from relay.protocols.base import RequestFacts
from relay.protocols.openai import CHAT
from relay.providers.openai import OpenAIProvider
from relay.translate import model_names
from relay.translate.given import CARRIED, LEFT_OUT, REFUSED, Fate, Given, read_body, refused_unless
from relay.translate.responses_conversation import chat_messages, joined_name

Json = dict[str, Any]

FIELDS: Mapping[str, Fate] = {
    "model": CARRIED,
    "input": CARRIED,
    "instructions": CARRIED,
    "stream": CARRIED,
    "max_output_tokens": CARRIED,
    "temperature": CARRIED,
    "top_p": CARRIED,
    "tools": CARRIED,
    "tool_choice": CARRIED,
    "parallel_tool_calls": CARRIED,
    "reasoning": CARRIED,
    "text": CARRIED,
    "user": CARRIED,
    "include": refused_unless([], ["reasoning.encrypted_content"]),
    "store": LEFT_OUT,
    "metadata": LEFT_OUT,
    "client_metadata": LEFT_OUT,
    "stream_options": LEFT_OUT,
    "prompt_cache_key": LEFT_OUT,
    "prompt_cache_options": LEFT_OUT,
    "prompt_cache_retention": LEFT_OUT,
    "safety_identifier": LEFT_OUT,
    "service_tier": LEFT_OUT,
    "truncation": LEFT_OUT,
    "background": refused_unless(False),
    "top_logprobs": refused_unless(0),
    "previous_response_id": REFUSED,
    "conversation": REFUSED,
    "prompt": REFUSED,
    "max_tool_calls": REFUSED,
    "moderation": REFUSED,
    "context_management": refused_unless([]),
    "background_options": REFUSED,
    "access_programs": REFUSED,
    "image": REFUSED,
}
"""What becomes of the fields of a request for a response."""

_FUNCTION = frozenset({"type", "name", "description", "parameters", "strict", "defer_loading"})
_MODES = frozenset({"auto", "none", "required"})

_OPENAI = OpenAIProvider()


def chat_request(body: bytes, facts: RequestFacts, *, most_output: int) -> bytes:
    """Return a request for a response as a chat; see Translation."""
    request = read_body(body, FIELDS)
    model = request.text("model")
    made: Json = {"model": model, "messages": []}
    if instructions := request.text("instructions"):
        made["messages"].append({"role": "system", "content": instructions})
    made["messages"] += chat_messages(request)
    if request.has("max_output_tokens"):
        limit = int(request.number("max_output_tokens") or 0)
        made[_OPENAI.limit_field(model, CHAT)] = limit
    if facts.stream:
        made |= {"stream": True, "stream_options": {"include_usage": True}}
    for name in ("temperature", "top_p"):
        value = request.number(name)
        if value is not None:
            made[name] = value
    if user := request.text("user"):
        made["user"] = user
    _add_tools(made, request)
    _add_text(made, request)
    _add_effort(made, request)
    return msgspec.json.encode(made)


def _add_tools(made: Json, request: Given) -> None:
    choice = _tool_choice(request)
    tools = list(_tools(request, may_leave_out=choice in (None, "auto", "none")))
    if not tools:
        return
    made["tools"] = tools
    if choice is not None:
        made["tool_choice"] = choice
    parallel = request.flag("parallel_tool_calls")
    if parallel is not None:
        made["parallel_tool_calls"] = parallel


def _tools(request: Given, *, may_leave_out: bool) -> Iterator[Json]:
    """Yield the functions, those of a namespace under a name that tells it.

    A search that the vendor would make itself is an offer to the model, which can do without it.
    """
    for tool in request.objects("tools"):
        kind = tool.text("type")
        if kind == "function":
            yield _function(tool)
        elif kind == "namespace":
            tool.only({"type", "name", "description", "tools"})
            about, name = tool.text("description"), tool.needed("name")
            for inner in tool.objects("tools"):
                if inner.text("type") != "function":
                    raise inner.lost("type")
                yield _function(inner, namespace=name, about=about)
        elif not (kind.startswith("web_search") and may_leave_out):
            raise tool.lost("type", "tools of the vendor's own are not available here")


def _function(given: Given, *, namespace: str = "", about: str = "") -> Json:
    given.only(_FUNCTION)
    function: Json = {"name": joined_name(namespace, given.needed("name"))}
    description = "\n".join(filter(None, (about, given.text("description"))))
    if description:
        function["description"] = description
    if given.has("parameters"):
        function["parameters"] = given.object("parameters").members
    if given.flag("strict"):
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(request: Given) -> Any:
    choice = request.get("tool_choice")
    if choice is None or (isinstance(choice, str) and choice in _MODES):
        return choice
    if isinstance(choice, str):
        raise request.lost("tool_choice")
    given = request.object("tool_choice")
    if given.text("type") != "function":
        raise given.lost("type")
    name = given.only({"type", "name"}).needed("name")
    return {"type": "function", "function": {"name": name}}


def _add_text(made: Json, request: Given) -> None:
    text = request.object("text").only({"format", "verbosity"})
    if verbosity := text.text("verbosity"):
        made["verbosity"] = verbosity
    form = text.object("format")
    kind = form.text("type")
    if kind == "json_object":
        made["response_format"] = {"type": kind}
    elif kind == "json_schema":
        known = {"name", "description", "schema", "strict"}
        form.only({"type", *known})
        described = {name: form.get(name) for name in sorted(known) if form.has(name)}
        made["response_format"] = {"type": kind, "json_schema": described}
    elif kind not in ("", "text"):
        raise form.lost("type")


def _add_effort(made: Json, request: Given) -> None:
    """Say how much to think, to models that can be told; how thinking is told is theirs to say."""
    reasoning = request.object("reasoning").only(
        {"effort", "summary", "generate_summary", "context"}
    )
    effort, model = reasoning.text("effort"), made["model"]
    if "tools" in made and model_names.calls_without_effort(model):
        made["reasoning_effort"] = "none"
    elif effort and (model_names.takes_effort(model) or model_names.claude_version(model)):
        made["reasoning_effort"] = effort
