"""Signing in by a mailed link, and out again.

Who asks learns nothing: known and unknown addresses get the same answer, and the same mail. Opening
the link changes nothing, because mail scanners open links, too: a button signs in.
"""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from kombu.exceptions import OperationalError

from billing import sign_in as links
from billing.orders import mailboxes
from portal import throttle
from portal.account import visit
from portal.forms.account import SignInForm
from portal.request import tenant_of, visitor_of
from portal.tasks import mail_sign_in
from portal.usage import visit as usage
from portal.views import errors

MAILS_PER_HOUR = 5

_MAILS_OF_ALL = 20
"""Mails an hour to one address, whoever asks for them."""
_ASKED_PER_TEN_MINUTES = 20
_WRONG_LINKS_PER_MINUTE = 30
_WANTED = "wanted"


@cache_control(private=True, no_store=True)
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Take an address and have a link mailed to it."""
    if request.method != "POST":
        if visit.current(request) is not None:
            return HttpResponseRedirect(reverse("account"), status=303)
        return _page(request, SignInForm(initial={"pack": request.GET.get("pack")}, auto_id="%s"))
    if not throttle.allow("sign-in", visitor_of(request), limit=_ASKED_PER_TEN_MINUTES, per_s=600):
        return errors.too_many(request, after_s=600)
    form = SignInForm(request.POST, auto_id="%s")
    if not form.is_valid():
        return _page(request, form, status=400)
    if form.cleaned_data["pack"]:
        request.session[_WANTED] = form.cleaned_data["pack"]
    _mail_link_soon(request, form.cleaned_data["email"])
    return HttpResponseRedirect(reverse("sign_in_sent"), status=303)


@require_safe
def sent(request: HttpRequest) -> HttpResponse:
    """Say that the link was mailed."""
    return render(request, "portal/sign_in_sent.html", {"mails_per_hour": MAILS_PER_HOUR})


@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, mail_id: int, proof: str) -> HttpResponse:
    """Show the button that signs in; pressed, sign in and lead to the account."""
    email = links.recipient_of(mail_id=mail_id, token=proof)
    wallet = links.enter(mail_id=mail_id, token=proof) if email and _is_post(request) else None
    if wallet is not None:
        visit.begin(request, wallet)
        return HttpResponseRedirect(_next(request), status=303)
    if email and not _is_post(request):
        return _private(render(request, "portal/sign_in_link.html", {"email": email}))
    visitor, limit = visitor_of(request), _WRONG_LINKS_PER_MINUTE
    if not throttle.allow("sign-in link", visitor, limit=limit, per_s=60):
        return errors.too_many(request, after_s=60)
    return _private(render(request, "portal/sign_in_over.html", status=410))


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Sign out, and out of the usage page, which the account may have opened."""
    visit.end(request)
    usage.end(request)
    return HttpResponseRedirect(reverse("sign_in"), status=303)


def _is_post(request: HttpRequest) -> bool:
    return request.method == "POST"


def _next(request: HttpRequest) -> str:
    """Return the account's address, with the pack that was to be bought."""
    slug = request.session.pop(_WANTED, "")
    return reverse("account") + (f"?pack={slug}#credit" if slug else "")


def _mail_link_soon(request: HttpRequest, email: str) -> None:
    """Leave it to a job, so that the answer takes as long whoever's address it is.

    An address that has been asked for often gets no more links for a while, and nobody is told.
    """
    tenant_id = tenant_of(request).pk
    if not _may_mail(mailboxes.hash_of(email, tenant_id=tenant_id), visitor_of(request)):
        return
    wanted = {"tenant_id": tenant_id, "email": email, "language": get_language() or ""}
    try:
        mail_sign_in.apply_async(kwargs=wanted, expires=600, retry=False)
    except OperationalError:
        mail_sign_in(**wanted)  # without a queue someone who waits is better served late


def _may_mail(mailbox: str, visitor: str) -> bool:
    """Count a link for a mailbox; one network alone can't use up all that its owner may need."""
    own = throttle.allow("sign-in mail", f"{mailbox} {visitor}", limit=MAILS_PER_HOUR, per_s=3_600)
    return own and throttle.allow("sign-in mails", mailbox, limit=_MAILS_OF_ALL, per_s=3_600)


def _page(request: HttpRequest, form: SignInForm, *, status: int = 200) -> HttpResponse:
    context = {"section": "account", "form": form, "here": reverse("sign_in")}
    return render(request, "portal/sign_in.html", context, status=status)


def _private(response: HttpResponse) -> HttpResponse:
    """Keep an answer out of caches, search engines and other sites' referrers.

    `no-referrer` would make browsers send our own form without an origin, which looks forged.
    """
    response["Cache-Control"] = "private, no-store"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Referrer-Policy"] = "strict-origin"
    return response
