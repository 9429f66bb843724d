"""The API's addresses: a key's summary and its calls, and an answer for all the others.

Read-only. Nothing of a session or a cookie counts, so any site's script may ask with a key in hand;
what comes from browsers is answered with the same CORS headers as the relay's look-ups.
"""

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone, translation
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import reports
from billing.models import ApiKey
from portal import throttle
from portal.api import cursors, problems, reference
from portal.api.answers import KeyAnswer, UsageAnswer, call_answers, key_answer
from portal.api.asking import UsageQuery, asked, filters_of
from portal.api.authentication import CALLS_OF_A_KEY, CALLS_OF_A_NETWORK, PER_S
from portal.request import visitor_of

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "x-request-id, retry-after",
}
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "authorization",
    "Access-Control-Max-Age": "86400",
}


class ApiView(APIView):
    """What the addresses have in common: English, throttles, CORS, nothing kept by caches."""

    http_method_names: ClassVar = ["get", "head", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer in English, whatever the pages are read in; a preflight comes without a key."""
        if request.method == "OPTIONS":
            return HttpResponse(status=204, headers=_PREFLIGHT)
        with translation.override("en"):
            response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        for name, value in {**_CORS, "Cache-Control": "no-store", "Content-Language": "en"}.items():
            response[name] = value
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count the request for its network, and then for its key."""
        if not throttle.allow("api", visitor_of(request), limit=CALLS_OF_A_NETWORK, per_s=PER_S):
            raise Throttled(wait=PER_S)
        super().initial(request, *args, **kwargs)
        key = request.auth
        if key and not throttle.allow("api-key", key.kid, limit=CALLS_OF_A_KEY, per_s=PER_S):
            raise Throttled(wait=PER_S)


class KeyView(ApiView):
    """A key's summary."""

    @extend_schema(
        operation_id="key",
        summary="Balance, state and limits",
        description="What was granted, used and is left, and what the key is held to.",
        responses=KeyAnswer,
        examples=[reference.KEY_EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        """Answer what the key was granted, has used and has left."""
        key: ApiKey = request.auth
        balance = reports.key_balance(key.pk)
        last = reports.records_of(key).order_by("-id").first()
        return Response(
            key_answer(
                key,
                balance,
                state=reports.standing(key, balance, now=timezone.now()),
                last_used_at=last.created_at if last else None,
            )
        )


class UsageView(ApiView):
    """A key's calls."""

    @extend_schema(
        operation_id="usage",
        summary="Calls, newest first",
        description=(
            "Follow `next` for older calls until it is null. A page may be empty and still have a "
            "next one: then nothing was found in the stretch that it has looked at."
        ),
        parameters=[UsageQuery],
        responses=UsageAnswer,
        examples=[reference.USAGE_EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        """Answer a page of the key's calls."""
        key: ApiKey = request.auth
        values = asked(request)
        filters = {name: text for name, text in request.query_params.items() if name in _NARROWS}
        page = reports.calls(
            key,
            filters_of(values),
            after=_after(values.get("cursor"), key, filters),
            limit=values["limit"],
        )
        rows = call_answers(page.records, reports.bills(page.records))
        if page.older is None:
            return Response({"data": rows, "next": None})
        cursor = cursors.write(page.older, key_id=key.pk, filters=filters)
        return Response({"data": rows, "next": _address(request, cursor)})


_NARROWS = ("from", "to", "model", "status", "stream", "endpoint")


def _after(cursor: str | None, key: ApiKey, filters: dict[str, str]) -> Any:
    if cursor is None:
        return None
    last = cursors.read(cursor, key_id=key.pk, filters=filters)
    if last is None:
        raise ValidationError({"cursor": ["It is none of ours for this key and these filters."]})
    return last


def _address(request: Request, cursor: str) -> str:
    query = request.query_params.copy()
    query["cursor"] = cursor
    return str(request.build_absolute_uri(f"{request.path}?{query.urlencode()}"))


def no_such_address(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Answer for an address of the API that there is not."""
    return problems.problem(request, 404, headers={**_CORS, "Cache-Control": "no-store"})
