"""The page that takes a redemption code: for a new key, a key that is there, or an account."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from billing import key_settings
from billing.models import ApiKey, Order, Wallet
from billing.orders import links
from billing.orders.wishes import Target
from portal import key_entry, redeeming
from portal.account import visit as account_visit
from portal.forms.redeem import ACCOUNT, NEW_KEY, OWN_KEY, TOP_UP, RedeemForm
from portal.request import tenant_of
from portal.usage import visit as usage_visit


@sensitive_post_parameters("code", "key")
@cache_control(private=True, no_store=True)
@require_http_methods(["GET", "HEAD", "POST"])
def redeem(request: HttpRequest) -> HttpResponse:
    """Show the form; take a code and lead to the page of its order."""
    if request.method != "POST":
        return _page(request, _form(request))
    form = _form(request, is_sent=True)
    order = _redeemed(request, form) if form.is_valid() else None
    if order is None:
        form.put_cursor()
        return _page(request, form, status=400)
    return HttpResponseRedirect(links.path_of(order), status=303)


def _form(request: HttpRequest, *, is_sent: bool = False) -> RedeemForm:
    """Return the form with the ways that there are for this visitor, the likeliest chosen."""
    signed_in, key = account_visit.current(request), _key_of_visit(request)
    known_emails = {NEW_KEY: signed_in.user.email if signed_in else "", TOP_UP: ""}
    if key is not None:
        known_emails[OWN_KEY] = key.wallet.notify_email
    if signed_in is not None:
        known_emails[ACCOUNT] = signed_in.user.email
    likeliest = ACCOUNT if signed_in else OWN_KEY if key else NEW_KEY
    return RedeemForm(
        request.POST if is_sent else None,
        known_emails=known_emails,
        initial={**redeeming.initial(tenant_of(request)), "to": likeliest},
        auto_id="%s",
    )


def _redeemed(request: HttpRequest, form: RedeemForm) -> Order | None:
    target = _target(request, form)
    return redeeming.redeemed(request, form, target=target) if target else None


def _target(request: HttpRequest, form: RedeemForm) -> Target | None:
    """Return what is to be credited; None with words in the form for what is not there."""
    way = form.cleaned_data["to"]
    signed_in = account_visit.current(request)
    if way == ACCOUNT and signed_in is not None:
        return Target(wallet_id=signed_in.wallet.pk, user_id=signed_in.user.pk)
    if way not in (TOP_UP, OWN_KEY):
        return Target(user_id=signed_in.user.pk if signed_in else None)
    key = _key_of_visit(request) if way == OWN_KEY else key_entry.pasted(request, form)
    return Target(key_id=key.pk) if key else None


def _key_of_visit(request: HttpRequest) -> ApiKey | None:
    """Return the key whose usage page is open here, if it can be topped up."""
    visit = usage_visit.current(request)
    if visit is None or visit.key.wallet.owner_id is not None:
        return None
    is_usable = key_settings.may_act(visit.key) and visit.key.wallet.status == Wallet.ACTIVE
    return visit.key if is_usable else None


def _page(request: HttpRequest, form: RedeemForm, *, status: int = 200) -> HttpResponse:
    context = {
        "section": "buy",
        "form": form,
        "way": form["to"].value(),
        "key": _key_of_visit(request),
        "signed_in": account_visit.current(request),
    }
    return render(request, "portal/redeem.html", context, status=status)
