"""What only OpenAI's dialect has to change in a body: a stream must report its usage.

Called through `relay.protocols.openai`.
"""

from relay.protocols.base import RequestFacts
from relay.protocols.json_text import members
from relay.protocols.splicing import appended, replaced


def with_usage_asked(body: bytes, facts: RequestFacts) -> bytes:
    """Return the body of a stream asking for usage, its other stream options kept."""
    if not facts.stream or facts.wants_usage:
        return body
    if not facts.stream_options:
        return appended(body, b'"stream_options":{"include_usage":true}')
    options = facts.stream_options
    if options == b"null":
        options = b"{}"
    spans = members(options)
    if "include_usage" in spans:
        start, end = spans["include_usage"]
        options = b"%btrue%b" % (options[:start], options[end:])
    else:
        options = appended(options, b'"include_usage":true', is_empty=not spans)
    return replaced(body, facts, "stream_options", options)
