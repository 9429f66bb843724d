"""The token counter: how many tokens a text is, which ones, and what it costs.

Counted in the thread of the view, a few milliseconds for the longest text. The answer must not be
kept by anyone, and no part of the text reaches a log.
"""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from billing import catalogue
from portal import price_list, rates, throttle, token_counter
from portal.forms.counter import CounterForm
from portal.rates import Rate
from portal.request import tenant_of, visitor_of

_COUNTS_PER_MINUTE = 30
_SHOWN_MODELS = 8


@dataclass(frozen=True)
class Cost:
    """What a text costs with a model: sent to it, and received from it."""

    model: str
    tokens: int
    is_exact: bool
    sent_ubt: int
    received_ubt: int
    sent_money: str
    received_money: str


@sensitive_post_parameters("text")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def counter(request: HttpRequest) -> HttpResponse:
    """Show the form, and after it what was counted."""
    form = CounterForm(request.POST or None, auto_id="%s")
    context: dict[str, object] = {"form": form, "max_chars": f"{token_counter.MAX_CHARS:,}"}
    if request.method != "POST":
        return render(request, "portal/counter.html", context)
    if not throttle.allow("tokens", visitor_of(request), limit=_COUNTS_PER_MINUTE, per_s=60):
        form.add_error("text", _("Too many texts from your network. Try again in a minute."))
        return render(request, "portal/counter.html", context, status=429)
    if not form.is_valid():
        return render(request, "portal/counter.html", context, status=400)
    text = form.cleaned_data["text"]
    encoding = form.cleaned_data["encoding"] or token_counter.ENCODINGS[0]
    counts = token_counter.count(text)
    context |= {
        "counts": counts,
        "char_count": f"{len(text):,}",
        "encoding": encoding,
        "pieces": token_counter.pieces(text, encoding),
        "max_shown": token_counter.MAX_SHOWN,
        "costs": _costs(request, counts),
    }
    return render(request, "portal/counter.html", context)


def _costs(request: HttpRequest, counts: dict[str, int]) -> list[Cost]:
    """Return what the text costs with the models that are known best."""
    shop = tenant_of(request)
    rate = rates.cheapest(currency=shop.currency)
    prices = price_list.texts(catalogue.current_prices(shop.pk))
    known = [name for name in price_list.BEST_KNOWN if name in prices]
    names = (known or sorted(prices))[:_SHOWN_MODELS]
    return [_cost(name, counts, price_list.token_ubt(prices[name]), rate=rate) for name in names]


def _cost(
    name: str, counts: dict[str, int], token_ubt: tuple[int, int], *, rate: Rate | None
) -> Cost:
    tokens = counts[token_counter.encoding_of(name)]
    sent_ubt, received_ubt = tokens * token_ubt[0], tokens * token_ubt[1]
    return Cost(
        model=name,
        tokens=tokens,
        is_exact=token_counter.is_exact(name),
        sent_ubt=sent_ubt,
        received_ubt=received_ubt,
        sent_money=rate.cost(sent_ubt) if rate else "",
        received_money=rate.cost(received_ubt) if rate else "",
    )
