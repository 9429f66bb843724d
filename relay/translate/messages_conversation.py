"""The conversation of a request to Anthropic, as OpenAI's chats have it.

Called by `messages_to_chat.py`. Blocks that only the vendor itself could have made or can read are
refused. Thinking of past turns is signed by the vendor who thought it, and is left out; what we
have called thinking ourselves goes back to where it came from while a call is being answered.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from relay.errors import BadRequest
from relay.translate.given import Given

Json = dict[str, Any]

REASONING = "reasoning_content"
"""The signature of thinking that is the `reasoning_content` of a chat."""

# What Claude Code puts before its instructions is for the vendor's books. It differs from one
# conversation to the next, so a cache of prompts would never find the same beginning.
_FOR_THE_BOOKS = "x-anthropic-billing-header:"

# Hints for a cache, and what answers carry beside a text.
_LEFT_OUT = frozenset({"type", "cache_control", "citations"})
_PAST_THINKING = frozenset({"thinking", "redacted_thinking"})
_DOCUMENT = _LEFT_OUT | {"source", "title", "context"}


def read_system(request: Given) -> str:
    """Return the instructions of a request as one text."""
    system = request.get("system")
    if isinstance(system, list):
        texts = map(_text_of, request.objects("system"))
        return "\n\n".join(text for text in texts if not text.startswith(_FOR_THE_BOOKS))
    return request.text("system")


def chat_messages(request: Given) -> list[Json]:
    """Return the turns of a request. Raises BadRequest for what a chat can't hold."""
    messages: list[Json] = []
    for given in request.objects("messages"):
        role = given.only({"role", "content"}).text("role")
        if role == "assistant":
            messages += _assistant(given)
        elif role == "user":
            messages += _user(given)
        elif role == "system":
            text = "\n\n".join(_text_of(block) for block in _content(given))
            messages.append({"role": "system", "content": text})
        else:
            raise given.lost("role")
    if not messages:
        raise BadRequest("Expected at least one message.", param="messages")
    return messages


def _content(given: Given, name: str = "content") -> Iterator[Given]:
    """Yield the blocks of a message; a bare text is one."""
    if isinstance(given.get(name), list):
        yield from given.objects(name)
    elif text := given.text(name):
        yield Given({"type": "text", "text": text}, given.path(name))


def _text_of(block: Given) -> str:
    if block.text("type") != "text":
        raise block.lost("type")
    return block.only(_LEFT_OUT | {"text"}).text("text")


def _assistant(given: Given) -> Iterator[Json]:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Json] = []
    for block in _content(given):
        kind = block.text("type")
        if kind == "tool_use":
            calls.append(_call(block))
        elif kind not in _PAST_THINKING:
            texts.append(_text_of(block))
        elif block.text("signature") == REASONING:
            thoughts.append(block.text("thinking"))
    message: Json = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    if calls:
        message["tool_calls"] = calls
        if thoughts:
            message["reasoning_content"] = "".join(thoughts)
    if calls or message["content"]:
        yield message


def _call(block: Given) -> Json:
    known = _LEFT_OUT | {"id", "name", "input", "caller"}
    if block.only(known).object("caller").text("type") not in ("", "direct"):
        raise block.lost("caller")
    arguments = msgspec.json.encode(block.object("input").members).decode()
    function = {"name": block.needed("name"), "arguments": arguments}
    return {"id": block.needed("id"), "type": "function", "function": function}


def _user(given: Given) -> Iterator[Json]:
    """Yield the results of tools first, as a chat wants them, then what the user says.

    A result is text only: its images follow as the user's, named by the call that they answer.
    """
    parts: list[Json] = []
    shown: list[Json] = []
    for block in _content(given):
        if block.text("type") == "tool_result":
            result, images = _result(block)
            yield result
            shown += images
        else:
            parts += _parts(block)
    parts = shown + parts
    if parts and all(part["type"] == "text" for part in parts):
        yield {"role": "user", "content": "\n\n".join(part["text"] for part in parts)}
    elif parts:
        yield {"role": "user", "content": parts}


def _result(block: Given) -> tuple[Json, list[Json]]:
    """Return the result of a call and the parts that can't stand in it."""
    block.only(_LEFT_OUT | {"tool_use_id", "content", "is_error"})
    call_id = block.needed("tool_use_id")
    texts: list[str] = []
    images: list[Json] = []
    for part in (part for one in _content(block) for part in _parts(one)):
        if part["type"] == "text":
            texts.append(part["text"])
        else:
            images.append(part)
    if images:
        images.insert(0, {"type": "text", "text": f"Of the result of {call_id}:"})
        texts = texts or ["The result is shown in the next message."]
    text = "\n\n".join(texts)
    if block.flag("is_error"):
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": call_id, "content": text}, images


def _parts(block: Given) -> list[Json]:
    kind = block.text("type")
    if kind == "text":
        text = _text_of(block)
        return [{"type": "text", "text": text}] if text else []
    if kind == "image":
        return [{"type": "image_url", "image_url": {"url": _image_url(block)}}]
    if kind == "document":
        return _document(block)
    raise block.lost("type")


def _image_url(block: Given) -> str:
    source = block.only(_LEFT_OUT | {"source"}).object("source")
    kind = source.text("type")
    if kind == "url":
        return source.needed("url")
    if kind != "base64":
        raise source.lost("type")
    return f"data:{source.needed('media_type')};base64,{source.needed('data')}"


def _document(block: Given) -> list[Json]:
    """Return a document as a file, or as its text; what is said about it goes before it."""
    source = block.only(_DOCUMENT).object("source")
    if block.object("citations").flag("enabled"):
        raise block.lost("citations")
    title, context, kind = block.text("title"), block.text("context"), source.text("type")
    if kind == "text":
        texts = [title, context, source.needed("data")]
        return [{"type": "text", "text": "\n\n".join(text for text in texts if text)}]
    if kind != "base64" or source.text("media_type") != "application/pdf":
        raise source.lost("type")
    data = f"data:application/pdf;base64,{source.needed('data')}"
    file = {"filename": title or "document.pdf", "file_data": data}
    about = [{"type": "text", "text": context}] if context else []
    return [*about, {"type": "file", "file": file}]
