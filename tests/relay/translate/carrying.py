"""What the tests of translations do over and over: ask, answer and stream through one of them."""

import json
from typing import Any

from relay.protocols.base import Asked, RequestFacts
from relay.protocols.openai import CHAT
from relay.protocols.responses import RESPONSES
from relay.translate import (
    CHAT_TO_GEMINI,
    CHAT_TO_MESSAGES,
    MESSAGES_TO_CHAT,
    RESPONSES_TO_CHAT,
)
from relay.translate.joined import Joined

Json = dict[str, Any]

MOST_OUTPUT = 16_384
ASKED = {
    CHAT_TO_MESSAGES: CHAT,
    CHAT_TO_GEMINI: CHAT,
    MESSAGES_TO_CHAT: CHAT_TO_MESSAGES.endpoint,
    RESPONSES_TO_CHAT: RESPONSES,
}
"""The endpoint at which a client asks, by the translation that carries it."""

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"name": "weather", "parameters": {"type": "object", "properties": {}}}


def asking(**fields: Any) -> Json:
    """Return the body of a request with a message, or what `fields` make of it."""
    said = {} if "input" in fields else {"messages": HELLO}
    return {"model": "some-model"} | said | fields


def facts_of(via: Joined, body: bytes) -> RequestFacts:
    """Return what the client's own dialect reads in a body."""
    endpoint = ASKED[via]
    return endpoint.dialect.read(endpoint, Asked(body))


def carried(via: Joined, body: Json) -> Json:
    """Return a request as the upstream gets it."""
    data = json.dumps(body).encode()
    made = via.request(data, facts_of(via, data), most_output=MOST_OUTPUT)
    return dict(json.loads(made))


def answered(via: Joined, answer: Json, **asked: Any) -> Json:
    """Return a whole answer of the upstream as the client gets it."""
    facts = facts_of(via, json.dumps(asking(**asked)).encode())
    return dict(json.loads(via.answer(json.dumps(answer).encode(), facts)))


def reshaped(via: Joined, answer: Json, **asked: Any) -> Json:
    """Return what is made of an answer that no dialect has looked at before."""
    facts = facts_of(via, json.dumps(asking(**asked)).encode())
    return dict(json.loads(via.answers(json.dumps(answer).encode(), None, facts)))


def streamed(via: Joined, events: list[Any], **asked: Any) -> list[Json]:
    """Return the data of each event that a client gets for those of the upstream.

    The mark of the end of a chat is left out: see `raw_stream`.
    """
    data = [
        line[6:] for line in raw_stream(via, events, **asked).split("\n") if line[:5] == "data:"
    ]
    return [json.loads(one) for one in data if one != "[DONE]"]


def raw_stream(via: Joined, events: list[Any], **asked: Any) -> str:
    """Return the text of the stream that a client gets."""
    facts = facts_of(via, json.dumps(asking(stream=True, **asked)).encode())
    reader, translator = via.endpoint.dialect.reader(facts), via.events(facts)
    out = b""
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        raw = f"data: {data}\n\n".encode()
        out += translator.feed(raw, reader.read(raw))
    return (out + translator.end()).decode()
