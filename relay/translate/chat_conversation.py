"""The conversation of a chat request, read into parts that any vendor can be given.

Called by the translations from OpenAI's chats. What stands in a message and can't be carried over
by any of them is refused here; what a single vendor can't take, its own file refuses.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from relay.errors import BadRequest
from relay.protocols.decoding import wrong_type
from relay.translate.given import Given, parsed_object

Role = Literal["user", "assistant", "tool"]

# What says nothing to the model, or nothing about this turn: a participant's name, hints for a
# cache, the thinking of past turns, and what clients keep beside the content of an answer.
_LEFT_OUT = frozenset({"name", "prompt_cache_breakpoint", "annotations", "reasoning"})
_LEFT_OUT |= {"reasoning_content", "reasoning_details", "id", "index"}

_MESSAGE = _LEFT_OUT | {"role", "content"}
_ASSISTANT = _MESSAGE | {"tool_calls", "refusal", "parsed"}
_TOOL = _MESSAGE | {"tool_call_id"}
_PART = _LEFT_OUT | {"type", "cache_control"}
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


class Text(NamedTuple):
    """Words; `cache_control` is a hint that Anthropic's clients put beside them."""

    text: str
    cache_control: Any = None


class Media(NamedTuple):
    """An image, a file or audio: base64 `data` of a type, or the address where it can be found."""

    kind: Literal["image", "file", "audio"]
    at: str
    mime_type: str = ""
    data: str = ""
    url: str = ""
    name: str = ""


class Call(NamedTuple):
    """A call of a tool; `signature` is what Gemini wants back with it."""

    id: str
    name: str
    arguments: dict[str, Any]
    signature: str = ""


class Message(NamedTuple):
    """A turn; `call_id` is the call that a tool's result answers."""

    role: Role
    at: str
    parts: list[Text | Media]
    calls: tuple[Call, ...] = ()
    call_id: str = ""

    @property
    def text(self) -> str:
        """Return its words."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Conversation(NamedTuple):
    """The instructions of system and developer, wherever they stood, and the turns."""

    system: list[Text]
    messages: list[Message]


def read_conversation(request: Given) -> Conversation:
    """Return the conversation of a chat. Raises BadRequest for what nobody can be given."""
    conversation = Conversation([], [])
    for given in request.objects("messages"):
        role = given.text("role")
        if role in ("system", "developer"):
            parts = read_parts(given.only(_MESSAGE))
            conversation.system.extend(_texts(parts))
        elif role == "user":
            parts = read_parts(given.only(_MESSAGE))
            conversation.messages.append(Message("user", given.at, parts))
        elif role == "assistant":
            conversation.messages.append(_assistant(given.only(_ASSISTANT)))
        elif role == "tool":
            answered = given.only(_TOOL).needed("tool_call_id")
            parts = read_parts(given)
            conversation.messages.append(Message("tool", given.at, parts, call_id=answered))
        else:
            raise given.lost("role")
    if not conversation.messages:
        words = "This model needs at least one message that is not a system message."
        raise BadRequest(words, param="messages")
    return conversation


def read_parts(message: Given) -> list[Text | Media]:
    """Return the parts of a message; empty texts are none."""
    content = message.get("content")
    if isinstance(content, list):
        return list(_read_each(message))
    text = message.text("content")
    return [Text(text)] if text else []


def _read_each(message: Given) -> Iterator[Text | Media]:
    for part in message.objects("content"):
        kind = part.text("type")
        if kind in ("text", "refusal"):
            text = part.only(_PART | {kind}).text(kind)
            if text:
                yield Text(text, part.get("cache_control"))
        elif kind == "image_url":
            yield _image(part)
        elif kind == "input_audio":
            audio = part.only(_PART | {kind}).object(kind).only({"data", "format"})
            mime_type = _AUDIO_TYPES.get(audio.text("format"))
            if mime_type is None:
                raise audio.lost("format")
            yield Media("audio", part.at, mime_type, audio.needed("data"))
        elif kind == "file":
            file = part.only(_PART | {kind}).object(kind).only({"file_data", "filename"})
            mime_type, data = _data_of(file.needed("file_data"), file.path("file_data"))
            yield Media("file", part.at, mime_type, data, name=file.text("filename"))
        else:
            raise part.lost("type")


def _image(part: Given) -> Media:
    given = part.only(_PART | {"image_url"}).get("image_url")
    if isinstance(given, str):
        url, where = given, part.path("image_url")
    else:
        # How closely to look is a hint about cost; others than OpenAI have no such choice.
        image = part.object("image_url").only({"url", "detail"})
        url, where = image.needed("url"), image.path("url")
    if url.startswith("data:"):
        mime_type, data = _data_of(url, where)
        return Media("image", where, mime_type, data)
    return Media("image", where, url=url)


def _data_of(url: str, where: str) -> tuple[str, str]:
    """Return the type and the base64 text of a data address."""
    head, comma, data = url.partition(",")
    mime_type, *options = head.removeprefix("data:").split(";")
    if not head.startswith("data:") or not comma or "base64" not in options or not mime_type:
        raise wrong_type(where, "a data URL in base64 that names its type")
    return mime_type.lower(), data


def _assistant(given: Given) -> Message:
    parts = read_parts(given)
    if refusal := given.text("refusal"):
        parts.append(Text(refusal))
    if media := next((part for part in parts if isinstance(part, Media)), None):
        raise BadRequest("An assistant's message can't hold this.", param=media.at)
    return Message("assistant", given.at, parts, tuple(map(_call, given.objects("tool_calls"))))


def _call(given: Given) -> Call:
    if given.text("type") not in ("", "function"):
        raise given.lost("type")
    given.only({"id", "type", "index", "function", "extra_content"})
    function = given.object("function").only({"name", "arguments", "parsed_arguments"})
    extra = given.object("extra_content").object("google")
    return Call(
        given.needed("id"),
        function.needed("name"),
        parsed_object(function.text("arguments"), function.path("arguments")),
        extra.text("thought_signature"),
    )


def _texts(parts: list[Text | Media]) -> Iterator[Text]:
    for part in parts:
        if isinstance(part, Media):
            raise BadRequest("Instructions can only be text.", param=part.at)
        yield part
