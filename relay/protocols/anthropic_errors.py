"""How Anthropic's clients are told what went wrong. Called through `relay.protocols.anthropic`.

Their libraries choose the exception by the status, programs read `error.type`; both say the same
here but for a balance that is used up: 429 as everywhere, with the type that means money.
"""

import msgspec

from relay.errors import InsufficientQuota, RelayError
from relay.protocols.base import ErrorStyle

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_type(error: RelayError) -> str:
    """Return Anthropic's name for an error of ours."""
    if isinstance(error, InsufficientQuota):
        return "billing_error"
    usual = "invalid_request_error" if error.status < 500 else "api_error"
    return _TYPES.get(error.status, usual)


def error_body(error: RelayError, request_id: str) -> bytes:
    """Return the body of an error that we answer ourselves."""
    described = {
        "type": error_type(error),
        "message": f"{error.message} (request id: {request_id})",
    }
    return msgspec.json.encode({"type": "error", "error": described, "request_id": request_id})


def error_event(error: RelayError, request_id: str) -> bytes:
    """Return the event that ends a stream which has failed; no `message_stop` follows it."""
    return b"event: error\ndata: %b\n\n" % error_body(error, request_id)


ANTHROPIC_ERRORS = ErrorStyle("anthropic", error_body, error_event, repeats_id=True)
