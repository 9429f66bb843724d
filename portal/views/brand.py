"""`/brand.css`: the accents of a shop, in its own style sheet because nothing inline may be."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from portal import brand
from portal.request import tenant_of


@require_safe
def style_sheet(request: HttpRequest) -> HttpResponse:
    """Answer with the shop's accents; pages name the version, so browsers may keep it."""
    shop = tenant_of(request)
    is_current = request.META.get("QUERY_STRING") == brand.version(shop)
    age_s = 31_536_000 if is_current else 60
    return HttpResponse(
        brand.style_sheet(shop),
        content_type="text/css; charset=utf-8",
        headers={"Cache-Control": f"public, max-age={age_s}"},
    )
