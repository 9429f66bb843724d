"""Putting credit into the wallet of an account: packs that are paid, codes that are redeemed."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from billing.orders.wishes import Target
from portal import redeeming, topping_up
from portal.account import page
from portal.account.visit import Visit
from portal.request import tenant_of
from portal.views.account import back, shown, signed_in


@require_POST
@signed_in
def top_up(request: HttpRequest, current: Visit) -> HttpResponse:
    """Order a pack for the wallet and lead to where it is paid."""
    shop = tenant_of(request)
    language = get_language() or shop.language
    return topping_up.answer(
        request,
        page.top_up_form(current.wallet, shop, language, data=request.POST),
        target=Target(wallet_id=current.wallet.pk, user_id=current.user.pk),
        email=current.user.email,
        shown=partial(shown, request, current),
        back=partial(back, request),
    )


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
