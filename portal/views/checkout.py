"""Checkout: one form from a product to its payment. Prices are the server's; the form sends none.

The form's own `checkout_id` makes a form that is sent twice one order. A trial is delivered by mail
alone: the browser that asks for it gets no link, because anybody may type anybody's address.
"""

from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from billing import catalogue, orders, payments
from billing.errors import LimitReached, OrderInvalid
from billing.ledger.clock import database_now
from billing.models import Order, Product
from billing.orders import limits, lookup
from billing.payments.manual import MANUAL
from portal import code_entry, key_entry, legal, offers, paying, quotes, throttle
from portal.account import visit as account_visit
from portal.forms.checkout import NEW_KEY, CheckoutForm
from portal.forms.refusals import refusal
from portal.request import network_hash, tenant_of, visitor_of

_ORDERS_PER_TEN_MINUTES = 60
_KEPT = ("to", "email", "payment", "coupon", "agreed")


@sensitive_post_parameters("key")
@cache_control(private=True, no_store=True)
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the form; take it, place the order and lead to where it is paid."""
    product = get_object_or_404(Product, slug=slug, is_active=True)
    if product.kind == Product.CREDIT:
        # Sold on the page of an account; who is not signed in gets there by signing in.
        page = "account" if account_visit.current(request) else "sign_in"
        return HttpResponseRedirect(f"{reverse(page)}?pack={product.slug}", status=303)
    if request.method != "POST":
        # What is sent after the end is answered in words, below the form that was open.
        get_object_or_404(Product, limits.on_sale(database_now()), pk=product.pk)
        return _page(request, _form(request, product))
    if "apply" in request.POST:
        return _with_coupon(request, product)
    form = _form(request, product, data=request.POST)
    if form.is_valid() and _is_one_too_many(request, form):
        form.add_error(None, _("Too many orders from your network. Try again in 10 minutes."))
        return _page(request, form, problem=_problem_of_coupon(request, form), status=429)
    order = _placed(request, form) if form.is_valid() else None
    if order is None:
        return _page(request, form, problem=_problem_of_coupon(request, form), status=400)
    return _next(request, order, form)


@require_safe
def trial_sent(request: HttpRequest, trial: str) -> HttpResponse:
    """Say that the link to a trial's key is in the mail."""
    product = get_object_or_404(Product, slug=trial, kind=Product.TRIAL)
    return render(request, "portal/trial_sent.html", {"section": "buy", "product": product})


def _with_coupon(request: HttpRequest, product: Product) -> HttpResponse:
    """Show the form as it was filled in, with the price that a coupon makes; nothing is ordered."""
    form = _form(request, product, kept=request.POST)
    problem = _problem_of_coupon(request, form)
    return _page(request, form, problem=problem, status=400 if problem else 200)


def _problem_of_coupon(request: HttpRequest, form: CheckoutForm) -> str:
    """Return why the coupon in the form can't be used, "" if it can or none is asked about.

    Whenever a page is to show its price: that would tell right ones from wrong, whatever else is
    missing in the form.
    """
    if not form.shown_coupon:
        return ""
    if not code_entry.is_open(request):
        return _("Too many codes that were not right. Try again in 10 minutes.")
    email = str(form["email"].value() or "")
    try:
        orders.price(
            form.product, quantity=form.shown_quantity, coupon=form.shown_coupon, email=email
        )
    except OrderInvalid as error:
        _count_wrong(request, error)
        return str(refusal(error))
    return ""


def _count_wrong(request: HttpRequest, error: OrderInvalid) -> None:
    """Count a coupon that was guessed, and one that tells whether somebody else has used it."""
    if error.field == "coupon" and error.code in ("unknown", "person"):
        code_entry.count_wrong(request)


def _form(
    request: HttpRequest, product: Product, *, data: Any = None, kept: Any = None
) -> CheckoutForm:
    """Return the form: as it was sent, or to be filled in, or with what is kept of an earlier."""
    shop = tenant_of(request)
    agreement = legal.current(shop, "agreement", get_language() or shop.language)
    instances, signed_in = payments.offered(shop), account_visit.current(request)
    initial = {
        "checkout_id": uuid4(),  # none that follows from another: it leads to the order's link
        "agreement_version": agreement.version,
        "to": NEW_KEY,
        "email": signed_in.user.email if signed_in else "",
        "quantity": 1,
        "payment": instances[0].public_id if instances else "",
        **(_kept(product, kept) if kept else {}),
    }
    return CheckoutForm(
        data, product=product, instances=instances, agreement=agreement, initial=initial
    )


