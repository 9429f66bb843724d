"""Models and prices: what there is, what it costs, whether it works now; and each one by itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from billing import price_history
from billing.price_files import PART_OF
from billing.price_history import Entry
from billing.pricing import BUCKETS
from portal import amounts, model_facts, price_list, rates
from portal.price_list import Cell, Row, UnitPrice
from portal.rates import Rate
from portal.request import tenant_of

SHOWN_ROWS = 100
MAX_QUERY_CHARS = 64
MAX_CALCULATED = 10_000_000
_SENT, _RECEIVED = 2_000, 800
_INPUT, _OUTPUT = BUCKETS.index("input"), BUCKETS.index("output")


@dataclass(frozen=True)
class Choice:
    """What the visitor has asked the list for: words, a kind, multipliers or money."""

    words: str
    kind: str
    unit: str
    is_all: bool

    def fits(self, row: Row) -> bool:
        """Tell whether a model belongs into the list."""
        return self.kind in ("all", row.kind) and row.answers_to(self.words)


@dataclass(frozen=True)
class Estimate:
    """One call, priced: the sentence of the calculator and its answer."""

    row: Row
    sent: int
    received: int
    rate: Rate | None

    @property
    def ubt(self) -> int:
        """Return what the call costs."""
        return price_list.call_ubt(self.row.price, sent=self.sent, received=self.received)

    @property
    def money(self) -> str:
        """Return that in money, "" while nothing is sold."""
        return self.rate.cost(self.ubt) if self.rate else ""


class NamedPrice(NamedTuple):
    """One price: what for, how much a unit, the unit, and the number of them that money is for."""

    name: str
    cell: Cell
    unit: str
    per: str


@dataclass(frozen=True)
class Moment:
    """A line of the price history: what a token sent and one received cost from then on.

    `per_unit` is what anything else costs, where tokens have no price.
    """

    entry: Entry
    before: tuple[Cell, Cell] | None
    after: tuple[Cell, Cell] | None
    per_unit: UnitPrice | None

    @property
    def label(self) -> str:
        """Return the name of the row as people read it."""
        return model_facts.label_of(self.entry.model)


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """List what the shop of this host sells."""
    shop = tenant_of(request)
    rate = rates.cheapest(currency=shop.currency)
    rows = price_list.rows(shop, rate=rate)
    choice = _choice(request)
    found = [row for row in rows if choice.fits(row)]
    shown = found if choice.is_all else found[:SHOWN_ROWS]
    context = {
        "section": "models",
        "rate": rate,
        "symbol": amounts.symbol(shop.currency),
        "decimals": amounts.decimals(shop.currency),
        "ask_words": _("Ask us for it."),
        "rows": shown,
        "choice": choice,
        "kinds": _kinds(rows),
        "model_count": len(rows),
        "found_count": len(found),
        "is_whole": len(shown) == len(rows),
        "usable_count": len({row.asked for row in rows if row.state.is_usable}),
        "estimate": _estimate(request, rows, rate=rate),
        "choices": [row for row in rows if row.kind == model_facts.TEXT and row.state.is_usable],
        "since": price_history.in_force_since(shop.pk),
        "changes": [moment_of(entry) for entry in price_history.changes(shop.pk)],
    }
    return _fresh(render(request, "portal/models.html", context))


@require_safe
def model(request: HttpRequest, model_name: str) -> HttpResponse:
    """Show one model: every price, the tiers, what it was before."""
    shop = tenant_of(request)
    rate = rates.cheapest(currency=shop.currency)
    rows = price_list.rows(shop, rate=rate)
    row = next((row for row in rows if row.name == model_name), None)
    if row is None:
        raise Http404
    sizes = [one for one in rows if one.asked == model_name and one is not row]
    context = {
        "section": "models",
        "row": row,
        "rate": rate,
        "longest": price_list.context_text(row.price.output_limit),
        "prices": _named_prices(row.price.ubt, rate=rate) + _of_sizes(sizes, rate=rate),
        "tiers": [(tier, _named_prices(tier.ubt, rate=rate)) for tier in row.price.tiers],
        "history": [moment_of(entry) for entry in price_history.of_model(shop.pk, model_name)],
    }
    return _fresh(render(request, "portal/model.html", context))


def moment_of(entry: Entry) -> Moment:
    """Return an entry of the history as it is shown."""
    before, after = (
        (_plain(price.ubt[_INPUT]), _plain(price.ubt[_OUTPUT])) if price else None
        for price in (entry.before, entry.after)
    )
    return Moment(
        entry, before, after, price_list.unit_price(entry.after, rate=None) if entry.after else None
    )


def _plain(ubt: int) -> Cell:
    return price_list.cell(ubt, rate=None)


def _choice(request: HttpRequest) -> Choice:
    kind, unit = request.GET.get("kind", "all"), request.GET.get("unit", "x")
    return Choice(
        words=request.GET.get("q", "").strip()[:MAX_QUERY_CHARS],
        kind=kind if kind in model_facts.KINDS else "all",
        unit=unit if unit in ("x", "y") else "x",
        is_all="all" in request.GET,
    )


def _kinds(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Return the kinds that there are, with their names; none where there is but one."""
    names = {
        model_facts.TEXT: _("Text"),
        model_facts.IMAGE: _("Image"),
        model_facts.VIDEO: _("Video"),
        model_facts.AUDIO: _("Audio"),
        model_facts.VECTOR: _("Vectors"),
        model_facts.OTHER: _("Other"),
    }
    there = {row.kind for row in rows}
    return [(kind, names[kind]) for kind in model_facts.KINDS if kind in there]


