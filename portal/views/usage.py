"""The usage page: a key opens it for 15 minutes, everything about the key stands on it.

The key comes in the body of a form and is forgotten when it has been found; the session holds its
id. A wrong key gets the same answer whatever is wrong with it.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from billing.models import ApiKey
from portal import key_entry
from portal.forms.usage import EntryForm
from portal.lines import lines_of
from portal.request import tenant_of
from portal.usage import page, visit
from portal.usage.visit import Visit

View = Callable[..., HttpResponseBase]

private = cache_control(private=True, no_store=True)


def with_visit(view: View) -> View:
    """Give a view the visit that is going on; without one, lead to where a key is entered."""

    @functools.wraps(view)
    def found(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        current = visit.current(request)
        if current is None:
            return HttpResponseRedirect(f"{reverse('usage')}?ended=1", status=303)
        return view(request, current, **kwargs)

    return private(found)


@sensitive_post_parameters("key")
@private
@require_http_methods(["GET", "HEAD", "POST"])
def enter(request: HttpRequest) -> HttpResponse:
    """Show where a key is entered; take it and open its page."""
    if request.method != "POST":
        if visit.current(request) is not None:
            return HttpResponseRedirect(reverse("usage_key"), status=303)
        return _entry(request, EntryForm(auto_id="%s"))
    form = EntryForm(request.POST, auto_id="%s")
    if not key_entry.is_open(request):
        form = EntryForm(auto_id="%s")
        return _entry(request, form, status=429)
    key = _found(request, form) if form.is_valid() else None
    if key is None:
        key_entry.count_wrong(request)
        return _entry(request, form, status=400)
    visit.begin(request, key)
    return HttpResponseRedirect(reverse("usage_key"), status=303)


@require_safe
@with_visit
def usage(request: HttpRequest, current: Visit) -> HttpResponse:
    """Show the page of the key."""
    return shown(request, current)


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Forget whose usage was looked at."""
    visit.end(request)
    return HttpResponseRedirect(reverse("usage"), status=303)


def shown(
    request: HttpRequest,
    current: Visit,
    *,
    forms: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Return the page of a key, with forms that were sent and are wrong."""
    shop = tenant_of(request)
    context = page.context(
        current,
        shop=shop,
        language=get_language() or shop.language,
        asked=request.GET,
        lines={line.id: line.name for line in lines_of(request) if line.id is not None},
        forms=forms,
    )
    context["here"] = request.get_full_path() if request.method == "GET" else reverse("usage_key")
    return render(request, "portal/usage.html", context, status=status)


def _found(request: HttpRequest, form: EntryForm) -> ApiKey | None:
    """Return the key that was pasted, if this shop has it; all others are equally unknown."""
    key = key_entry.find(request, form.cleaned_data["key"])
    if key is None:
        text = _("This shop has no such key. Copy it whole, from first to last letter.")
        form.add_error("key", text)
    return key


def _entry(request: HttpRequest, form: EntryForm, *, status: int = 200) -> HttpResponse:
    context = {
        "section": "usage",
        "form": form,
        "is_throttled": status == 429,
        "has_ended": "ended" in request.GET,
        "here": reverse("usage"),
    }
    response = render(request, "portal/usage_enter.html", context, status=status)
    if status == 429:
        response["Retry-After"] = "60"
    return response
