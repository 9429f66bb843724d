"""How Gemini's clients are told what went wrong. Called through `relay.protocols.gemini`."""

from typing import Any

import msgspec

from relay.errors import RelayError
from relay.protocols.base import ErrorStyle

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE = "type.googleapis.com/google.rpc."


def status_of(code: int) -> str:
    """Return the vendor's name of an HTTP status."""
    return _STATUSES.get(code) or ("INVALID_ARGUMENT" if code < 500 else "INTERNAL")


def error_body(error: RelayError, request_id: str) -> bytes:
    """Return the body of an error that we answer ourselves."""
    described: dict[str, Any] = {
        "code": error.status,
        "message": f"{error.message} (request id: {request_id})",
        "status": status_of(error.status),
    }
    details: list[dict[str, Any]] = []
    if error.code:
        details.append({"@type": _TYPE + "ErrorInfo", "reason": error.code, "domain": "relay"})
    if error.param:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": _TYPE + "BadRequest", "fieldViolations": [violation]})
    if details:
        described["details"] = details
    return msgspec.json.encode({"error": described})


def error_event(error: RelayError, request_id: str) -> bytes:
    """Return the event that ends a stream which has failed."""
    return b"data: %b\n\n" % error_body(error, request_id)


GEMINI_ERRORS = ErrorStyle("gemini", error_body, error_event)
