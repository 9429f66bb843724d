"""The agreement and the privacy page of a shop."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from billing.models import LegalText
from portal import legal
from portal.request import tenant_of


@require_safe
def agreement(request: HttpRequest) -> HttpResponse:
    """Show what buyers agree to."""
    return _page(request, LegalText.AGREEMENT, _("User agreement"))


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """Show what is kept of a buyer, and what is not."""
    return _page(request, LegalText.PRIVACY, _("Privacy"))


def _page(request: HttpRequest, purpose: str, title: str) -> HttpResponse:
    page = legal.current(tenant_of(request), purpose, get_language())
    response = render(request, "portal/legal.html", {"page": page, "title": title})
    patch_cache_control(response, private=True, no_cache=True)
    return response
