"""Header rules, both ways: allow-lists, CORS, and what every answer carries.

Nothing passes that is not named here. Called by `call` for answers to clients and by `forwarding`
for requests to upstreams.
"""

from collections.abc import Iterable, Mapping, Sequence

Header = tuple[bytes, bytes]

# From the upstream to the client; lengths, connection and request id are our own.
_TO_CLIENT = frozenset(
    {
        b"content-type",
        b"content-disposition",
        b"openai-processing-ms",
        b"openai-version",
    }
)

# From the client to an upstream that speaks its dialect, beside what the provider writes itself.
TO_UPSTREAM: Mapping[str, Sequence[bytes]] = {
    "openai": (b"accept", b"openai-beta"),
    "anthropic": (b"accept", b"anthropic-version", b"anthropic-beta"),
    "gemini": (b"accept",),
}

JSON: Header = (b"content-type", b"application/json")
EVENT_STREAM: Sequence[Header] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)

EXPOSED = (
    b"x-request-id, request-id, retry-after, "
    b"x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, "
    b"x-ratelimit-reset-requests, x-ratelimit-reset-tokens"
)
CORS: Sequence[Header] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", EXPOSED),
)
_METHODS = b"GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
_NAME_LIST = bytes(
    sorted(set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!#$%&'*+^`|~, "))
)
_MAX_REFLECTED_BYTES = 4096


def passed_to_client(headers: Iterable[Header]) -> list[Header]:
    """Return those of an upstream's headers that a client may see."""
    return [header for header in headers if header[0] in _TO_CLIENT]


def encoded(headers: Mapping[str, str]) -> list[Header]:
    """Return headers as they travel: those that an operator has given a channel."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def preflight(requested: bytes | None) -> list[Header]:
    """Return the headers of the answer to a CORS preflight that asks for these header names."""
    allowed = (
        b"authorization, content-type, x-api-key, x-goog-api-key, anthropic-version, anthropic-beta"
    )
    if requested and len(requested) <= _MAX_REFLECTED_BYTES and is_name_list(requested):
        allowed = requested
    return [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", allowed),
        (b"access-control-max-age", b"86400"),
        (b"vary", b"access-control-request-headers"),
    ]


def is_name_list(value: bytes) -> bool:
    """Say whether a value is nothing but header names, commas and spaces."""
    return not value.translate(None, _NAME_LIST)
