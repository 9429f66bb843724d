"""The API's description: OpenAPI with examples, what can go wrong, and a page to read and try it.

The description is made from `views`, `asking` and `answers`, once per process.
"""

import json
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiExample

from billing.pricing import BUCKETS
from portal.api import problems

PREFIX = "/api/v1/"

_REQUEST_ID = "01a2015b-ed58-7008-9473-bbf6b5315070"

KEY_EXAMPLE = OpenApiExample(
    "a key with 90,000 base tokens",
    response_only=True,
    value={
        "key": "ak-k3Yx***9fQz",
        "name": "laptop",
        "state": "active",
        "granted": "90000",
        "used": "1234.5",
        "held": "20.48",
        "left": "88745.02",
        "created_at": "2026-11-01T08:00:00.000Z",
        "expires_at": None,
        "last_used_at": "2026-11-22T06:15:30.250Z",
        "limits": {
            "base_tokens": None,
            "budget": None,
            "requests_per_minute": 60,
            "tokens_per_minute": None,
            "concurrency": None,
            "models": [],
            "endpoints": [],
        },
    },
)

USAGE_EXAMPLE = OpenApiExample(
    "one call of gpt-4",
    response_only=True,
    value={
        "data": [
            {
                "request_id": _REQUEST_ID,
                "began_at": "2026-11-22T06:15:28.770Z",
                "ended_at": "2026-11-22T06:15:30.250Z",
                "endpoint": "chat_completions",
                "model": "gpt-4",
                "served_model": "gpt-4-0613",
                "stream": True,
                "status": "done",
                "http_status": 200,
                "error": None,
                "counts": dict.fromkeys(BUCKETS, 0) | {"input": 42, "output": 10},
                "counted_by": "upstream",
                "charge": "1240",
                "absorbed": "0",
                "first_token_ms": 312,
                "total_ms": 1480,
            }
        ],
        "next": None,
    },
)

_ANY = {"401": "No key, or none of this shop.", "406": "Something else than JSON is asked for."}
_BUSY = {
    "429": "More requests than a key, or a network, may make in a minute; see `Retry-After`.",
    "500": "A fault of ours; the log has the request id.",
}

_TOO_MANY = "Ensure this value is less than or equal to 200."
_PROBLEM = {
    "type": "object",
    "description": "Problem details as in RFC 9457.",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "The words of the status."},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "As in `x-request-id`."},
        "errors": {
            "type": "array",
            "description": "Which parameters are wrong.",
            "items": {
                "type": "object",
                "required": ["parameter", "detail"],
                "properties": {"parameter": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the key is sent."""

    target_class = "portal.api.authentication.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the form of the header."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The API key, as the relay takes it.",
        }


def only_the_api(endpoints: list[Any], **_options: Any) -> list[Any]:
    """Return the addresses that are described."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(PREFIX)]


def with_problems(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Add to each address what can go wrong."""
    result["components"]["schemas"]["Problem"] = _PROBLEM
    for methods in result["paths"].values():
        for operation in methods.values():
            operation["tags"] = ["key"]
            operation["responses"]["200"]["description"] = "As asked for."
            wrong = {"400": "A parameter is wrong; `errors` name it."}
            told = {**(wrong if operation.get("parameters") else {}), **_ANY, **_BUSY}
            for status, description in told.items():
                operation["responses"][status] = _problem_response(int(status), description)
    return result


def _problem_response(status: int, description: str) -> dict[str, Any]:
    example = {
        **json.loads(problems.body(status, request_id=_REQUEST_ID)),
        **({"errors": [{"parameter": "limit", "detail": _TOO_MANY}]} if status == 400 else {}),
    }
    answer: dict[str, Any] = {
        "description": description,
        "content": {
            problems.MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": example,
            }
        },
    }
    if status == 429:
        seconds = {"type": "integer", "minimum": 1}
        answer["headers"] = {"Retry-After": {"description": "Seconds.", "schema": seconds}}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return answer


@cache
def description() -> dict[str, Any]:
    """Return the OpenAPI description."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


@cache
def _as_text() -> bytes:
    return json.dumps(description(), indent=1, ensure_ascii=False).encode()


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """Answer the OpenAPI description, to everybody and every script."""
    return HttpResponse(
        _as_text(),
        content_type="application/json",
        headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"},
    )


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the description as a page on which calls can be tried; all its files are ours."""
    return render(request, "portal/api_docs.html", {"schema": reverse("api-schema")})
