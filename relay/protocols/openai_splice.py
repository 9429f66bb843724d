"""The few bytes that we change in a request body: model, usage, output limit; never re-encoded.

Each function takes the body as it is now and the facts that were read from the original, so they
can be applied one after the other. Called through `relay.protocols.openai`.
"""

import msgspec

from relay.protocols.json_text import members, value_span
from relay.protocols.openai_request import RequestFacts


def with_model(body: bytes, facts: RequestFacts, served: str) -> bytes:
    """Return the body asking for the model `served`."""
    if served == facts.model:
        return body
    return _replaced(body, facts, "model", msgspec.json.encode(served))


def with_usage_asked(body: bytes, facts: RequestFacts) -> bytes:
    """Return the body of a stream asking for usage, its other stream options kept."""
    if not facts.stream or facts.wants_usage:
        return body
    if not facts.stream_options:
        return _appended(body, b'"stream_options":{"include_usage":true}')
    options = facts.stream_options
    if options == b"null":
        options = b"{}"
    spans = members(options)
    if "include_usage" in spans:
        start, end = spans["include_usage"]
        options = b"%btrue%b" % (options[:start], options[end:])
    else:
        options = _appended(options, b'"include_usage":true', is_empty=not spans)
    return _replaced(body, facts, "stream_options", options)


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
    return _appended(body, b'"%b":%d' % (field.encode(), limit))


def _replaced(body: bytes, facts: RequestFacts, name: str, value: bytes) -> bytes:
    start, end = value_span(body, name, facts.around)
    return b"%b%b%b" % (body[:start], value, body[end:])


def _appended(text: bytes, member: bytes, *, is_empty: bool = False) -> bytes:
    end = text.rindex(b"}")
    return b"%b%b%b}%b" % (text[:end], b"" if is_empty else b",", member, text[end + 1 :])
