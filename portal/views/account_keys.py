"""The keys of an account: made, looked at, switched off, replaced, revoked. Only the wallet's own.

A new key is shown once, by the answer to the form that made it.
"""

from typing import Any
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from billing import account_keys, catalogue
from billing.errors import FieldInvalid, LimitReached, NotFound, StateInvalid
from billing.models import ApiKey
from billing.pricing import is_variant
from portal import throttle
from portal.account import page
from portal.account.visit import Visit
from portal.forms.account import NewKeyForm
from portal.forms.usage import OVERLAPS, ReplaceForm
from portal.request import tenant_of
from portal.usage import visit as usage
from portal.views.account import back, signed_in

KEYS_PER_HOUR = 120

_MADE = "key made"


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def new(request: HttpRequest, current: Visit) -> HttpResponse:
    """Show the form of a new key, say what it will be allowed, and make it."""
    form = _form(request)
    if not form.is_bound:
        return _asked(request, form)
    if not form.is_valid() or "preview" in request.POST:
        return _asked(request, form, status=400 if form.errors else 200)
    answers, once = form.cleaned_data, str(form.cleaned_data["once"])
    if request.session.get(_MADE) == once:
        words = _("This key was made already, and is shown no second time. Missed it? Replace it.")
        return back(request, words)
    if not _may_make(current):
        form.add_error(None, _too_many())
        return _asked(request, form, status=429)
    try:
        key, plaintext = account_keys.create(
            current.wallet, name=answers["name"], expires_at=answers["expires_at"], **form.limits()
        )
    except FieldInvalid:
        form.add_error("name", _("A name is one line of text."))
    except LimitReached:
        form.add_error(None, _("That is one key too many. Revoke one that nobody uses."))
    else:
        request.session[_MADE] = once
        return _made(request, current, key, plaintext)
    return _asked(request, form, status=400)


@require_safe
@signed_in
def key(request: HttpRequest, current: Visit, kid: str) -> HttpResponse:
    """Show a key: how it stands, what it may do, and what can be done with it."""
    found, now = _own(current, kid), timezone.now()
    summary = page.summary_of(current.wallet, now=now)
    (row,) = page.rows_of([found], summary, shop=tenant_of(request), now=now)
    is_usable = found.status == ApiKey.ACTIVE and found.replaced_at is None
    context = {
        "section": "account",
        "row": row,
        "key": found,
        "policy": found,
        "may_replace": is_usable and found.wallet.status == found.wallet.ACTIVE,
        "overlaps": OVERLAPS,
    }
    return render(request, "portal/account_key.html", context)


@require_POST
@signed_in
def switch(request: HttpRequest, current: Visit, kid: str) -> HttpResponse:
    """Switch a key off, or on again."""
    is_on = request.POST.get("is_on") == "1"
    try:
        account_keys.switch(current.wallet, kid=_own(current, kid).kid, is_on=is_on)
    except StateInvalid:
        return _back(request, kid, _("It was revoked, so it can't be switched on."))
    on, off = _("The key is switched on."), _("The key is switched off: its calls are refused.")
    return _back(request, kid, on if is_on else off)


@require_POST
@signed_in
def replace(request: HttpRequest, current: Visit, kid: str) -> HttpResponse:
    """Put a new key in the place of one and show it, in this one answer."""
    old, form = _own(current, kid), ReplaceForm({**request.POST.dict(), "kid": kid})
    if not form.is_valid():
        return _back(request, kid, _("Nothing was replaced. Choose when the old key ends."))
    if not _may_make(current):
        return _back(request, kid, _too_many())
    overlap_s: int = form.cleaned_data["overlap_s"]
    try:
        fresh, plaintext = account_keys.replace(current.wallet, kid=kid, overlap_s=overlap_s)
    except StateInvalid:
        return _back(request, kid, _("Nothing was replaced: this key can't be replaced now."))
    old.refresh_from_db()
    return _made(request, current, fresh, plaintext, old=old, overlap_s=overlap_s)


@require_POST
@signed_in
def revoke(request: HttpRequest, current: Visit, kid: str) -> HttpResponse:
    """End a key for good."""
    ended = account_keys.revoke(current.wallet, kid=_own(current, kid).kid)
    words = _("The key %(name)s is revoked. The balance stays in the wallet.")
    return back(request, words % {"name": str(ended)})


@require_POST
@signed_in
def calls(request: HttpRequest, current: Visit, kid: str) -> HttpResponse:
    """Open the usage page of a key, as if it had been pasted there."""
    usage.begin(request, _own(current, kid))
    return HttpResponseRedirect(reverse("usage_key"), status=303)


def _own(current: Visit, kid: str) -> ApiKey:
    """Return a key of the wallet, or answer 404."""
    try:
        return account_keys.find(current.wallet, kid=kid)
    except NotFound:
        raise Http404 from None


def _may_make(current: Visit) -> bool:
    """Tell whether one more key may be made; those that were revoked stay in the records."""
    return throttle.allow("new keys", str(current.wallet.pk), limit=KEYS_PER_HOUR, per_s=3_600)


def _too_many() -> str:
    return _("Too many new keys within an hour. Nothing was made; try again later.")


def _form(request: HttpRequest) -> NewKeyForm:
    shop = tenant_of(request)
    return NewKeyForm(
        request.POST if request.method == "POST" else None,
        models=[name for name in catalogue.current_prices(shop.pk) if not is_variant(name)],
        zone=ZoneInfo(shop.time_zone),
    )


def _asked(request: HttpRequest, form: NewKeyForm, *, status: int = 200) -> HttpResponse:
    """Show the form, and beside it what the key would be allowed as far as that is known."""
    is_right = form.is_bound and not form.errors
    policy = ApiKey(**_policy(form)) if is_right else ApiKey()
    context = {"section": "account", "form": form, "policy": policy, "is_previewed": is_right}
    context["here"] = reverse("account_key_new")
    return render(request, "portal/account_key_new.html", context, status=status)


def _policy(form: NewKeyForm) -> dict[str, Any]:
    answers = form.cleaned_data
    return {"name": answers["name"], "expires_at": answers["expires_at"], **form.limits()}


def _made(
    request: HttpRequest,
    current: Visit,
    key: ApiKey,
    plaintext: str,
    *,
    old: ApiKey | None = None,
    overlap_s: int = 0,
) -> HttpResponse:
    """Show a key that was made, in this one answer."""
    context = {
        "section": "account",
        "key": key,
        "policy": key,
        "plaintext": plaintext,
        "old": old,
        "overlap_s": overlap_s,
        "is_empty": current.wallet.available_ubt <= 0,
        "here": reverse("account"),
    }
    response = render(request, "portal/account_key_made.html", context)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _back(request: HttpRequest, kid: str, words: str) -> HttpResponse:
    return back(request, words, to=reverse("account_key", args=[kid]))
