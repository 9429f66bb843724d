"""Putting credit into the wallet of an account: packs that are paid, codes that are redeemed."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from billing import orders
from billing.errors import OrderInvalid
from billing.models import Order
from billing.orders.wishes import Target
from portal import paying, redeeming, throttle
from portal.account import page
from portal.account.visit import Visit
from portal.forms.usage import TopUpForm
from portal.request import network_hash, tenant_of, visitor_of
from portal.views.account import back, shown, signed_in

_ORDERS_PER_TEN_MINUTES = 30


@require_POST
@signed_in
def top_up(request: HttpRequest, current: Visit) -> HttpResponse:
    """Order a pack for the wallet and lead to where it is paid."""
    shop = tenant_of(request)
    language = get_language() or shop.language
    form = page.top_up_form(current.wallet, shop, language, data=request.POST)
    visitor, limit = visitor_of(request), _ORDERS_PER_TEN_MINUTES
    if not throttle.allow("checkout", visitor, limit=limit, per_s=600):
        form.add_error(None, _("Too many orders from your network. Try again in 10 minutes."))
        return shown(request, current, forms={"top_up": form}, status=429)
    order = _ordered(request, current, form) if form.is_valid() else None
    if form.is_stale:
        return back(request, _("Nothing was ordered: the page was out of date. Try once more."))
    if order is None:
        return shown(request, current, forms={"top_up": form}, status=400)
    return paying.start(request, order, form.chosen_instance)


@sensitive_post_parameters("code")
@require_POST
@signed_in
def redeem(request: HttpRequest, current: Visit) -> HttpResponse:
    """Use a redemption code up for the wallet."""
    form, order = page.redeem_form(current, tenant_of(request), data=request.POST), None
    if form.is_valid():
        target = Target(wallet_id=current.wallet.pk, user_id=current.user.pk)
        order = redeeming.redeemed(request, form, target=target)
    if form.is_stale:
        return back(request, _("Nothing was redeemed: the page was out of date. Try once more."))
    if order is None:
        return shown(request, current, forms={"redeem_form": form}, status=400)
    return back(request, _("The code was redeemed."))


def _ordered(request: HttpRequest, current: Visit, form: TopUpForm) -> Order | None:
    """Place the order; None if it can't be, for which the form then has words."""
    answers: dict[str, Any] = form.cleaned_data
    try:
        return orders.place(
            tenant_id=tenant_of(request).pk,
            checkout_id=answers["checkout_id"],
            product_id=int(answers["product"]),
            quantity=1,
            email=current.user.email,
            agreement_version=answers["agreement_version"],
            language=get_language() or "",
            wallet_id=current.wallet.pk,
            user_id=current.user.pk,
            address_hash=network_hash(request),
        )
    except OrderInvalid as error:
        form.refuse(error)
    return None
