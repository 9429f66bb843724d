"""The few bytes of a JSON body that are changed: a model, a limit; never re-encoded.

Each function takes the body as it is now and the facts that were read from the original, so they
can be applied one after the other. Called by the dialects. Free of Django.
"""

import msgspec

from relay.protocols.base import RequestFacts
from relay.protocols.json_text import value_span


def with_model(body: bytes, facts: RequestFacts, served: str) -> bytes:
    """Return the body asking for the model `served`."""
    if served == facts.model:
        return body
    return replaced(body, facts, "model", msgspec.json.encode(served))


def with_output_limit(body: bytes, facts: RequestFacts, limit: int, field: str) -> bytes:
    """Return the body limited to `limit` tokens for each answer.

    A limit that the client gave is lowered where it stands; without one, `field` is added.
    """
    for name in facts.limit_members:
        start, end = value_span(body, name, facts.around)
        given = msgspec.json.decode(body[start:end], type=int | None)
        if given is None and (facts.limit_field or name != field):
            continue
        if given is None or given > limit:
            body = b"%b%d%b" % (body[:start], limit, body[end:])
    if facts.limit_field or field in facts.limit_members:
        return body
    return appended(body, b'"%b":%d' % (field.encode(), limit))


def replaced(body: bytes, facts: RequestFacts, name: str, value: bytes) -> bytes:
    """Return the body with another value of a top-level member that it has."""
    start, end = value_span(body, name, facts.around)
    return b"%b%b%b" % (body[:start], value, body[end:])


def appended(text: bytes, member: bytes, *, is_empty: bool = False) -> bytes:
    """Return an object with one more member at its end; `is_empty` if it has none yet."""
    end = text.rindex(b"}")
    return b"%b%b%b}%b" % (text[:end], b"" if is_empty else b",", member, text[end + 1 :])
