"""Redeeming a code that was typed into a page. Called by the redeem page and the usage page."""

from typing import Any
from uuid import uuid4

from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from billing import orders
from billing.errors import OrderInvalid
from billing.models import Order, Tenant
from billing.orders.wishes import Target
from portal import code_entry, legal
from portal.forms.redeem import CodeForm
from portal.request import network_hash, tenant_of


def initial(shop: Tenant) -> dict[str, Any]:
    """Return what a form that takes a code begins with."""
    language = get_language() or shop.language
    return {
        "checkout_id": uuid4(),  # none that follows from another: it leads to the order's link
        "agreement_version": legal.current(shop, "agreement", language).version,
    }


def redeemed(request: HttpRequest, form: CodeForm, *, target: Target) -> Order | None:
    """Use a valid form's code up; None if it can't be, for which the form then has words."""
    if not code_entry.is_open(request):
        form.add_error("code", _("Too many codes that were not right. Try again in 10 minutes."))
        return None
    answers = form.cleaned_data
    try:
        return orders.redeem(
            tenant_id=tenant_of(request).pk,
            checkout_id=answers["checkout_id"],
            code=answers["code"],
            email=form.recipient,
            agreement_version=answers["agreement_version"],
            language=get_language() or "",
            key_id=target.key_id,
            wallet_id=target.wallet_id,
            user_id=target.user_id,
            address_hash=network_hash(request),
        )
    except OrderInvalid as error:
        if error.field == "code":
            code_entry.count_wrong(request)
        form.refuse(error)
    return None
