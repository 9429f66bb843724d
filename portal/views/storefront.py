"""The front page of a shop: what one gets for how much."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from billing.models import Product
from billing.orders import limits
from portal import price_list, storefront
from portal.request import tenant_of


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the shop of this host."""
    shop = tenant_of(request)
    rows = price_list.rows(shop, rate=None)
    measures = storefront.measures(rows)
    now = timezone.now()
    products = list(Product.objects.filter(limits.on_sale_or_soon(now)))
    keys = [product for product in products if product.kind == Product.KEY]
    trials = [product for product in products if product.kind == Product.TRIAL]
    context = {
        "section": "buy",
        "offers": storefront.offers(keys, currency=shop.currency, told_in=measures, now=now),
        "columns": storefront.columns(len(keys)),
        "measures": measures,
        "trial": next((one for one in trials if not storefront.is_soon(one, now)), None),
        "never_expires": all(product.valid_days is None for product in keys),
        "figures": storefront.figures(shop, rows),
        "rows": rows[: storefront.MODELS_SHOWN],
        "enough_calls": storefront.ENOUGH_CALLS_OF_A_MODEL,
        "gpt_4": storefront.dear_model(rows),
        "turn": storefront.TURN,
    }
    response = render(request, "portal/storefront.html", context)
    patch_cache_control(response, private=True, no_cache=True)
    return response
