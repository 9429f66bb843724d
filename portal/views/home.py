"""The front page of a shop: where the relay is, how to call it, what works and what it costs."""

from dataclasses import dataclass
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from billing import catalogue, tenants, units
from billing.pricing import BUCKETS, Price
from portal.request import PortalRequest
from relay import status

_INPUT, _OUTPUT = BUCKETS.index("input"), BUCKETS.index("output")
_BEST_KNOWN = (
    "gpt-4o-mini",
    "gpt-4o",
    "gpt-5",
    "claude-sonnet-4-5",
    "gemini-2.5-pro",
    "deepseek-chat",
    "gpt-4",
    "gpt-3.5-turbo",
)


@dataclass(frozen=True)
class Multiplier:
    """A price in base tokens per token, split at its point so that a column lines up."""

    whole: str
    fraction: str
    padding: str


@dataclass(frozen=True)
class ModelRow:
    """A line of the price table; a model without output (embeddings) has no second price."""

    name: str
    input: Multiplier
    output: Multiplier | None
    is_usable: bool


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the shop of this host."""
    shop = cast("PortalRequest", request).tenant
    prices = catalogue.current_prices(shop.pk)
    usable = status.usable_models(prices, tenant_id=shop.pk, platform_id=tenants.platform().pk)
    rows = _rows(prices, usable)
    base_url = f"{request.scheme}://{request.get_host()}"
    context = {
        "tenant": shop,
        "base_url": base_url,
        "example_model": next((row.name for row in rows if row.is_usable), "gpt-4o-mini"),
        "first_rows": rows[: len(_BEST_KNOWN)],
        "more_rows": rows[len(_BEST_KNOWN) :],
        "usable_count": len(usable),
        "model_count": len(prices),
    }
    response = render(request, "portal/home.html", context)
    patch_cache_control(response, private=True, max_age=0)
    return response


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Tell crawlers what is no page."""
    lines = ["User-agent: *", "Disallow: /admin/", "Disallow: /v1/", "Disallow: /openai/", ""]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Send those who ask for the old icon to the drawn one."""
    return HttpResponse(status=302, headers={"Location": static("portal/mark.svg")})


def _rows(prices: dict[str, Price], usable: frozenset[str]) -> list[ModelRow]:
    shown = [price.ubt[bucket] for price in prices.values() for bucket in (_INPUT, _OUTPUT)]
    width = max((len(_fraction(ubt)) for ubt in shown), default=0)
    rank = {name: place for place, name in enumerate(_BEST_KNOWN)}
    names = sorted(prices, key=lambda name: (rank.get(name, len(rank)), name))
    return [
        ModelRow(
            name=name,
            input=_multiplier(prices[name].ubt[_INPUT], width=width),
            output=_multiplier(prices[name].ubt[_OUTPUT], width=width)
            if prices[name].ubt[_OUTPUT]
            else None,
            is_usable=name in usable,
        )
        for name in names
    ]


def _fraction(ubt: int) -> str:
    return units.exact_base_tokens(ubt).partition(".")[2]


def _multiplier(ubt: int, *, width: int) -> Multiplier:
    whole, _, fraction = units.exact_base_tokens(ubt).partition(".")
    missing = width - len(fraction)
    padding = ("0" * missing if fraction else "." + "0" * width) if missing else ""
    return Multiplier(whole=whole, fraction=fraction, padding=padding)