def _kept(product: Product, sent: Any) -> dict[str, Any]:
    """Return what stays in the form when only its price was asked for."""
    kept = {name: sent[name] for name in _KEPT if name in sent}
    with suppress(ValueError):
        kept["checkout_id"] = UUID(sent.get("checkout_id", ""))
    with suppress(ValueError):
        kept["quantity"] = min(max(int(sent.get("quantity", "")), 1), product.max_quantity)
    return kept


def _is_one_too_many(request: HttpRequest, form: CheckoutForm) -> bool:
    """Tell whether a network has placed too many orders; one that is sent again counts once."""
    if Order.objects.filter(checkout_id=form.cleaned_data["checkout_id"]).exists():
        return False
    visitor = visitor_of(request)
    return not throttle.allow("checkout", visitor, limit=_ORDERS_PER_TEN_MINUTES, per_s=600)


def _placed(request: HttpRequest, form: CheckoutForm) -> Order | None:
    """Place the order; None if it can't be, for which the form then has words."""
    answers = form.cleaned_data
    key = key_entry.pasted(request, form) if answers["is_top_up"] else None
    if answers.get("coupon") and not code_entry.is_open(request):
        form.add_error("coupon", _("Too many codes that were not right. Try again in 10 minutes."))
    if form.errors:
        return None
    try:
        return orders.place(
            tenant_id=tenant_of(request).pk,
            checkout_id=answers["checkout_id"],
            product_id=form.product.pk,
            quantity=answers["quantity"],
            email=answers["email"],
            agreement_version=answers["agreement_version"],
            language=get_language() or "",
            key_id=key.pk if key else None,
            user_id=_buyer(request, form.product),
            coupon=answers.get("coupon", ""),
            address_hash=network_hash(request),
        )
    except OrderInvalid as error:
        if error.code == "trial_taken":
            # Whoever typed the address must not learn that its owner has been here.
            return lookup.mail_first_trial(tenant_id=tenant_of(request).pk, email=answers["email"])
        _count_wrong(request, error)
        form.refuse(error)
    except LimitReached:
        form.add_error(None, _("Enough trials from your network for today. Try again tomorrow."))
    return None


def _buyer(request: HttpRequest, product: Product) -> UUID | None:
    """Return who is signed in, whose account then lists the order.

    A trial's link is for its mailbox alone, and anybody may type anybody's address.
    """
    signed_in = account_visit.current(request)
    return signed_in.user.pk if signed_in and product.kind != Product.TRIAL else None


def _next(request: HttpRequest, order: Order, form: CheckoutForm) -> HttpResponse:
    """Lead to where the buyer goes from here; a trial's way leads through the mailbox."""
    if form.product.kind == Product.TRIAL:
        return HttpResponseRedirect(reverse("trial_sent", args=[form.product.slug]), status=303)
    return paying.start(request, order, form.chosen_instance)


def _page(
    request: HttpRequest, form: CheckoutForm, *, problem: str = "", status: int = 200
) -> HttpResponse:
    """Return the form with its prices; `problem` is why a coupon that was asked about is none."""
    product, shop = form.product, tenant_of(request)
    form.put_cursor()
    coupon = "" if problem else form.shown_coupon
    context = {
        "section": "buy",
        "form": form,
        "product": product,
        "what": offers.title(product),
        "promise": offers.promise(product, catalogue.current_prices(shop.pk)),
        "quote": quotes.quote(
            product, quantity=form.shown_quantity, currency=shop.currency, coupon=coupon
        ),
        "problem": problem,
        "methods": [(offers.method_of(one), one) for one in form.instances],
        "takes_transfers": any(one.provider == MANUAL for one in form.instances),
    }
    return render(request, "portal/checkout.html", context, status=status)
