"""Failures as problem details (RFC 9457): one form, whatever has gone wrong.

Called by Django REST framework for what a view raises, and by the addresses of the API that there
are not. Words are English and constant; what a caller sent is not repeated.
"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework.exceptions import APIException, Throttled, ValidationError

MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger(__name__)

WORDS = {
    400: "The request is not valid.",
    401: "Incorrect API key provided.",
    403: "This is not for this key.",
    404: "There is nothing at this address.",
    405: "This address does not answer this method.",
    406: "Only JSON can be answered.",
    415: "Only JSON can be read.",
    421: "This host is not served here.",
    429: "Too many requests.",
    500: "The request could not be processed.",
    503: "The service is not available now.",
}


def answer(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Return the answer for what a view has raised."""
    request: HttpRequest = context["request"]
    if isinstance(error, Http404):
        return problem(request, 404)
    if isinstance(error, PermissionDenied):
        return problem(request, 403)
    if isinstance(error, SuspiciousOperation):
        return problem(request, 400)
    if not isinstance(error, APIException):
        log.exception("API request failed", exc_info=error)
        return problem(request, 500)
    return problem(
        request,
        error.status_code,
        errors=_errors(error) if isinstance(error, ValidationError) else (),
        headers=_headers(error, context),
    )


def problem(
    request: HttpRequest,
    status: int,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return a problem of this status; `errors` name the parameters that are wrong."""
    text = body(status, request_id=getattr(request, "request_id", ""), errors=errors)
    return HttpResponse(text, status=status, content_type=MEDIA_TYPE, headers=dict(headers or {}))


def body(status: int, *, request_id: str, errors: Sequence[Mapping[str, str]] = ()) -> str:
    """Return a problem as JSON."""
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": WORDS.get(status, WORDS[500]),
        "request_id": request_id,
    }
    return json.dumps(told | {"errors": list(errors)} if errors else told)


def _errors(error: ValidationError) -> list[dict[str, str]]:
    """Return what is wrong, parameter by parameter."""
    detail = error.detail if isinstance(error.detail, dict) else {}
    return [
        {"parameter": str(name), "detail": str(text)}
        for name, texts in detail.items()
        for text in (texts if isinstance(texts, list) else [texts])
    ]


def _headers(error: APIException, context: Mapping[str, Any]) -> dict[str, str]:
    headers = {}
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(int(error.wait or 1))
    challenge = getattr(error, "auth_header", None)
    if challenge:
        headers["WWW-Authenticate"] = challenge
    if error.status_code == 405:
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    return headers
