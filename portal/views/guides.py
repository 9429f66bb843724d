"""Guides: what goes where in each client, with this shop's address filled in."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from billing import catalogue, tenants
from portal import price_list, rates
from portal.guides import BY_SLUG, READ, grouped
from portal.lines import lines_of
from portal.request import tenant_of
from relay import status

_USUAL_SENT, _USUAL_RECEIVED = 1_000, 350
_FALLBACK_MODEL = "gpt-4o-mini"


@require_safe
def guides(request: HttpRequest) -> HttpResponse:
    """List the guides; the picker of a phone leads on by `to`."""
    wanted = BY_SLUG.get(request.GET.get("to", ""))
    if wanted is not None:
        return redirect("guide", wanted.slug)
    base_url = lines_of(request)[0].base_url
    forms = [base_url + suffix for suffix in ("/v1", "", "/v1/chat/completions")]
    context = {"section": "guides", "groups": grouped(), "forms": forms}
    response = render(request, "portal/guides/index.html", context)
    patch_cache_control(response, private=True, max_age=0)
    return response


@require_safe
def guide(request: HttpRequest, guide: str) -> HttpResponse:
    """Show one guide. A key is filled in by the browser alone."""
    found = BY_SLUG.get(guide)
    if found is None:
        raise Http404
    lines = lines_of(request)
    context = {
        "section": "guides",
        "groups": grouped(),
        "guide": found,
        "is_client": found.group != READ,
        "lines": lines,
        "base_url": lines[0].base_url,
        **_example(request, found.family),
    }
    response = render(request, found.template, context)
    patch_cache_control(response, private=True, max_age=0)
    return response


def _example(request: HttpRequest, family: str) -> dict[str, object]:
    """Return a model of a family, or else one known to everyone, that works here; and its cost."""
    shop = tenant_of(request)
    prices = price_list.texts(catalogue.current_prices(shop.pk))
    usable = status.usable_models(prices, tenant_id=shop.pk, platform_id=tenants.platform().pk)
    known = [name for name in price_list.BEST_KNOWN if name in usable]
    related = [name for name in (*known, *sorted(usable, reverse=True)) if name.startswith(family)]
    model = next(iter([*(related if family else ()), *known, *sorted(usable)]), _FALLBACK_MODEL)
    price = prices.get(model)
    rate = rates.cheapest(currency=shop.currency)
    turn_ubt = (
        price_list.call_ubt(price, sent=_USUAL_SENT, received=_USUAL_RECEIVED) if price else 0
    )
    return {
        "model": model,
        "turn_ubt": turn_ubt,
        "turn_money": rate.cost(turn_ubt) if rate and turn_ubt else "",
    }
