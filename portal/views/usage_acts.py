"""What the holder of a key does on the usage page: top up, replace the key, change settings.

All of it by POST, all of it for the key of the visit alone: no form names another.
"""

from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from billing import key_settings
from billing.errors import FieldInvalid, StateInvalid
from billing.orders.wishes import Target
from portal import redeeming, topping_up
from portal.forms.usage import AlertForm, NameForm, ReplaceForm
from portal.request import tenant_of
from portal.usage import page, visit
from portal.usage.visit import Visit
from portal.views.usage import shown, with_visit


@require_POST
@with_visit
def top_up(request: HttpRequest, current: Visit) -> HttpResponse:
    """Order a pack for the key and lead to where it is paid."""
    shop, key = tenant_of(request), current.key
    return topping_up.answer(
        request,
        page.top_up_form(key, shop, get_language() or shop.language, data=request.POST),
        target=Target(key_id=key.pk),
        email=key.wallet.notify_email,
        shown=partial(shown, request, current),
        back=partial(_back, request),
    )


@sensitive_post_parameters("code")
@require_POST
@with_visit
def redeem(request: HttpRequest, current: Visit) -> HttpResponse:
    """Use a redemption code up for the key."""
    form = page.redeem_form(current.key, tenant_of(request), data=request.POST)
    order = None
    if form.is_valid():
        order = redeeming.redeemed(request, form, target=Target(key_id=current.key.pk))
    if form.is_stale:
        return _back(request, _("Nothing was redeemed: the page was out of date. Try once more."))
    if order is None:
        return shown(request, current, forms={"redeem_form": form}, status=400)
    return _back(request, _("The code was redeemed."), anchor="topup")


@require_POST
@with_visit
def replace(request: HttpRequest, current: Visit) -> HttpResponse:
    """Put a new key in the place of the old one and show it, in this one answer."""
    form, old = ReplaceForm(request.POST), current.key
    if not form.is_valid() or form.cleaned_data["kid"] != old.kid:
        return _back(request, _("Nothing was replaced: the key on this page is another one now."))
    overlap_s: int = form.cleaned_data["overlap_s"]
    try:
        key, plaintext = key_settings.replace(key=old, overlap_s=overlap_s)
    except StateInvalid:
        return _back(request, _("Nothing was replaced: this key can't be replaced now."))
    visit.move(request, current, key)
    old.refresh_from_db()
    context = {
        "section": "usage",
        "key": key,
        "plaintext": plaintext,
        "old": old,
        "overlap_s": overlap_s,
        "here": reverse("usage_key"),
    }
    response = render(request, "portal/usage_replaced.html", context)
    response["Referrer-Policy"] = "no-referrer"
    return response


@require_POST
@with_visit
def rename(request: HttpRequest, current: Visit) -> HttpResponse:
    """Give the key a name."""
    form = NameForm(request.POST, auto_id="own-%s")
    try:
        if form.is_valid():
            key_settings.rename(key=current.key, name=form.cleaned_data["name"])
            return _back(request, _("Saved."), anchor="set")
    except FieldInvalid:
        form.add_error("name", _("A name is one line of text."))
    except StateInvalid:
        return _refused(request)
    return shown(request, current, forms={"name_form": form}, status=400)


@require_POST
@with_visit
def alert(request: HttpRequest, current: Visit) -> HttpResponse:
    """Say below which balance a mail is sent, and to whom."""
    form = AlertForm(request.POST, wallet=current.key.wallet)
    if not form.is_valid():
        return shown(request, current, forms={"alert_form": form}, status=400)
    answers = form.cleaned_data
    try:
        key_settings.set_alert(key=current.key, email=answers["email"], below_ubt=answers["below"])
    except StateInvalid:
        return _refused(request)
    return _back(request, _("Saved."), anchor="set")


def _refused(request: HttpRequest) -> HttpResponse:
    return _back(request, _("This key works no more, so nothing can be changed with it."))


def _back(request: HttpRequest, words: str, *, anchor: str = "") -> HttpResponse:
    """Lead back to the page, where the words are said once."""
    messages.info(request, words)
    address = reverse("usage_key") + (f"#{anchor}" if anchor else "")
    return HttpResponseRedirect(address, status=303)
