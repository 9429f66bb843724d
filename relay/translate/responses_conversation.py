"""The items of a request for a response, as the messages of a chat. Called by `responses_to_chat`.

Thinking of past turns is left out, for its vendor alone can read it; what we have called reasoning
ourselves goes back with the calls it led to.
"""

from collections.abc import Iterator
from typing import Any

from relay.errors import BadRequest
from relay.translate.given import Given

Json = dict[str, Any]

REASONING = "reasoning_content"
"""The sealed content of reasoning that is the `reasoning_content` of a chat."""

_BETWEEN = "--"
_LEFT_OUT = frozenset({"type", "id", "status", "phase", "annotations", "logprobs", "detail"})
_LEFT_OUT |= {"prompt_cache_breakpoint", "internal_chat_message_metadata_passthrough"}
_TEXTS = frozenset({"input_text", "output_text", "text"})
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def joined_name(namespace: str, name: str) -> str:
    """Return the name that a chat knows a function of a namespace by."""
    return f"{namespace}{_BETWEEN}{name}" if namespace else name


def split_name(name: str) -> tuple[str, str]:
    """Return the namespace, if there is one, and the name in it."""
    namespace, between, inner = name.partition(_BETWEEN)
    return (namespace, inner) if between else ("", name)


def chat_messages(request: Given) -> list[Json]:
    """Return the turns of a request. Raises BadRequest for what a chat can't hold."""
    if isinstance(request.get("input"), list):
        turns = _Turns()
        for item in request.objects("input"):
            turns.add(item)
        messages = turns.finished()
    else:
        messages = [{"role": "user", "content": request.needed("input")}]
    if not messages:
        raise BadRequest("Expected at least one item.", param="input")
    return messages


class _Turns:
    """Messages on their way: the calls of a turn become one, images of results wait for its end."""

    def __init__(self) -> None:
        self._messages: list[Json] = []
        self._shown: list[Json] = []
        self._thought = ""

    def add(self, item: Given) -> None:
        """Take the next item."""
        kind = item.text("type") or "message"
        if kind == "message":
            self._say(item)
        elif kind == "function_call":
            self._call(item)
        elif kind == "function_call_output":
            self._answer(item)
        elif kind == "reasoning":
            if item.get("encrypted_content") == REASONING:
                summary = item.objects("summary")
                self._thought = "\n\n".join(part.text("text") for part in summary)
        else:
            raise item.lost("type")

    def finished(self) -> list[Json]:
        """Return all messages."""
        self._show()
        return self._messages

    def _show(self) -> None:
        """Give the images of results to the user, once all results are there."""
        if self._shown:
            self._messages.append({"role": "user", "content": self._shown})
            self._shown = []

    def _say(self, item: Given) -> None:
        role = _ROLES.get(item.only(_LEFT_OUT | {"role", "content"}).text("role"))
        if role is None:
            raise item.lost("role")
        self._show()
        content = item.get("content")
        if isinstance(content, list):
            parts = [part for given in item.objects("content") for part in _parts(given)]
            if all(part["type"] == "text" for part in parts):
                content = "".join(part["text"] for part in parts)
            elif role != "user":
                raise item.lost("content")
            else:
                content = parts
        else:
            content = item.text("content")
        if content:
            self._messages.append({"role": role, "content": content})

    def _call(self, item: Given) -> None:
        item.only(_LEFT_OUT | {"call_id", "name", "arguments", "namespace"})
        name = joined_name(item.text("namespace"), item.needed("name"))
        function = {"name": name, "arguments": item.text("arguments")}
        call = {"id": item.needed("call_id"), "type": "function", "function": function}
        last = self._messages[-1] if self._messages else {}
        if last.get("role") != "assistant" or self._shown:
            self._show()
            last = {"role": "assistant", "content": None}
            self._messages.append(last)
        last.setdefault("tool_calls", []).append(call)
        if self._thought:
            last["reasoning_content"], self._thought = self._thought, ""

    def _answer(self, item: Given) -> None:
        call_id = item.only(_LEFT_OUT | {"call_id", "output"}).needed("call_id")
        if not isinstance(item.get("output"), list):
            text = item.text("output")
        else:
            parts = [part for given in item.objects("output") for part in _parts(given)]
            text = "".join(part["text"] for part in parts if part["type"] == "text")
            shown = [part for part in parts if part["type"] != "text"]
            if shown:
                self._shown += [{"type": "text", "text": f"Of the result of {call_id}:"}, *shown]
                text = text or "The result is shown in the next message."
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": text})


def _parts(given: Given) -> Iterator[Json]:
    kind = given.text("type")
    if kind in _TEXTS:
        yield {"type": "text", "text": given.only(_LEFT_OUT | {"text"}).text("text")}
    elif kind == "refusal":
        yield {"type": "text", "text": given.only(_LEFT_OUT | {"refusal"}).text("refusal")}
    elif kind == "input_image":
        url = given.only(_LEFT_OUT | {"image_url"}).needed("image_url")
        yield {"type": "image_url", "image_url": {"url": url}}
    elif kind == "input_file":
        given.only(_LEFT_OUT | {"file_data", "filename"})
        file = {"file_data": given.needed("file_data"), "filename": given.text("filename")}
        yield {"type": "file", "file": file}
    else:
        raise given.lost("type")
