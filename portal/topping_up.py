"""Buying a pack for what is there: a key, or an account's wallet. Called by their two pages."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from billing import orders
from billing.errors import OrderInvalid
from billing.models import Order
from billing.orders.wishes import Target
from portal import paying, throttle
from portal.forms.usage import TopUpForm
from portal.request import network_hash, tenant_of, visitor_of

_ORDERS_PER_TEN_MINUTES = 30


def answer(
    request: HttpRequest,
    form: TopUpForm,
    *,
    target: Target,
    email: str,
    shown: Callable[..., HttpResponse],
    back: Callable[[str], HttpResponse],
) -> HttpResponse:
    """Order the pack that a form names and lead to where it is paid.

    `email` is where to write to if the form names no address. `shown` is the page with the form
    that is wrong, `back` the page anew, which says why nothing was ordered.
    """
    visitor, limit = visitor_of(request), _ORDERS_PER_TEN_MINUTES
    if not throttle.allow("checkout", visitor, limit=limit, per_s=600):
        form.add_error(None, _("Too many orders from your network. Try again in 10 minutes."))
        return shown(forms={"top_up": form}, status=429)
    order = _ordered(request, form, target=target, email=email) if form.is_valid() else None
    if form.is_stale:
        return back(_("Nothing was ordered: the page was out of date. Try once more."))
    if order is None:
        return shown(forms={"top_up": form}, status=400)
    return paying.start(request, order, form.chosen_instance)


def _ordered(request: HttpRequest, form: TopUpForm, *, target: Target, email: str) -> Order | None:
    """Place the order; None if it can't be, for which the form then has words."""
    answers: dict[str, Any] = form.cleaned_data
    try:
        return orders.place(
            tenant_id=tenant_of(request).pk,
            checkout_id=answers["checkout_id"],
            product_id=int(answers["product"]),
            quantity=1,
            email=answers.get("email") or email,
            agreement_version=answers["agreement_version"],
            language=get_language() or "",
            key_id=target.key_id,
            wallet_id=target.wallet_id,
            user_id=target.user_id,
            address_hash=network_hash(request),
        )
    except OrderInvalid as error:
        form.refuse(error)
    return None
