"""Error pages, in the look of the shop that was called if there is one.

They need no database and no session, so that they can always be shown: what they say of a shop is
what the request knows already. Scripts that called the API are answered in its own form.
"""

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from portal import brand
from portal.api.problems import problem


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    return _page(request, "portal/404.html", status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return _page(request, "portal/400.html", status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return _page(request, "portal/403.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was sent from elsewhere or after its cookie had gone."""
    return _page(request, "portal/403.html", status=403)


def too_many(request: HttpRequest, *, after_s: int) -> HttpResponse:
    """Answer 429: tried too often; in `after_s` seconds there is a next try. Called by views."""
    response = _page(request, "portal/429.html", status=429)
    response["Retry-After"] = str(after_s)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, with the request id that the log knows."""
    return _page(request, "portal/500.html", status=500)


def unknown_host(request: HttpRequest) -> HttpResponse:
    """Answer 421: the address leads here, but no shop uses it. No brand, no data of any shop."""
    return _page(request, "portal/421.html", status=421)


def _page(request: HttpRequest, template: str, *, status: int) -> HttpResponse:
    if request.path_info.startswith("/api/"):
        return problem(request, status)
    shop = getattr(request, "tenant", None)
    context = {
        "frame": "portal/_shop.html" if shop else "portal/_bare.html",
        "request_id": getattr(request, "request_id", ""),
        "tenant": shop,
        "brand_version": brand.version(shop) if shop else "",
    }
    return HttpResponse(render_to_string(template, context), status=status)
