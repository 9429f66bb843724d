"""Files that programs look for at a fixed address: what crawlers may read, and the icon."""

from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.views.decorators.http import require_safe

_CLOSED = ("/admin/", "/orders/", "/pay/", "/buy/", "/usage/key/", "/v1/", "/openai/")


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Keep crawlers to the pages that are the same for everybody."""
    rules = "".join(f"Disallow: {path}\n" for path in _CLOSED)
    return HttpResponse(f"User-agent: *\n{rules}", content_type="text/plain")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Lead programs that guess to the icon that pages name."""
    return HttpResponse(status=302, headers={"Location": static("portal/mark.svg")})