def _estimate(request: HttpRequest, rows: Iterable[Row], *, rate: Rate | None) -> Estimate | None:
    priced = [row for row in rows if row.kind == model_facts.TEXT and row.state.is_usable]
    wanted = request.GET.get("model", "")
    row = next((row for row in priced if row.name == wanted), priced[0] if priced else None)
    if row is None:
        return None
    sent, received = _number(request, "sent", _SENT), _number(request, "received", _RECEIVED)
    return Estimate(row, sent, received, rate)


def _number(request: HttpRequest, name: str, default: int) -> int:
    """Return a count of tokens from the address; what is none is the default."""
    text = request.GET.get(name, "").strip()
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_CALCULATED))
    return min(int(text), MAX_CALCULATED) if is_number else default


def _named_prices(ubt: tuple[int, ...], *, rate: Rate | None) -> list[NamedPrice]:
    """Return every price a model has; a part of the input or output only if it costs otherwise."""
    token, million = _("token"), _("million")
    names = {
        "input": (_("Input"), token, million),
        "cached_input": (_("Input read from cache"), token, million),
        "cache_write_5m": (_("Written to cache for 5 minutes"), token, million),
        "cache_write_1h": (_("Written to cache for 1 hour"), token, million),
        "output": (_("Output"), token, million),
        "reasoning": (_("Reasoning"), token, million),
        "audio_in": (_("Audio input"), token, million),
        "audio_out": (_("Audio output"), token, million),
        "image": (_("Image"), _("image"), _("image")),
        "second": (_("Sound or video"), _("second"), _("second")),
        "character": (_("Speech"), _("character"), million),
        "request": (_("Call"), _("call"), _("call")),
        "search": (_("Web search"), _("search"), _("search")),
    }
    known = dict(zip(BUCKETS, ubt, strict=True))
    found = []
    for bucket, price in known.items():
        name, unit, per = names[bucket]
        if price and price != known.get(PART_OF.get(bucket, "")):
            units = rates.MILLION if per == million else 1
            cell = price_list.cell(price, rate=rate, units=units)
            found.append(NamedPrice(name, cell, unit, per))
    return found


def _of_sizes(sizes: Iterable[Row], *, rate: Rate | None) -> list[NamedPrice]:
    """Return the prices of a model's sizes, each named after its size."""
    found = []
    for row in sizes:
        prices = _named_prices(row.price.ubt, rate=rate)
        for price in prices:
            name = f"{row.size}: {price.name}" if len(prices) > 1 else row.size
            found.append(price._replace(name=name))
    return found


def _fresh(response: HttpResponse) -> HttpResponse:
    patch_cache_control(response, private=True, max_age=0)
    return response
