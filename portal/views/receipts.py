"""Receipts to print: behind the link of an order, and for whoever has shown the key.

Who comes with a key alone sees the buyer's address masked, as on the rest of the usage page. On
receipts of top-ups it always is: the usage page links their orders, for whoever holds the key.
"""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from billing import key_settings
from billing.models import Order, Receipt
from billing.orders import links
from portal import amounts, receipts
from portal.usage.visit import Visit
from portal.views.orders import behind_link
from portal.views.usage import with_visit


@require_safe
@behind_link
def of_order(request: HttpRequest, order: Order, receipt: str) -> HttpResponse:
    """Show a receipt of the order that the link leads to."""
    found = receipts.find(receipts.of_order(order), receipt)
    return _shown(request, found, back=links.path_of(order), is_buyer=True)


@require_safe
@with_visit
def of_key(request: HttpRequest, current: Visit, receipt: str) -> HttpResponse:
    """Show a receipt of what was bought for the key's wallet, if the key may speak for it."""
    key = current.key
    mine = receipts.of_wallet(key.wallet_id) if key_settings.may_act(key) else None
    found = receipts.find(mine, receipt) if mine is not None else None
    return _shown(request, found, back=reverse("usage_key"), is_buyer=False)


def _shown(
    request: HttpRequest, receipt: Receipt | None, *, back: str, is_buyer: bool
) -> HttpResponse:
    if receipt is None:
        raise Http404
    page = receipts.page_of(receipt)
    context = {
        "section": "buy" if is_buyer else "usage",
        "page": page,
        "receipt": receipt,
        "back": back,
        "is_buyer": is_buyer,
        "email": _email(page.order, is_buyer=is_buyer),
    }
    return render(request, "portal/receipt.html", context)


def _email(order: Order, *, is_buyer: bool) -> str:
    is_top_up = order.lines.filter(key__isnull=False).exists()
    return order.email if is_buyer and not is_top_up else amounts.mask_email(order.email)
