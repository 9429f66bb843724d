"""A stream as the JSON array that clients get who don't ask for events."""

import json

from relay.errors import InsufficientQuota
from relay.protocols.base import EventFacts
from relay.protocols.gemini_array import JsonArray

NOTHING = EventFacts()


def test_events_become_elements() -> None:
    shape = JsonArray()
    sent = [shape.feed(event, NOTHING) for event in (b'data: {"a":1}\n\n', b'data:{"b":2}\r\n\r\n')]
    assert sent == [b'[{"a":1}', b',\r\n{"b":2}']
    assert json.loads(b"".join(sent) + shape.end()) == [{"a": 1}, {"b": 2}]


def test_what_is_no_data_is_no_element() -> None:
    shape = JsonArray()
    sent = [shape.feed(event, NOTHING) for event in (b": ping\n\n", b"data: \n\n")]
    sent.append(shape.feed(b"data: [DONE]\n\n", EventFacts(done=True)))
    assert (b"".join(sent), shape.end()) == (b"", b"[]")


def test_an_error_is_the_last_element() -> None:
    for has_begun in (False, True):
        shape = JsonArray()
        sent = shape.feed(b'data: {"a":1}\n\n', NOTHING) if has_begun else b""
        *before, last = json.loads(sent + shape.errors.event(InsufficientQuota(), "req-1"))
        assert before == [{"a": 1}] * has_begun
        assert last["error"]["status"] == "RESOURCE_EXHAUSTED"
