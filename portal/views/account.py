"""The account: what its wallet has, its keys, what it can buy, what it has ordered."""

import functools
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from portal.account import page, visit
from portal.account.visit import Visit
from portal.request import tenant_of

View = Callable[..., HttpResponseBase]

private = cache_control(private=True, no_store=True)


def signed_in(view: View) -> View:
    """Give a view who is signed in; lead everybody else to where one does."""

    @functools.wraps(view)
    def found(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        current = visit.current(request)
        if current is None:
            wanted = urlencode({"pack": request.GET["pack"]}) if "pack" in request.GET else ""
            address = reverse("sign_in") + (f"?{wanted}" if wanted else "")
            return HttpResponseRedirect(address, status=303)
        return view(request, current, **kwargs)

    return private(found)


@require_safe
@signed_in
def account(request: HttpRequest, current: Visit) -> HttpResponse:
    """Show the account."""
    return shown(request, current)


def shown(
    request: HttpRequest,
    current: Visit,
    *,
    forms: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Return the page of the account, with forms that were sent and are wrong."""
    shop = tenant_of(request)
    context = page.context(
        current,
        shop=shop,
        language=get_language() or shop.language,
        wanted=request.GET.get("pack", ""),
        forms=forms,
    )
    context["here"] = reverse("account")
    return render(request, "portal/account.html", context, status=status)


def back(request: HttpRequest, words: str, *, to: str = "") -> HttpResponse:
    """Lead back to the account, or to one of its pages, where the words are said once."""
    messages.info(request, words)
    return HttpResponseRedirect(to or reverse("account"), status=303)
