"""What a chat request asks for beside its conversation: tools, a form of the answer, limits.

Called by the translations from OpenAI's chats.
"""

from typing import Any, Literal, NamedTuple

from relay.protocols.decoding import wrong_type
from relay.translate.given import CARRIED, LEFT_OUT, REFUSED, Given, refused_unless

CHAT_FIELDS = {
    "model": CARRIED,
    "messages": CARRIED,
    "stream": CARRIED,
    "stream_options": CARRIED,
    "max_tokens": CARRIED,
    "max_completion_tokens": CARRIED,
    "temperature": CARRIED,
    "top_p": CARRIED,
    "stop": CARRIED,
    "tools": CARRIED,
    "tool_choice": CARRIED,
    "parallel_tool_calls": CARRIED,
    "response_format": CARRIED,
    "reasoning_effort": CARRIED,
    "user": CARRIED,
    "n": refused_unless(1),
    "modalities": refused_unless(["text"], []),
    "seed": REFUSED,
    "frequency_penalty": LEFT_OUT,
    "presence_penalty": LEFT_OUT,
    "logit_bias": refused_unless({}),
    "logprobs": refused_unless(False),
    "top_logprobs": refused_unless(0),
    "verbosity": refused_unless("medium"),
    "web_search_options": REFUSED,
    "audio": REFUSED,
    "moderation": REFUSED,
    "extra_body": refused_unless({}),
    "functions": refused_unless([]),
    "function_call": refused_unless("none"),
    "metadata": LEFT_OUT,
    "store": LEFT_OUT,
    "service_tier": LEFT_OUT,
    "prediction": LEFT_OUT,
    "prompt_cache_key": LEFT_OUT,
    "prompt_cache_options": LEFT_OUT,
    "prompt_cache_retention": LEFT_OUT,
    "safety_identifier": LEFT_OUT,
}
"""What becomes of the fields of a chat; a vendor's file says what it does differently."""

ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}}


class Tool(NamedTuple):
    """A function that the model may call."""

    name: str
    description: str
    schema: dict[str, Any]
    is_strict: bool
    cache_control: Any = None


class ToolChoice(NamedTuple):
    """Whether tools may, must or must not be called; `name` is the one that must."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str = ""


class Format(NamedTuple):
    """The form that an answer must have: any JSON object, or one of a schema."""

    schema: dict[str, Any] | None = None
    description: str = ""


def read_tools(request: Given) -> list[Tool]:
    """Return the functions that a chat offers its model."""
    tools = []
    for given in request.objects("tools"):
        if given.text("type") != "function":
            raise given.lost("type")
        given.only({"type", "function", "cache_control"})
        known = {"name", "description", "parameters", "strict"}
        function = given.object("function").only(known)
        tools.append(
            Tool(
                function.needed("name"),
                function.text("description"),
                function.object("parameters").members or ANY_OBJECT,
                function.flag("strict") is True,
                given.get("cache_control"),
            )
        )
    return tools


def read_tool_choice(request: Given) -> ToolChoice:
    """Return what a chat says about calling its tools."""
    choice = request.get("tool_choice")
    if choice is None or choice == "auto":
        return ToolChoice()
    if choice in ("none", "required"):
        return ToolChoice(choice)
    if isinstance(choice, str):
        raise request.lost("tool_choice")
    given = request.object("tool_choice")
    if given.text("type") != "function":
        raise given.lost("type")
    function = given.only({"type", "function"}).object("function").only({"name"})
    return ToolChoice("named", function.needed("name"))


def read_format(request: Given) -> Format | None:
    """Return the form that an answer must have, None for any."""
    if not request.has("response_format"):
        return None
    given = request.object("response_format")
    kind = given.only({"type", "json_schema"}).text("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return Format()
    if kind != "json_schema":
        raise given.lost("type")
    # A schema binds whether it is called strict or not, and its name says nothing.
    known = {"name", "description", "schema", "strict"}
    schema = given.object("json_schema").only(known)
    return Format(schema.object("schema").members, schema.text("description"))


def read_stops(request: Given) -> list[str]:
    """Return the texts that end an answer."""
    stop = request.get("stop")
    stops = [stop] if isinstance(stop, str) else request.list("stop")
    if not all(isinstance(text, str) for text in stops):
        raise wrong_type("stop", "a string or an array of strings")
    return [text for text in stops if text]


def read_limit(request: Given) -> int | None:
    """Return how many tokens an answer may have at most; of two limits the smaller."""
    limits = [request.number(name) for name in ("max_completion_tokens", "max_tokens")]
    return min((int(limit) for limit in limits if limit is not None), default=None)
