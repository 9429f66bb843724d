"""The agreement and the privacy page of a shop, their earlier versions, and what has changed."""

from collections.abc import Mapping

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from billing.models import LegalText
from portal import comparison, legal
from portal.legal import LegalPage
from portal.request import tenant_of

TITLES: dict[str, str | Promise] = {
    LegalText.AGREEMENT: _("User agreement"),
    LegalText.PRIVACY: _("Privacy"),
}


@require_safe
def current(request: HttpRequest, purpose: str) -> HttpResponse:
    """Show the text that counts now."""
    page = legal.current(tenant_of(request), purpose, get_language())
    return _shown(request, "portal/legal.html", purpose, {"page": page, "is_current": True})


@require_safe
def version(request: HttpRequest, purpose: str, version: str) -> HttpResponse:
    """Show one version, as an order or a receipt names it."""
    shop = tenant_of(request)
    page = legal.version(shop, purpose, version, get_language())
    if page is None:
        raise Http404
    is_current = page.version == legal.current(shop, purpose, get_language()).version
    return _shown(request, "portal/legal.html", purpose, {"page": page, "is_current": is_current})


@require_safe
def versions(request: HttpRequest, purpose: str) -> HttpResponse:
    """List the versions that have counted; compare the two that are asked for."""
    pages = legal.versions(tenant_of(request), purpose, get_language())
    older, newer = _asked(request, pages, "from"), _asked(request, pages, "to")
    context = {
        "pages": pages,
        "older": older or (pages[1] if len(pages) > 1 else None),
        "newer": newer or pages[0],
        "sections": comparison.compare(older.text, newer.text) if older and newer else None,
    }
    return _shown(request, "portal/legal_versions.html", purpose, context)


def _asked(request: HttpRequest, pages: list[LegalPage], name: str) -> LegalPage | None:
    wanted = request.GET.get(name, "")
    return next((page for page in pages if page.version == wanted), None)


def _shown(
    request: HttpRequest, template: str, purpose: str, context: Mapping[str, object]
) -> HttpResponse:
    words = {"purpose": purpose, "title": TITLES[purpose], **context}
    response = render(request, template, words)
    patch_cache_control(response, private=True, no_cache=True)
    return response
