"""The usage page as a whole: what its templates ask for, brought together for one key.

Called by `portal.views.usage`. Everything under the balance obeys one period.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

from django.core.cache import cache
from django.db.models import Q

from billing import catalogue, key_settings, orders, payments, reports
from billing.ledger.clock import database_now
from billing.models import ApiKey, Hold, Product, Tenant, Wallet
from billing.orders import limits
from billing.pricing import BUCKETS
from billing.reports import Balance, ModelSpeed, Moment, Shown, Slot, Speeds, balances, listing
from portal import amounts, legal, offers, redeeming
from portal.forms.redeem import CodeForm
from portal.forms.usage import OVERLAPS, AlertForm, FilterForm, NameForm, TopUpForm
from portal.usage import calls, charts, history, words
from portal.usage.period import Period, period_of
from portal.usage.visit import Visit

MODELS_SHOWN = 12

_OUTPUT = BUCKETS.index("output")
_BEST_KNOWN = ("gpt-4o", "gpt-4o-mini", "gpt-5", "deepseek-chat", "gpt-3.5-turbo")
_LOW_PERCENT = 10
_SLOW_S, _KEPT_S = 0.25, 60


@dataclass(frozen=True)
class Summary:
    """The balance and what follows from it."""

    balance: Balance
    shown: Shown
    state: words.State
    standing: str
    running: int
    days_left: int | None
    expires_at: datetime | None
    days_to_end: int | None
    estimate: tuple[str, str] | None
    meter: str
    is_spendable: bool


class Sums(NamedTuple):
    """What a period amounts to, before it is said."""

    slots: list[Slot]
    speeds: Speeds
    series: list[Moment]


@dataclass(frozen=True)
class Pack:
    """An offer for this key, and for how many days it would last."""

    product: Product
    days: int | None


def context(
    visit: Visit,
    *,
    shop: Tenant,
    language: str,
    asked: Mapping[str, Any],
    lines: Mapping[int, str],
    forms: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return everything that the templates show.

    `lines` are the names of the shop's lines by id; `forms` those that were sent and are wrong.
    """
    key = visit.key
    period = period_of(str(asked.get("period", "")), shop=shop)
    sums = _sums(key, period)
    a_day_ubt = reports.pace_ubt(key, now=period.now)
    may_act = key_settings.may_act(key)
    return {
        "section": "usage",
        "visit": visit,
        "key": key,
        "may_act": may_act,
        "may_replace": may_act and key.wallet.status == Wallet.ACTIVE,
        "overlaps": OVERLAPS,
        "summary": _summary(key, sums.slots, now=period.now, a_day_ubt=a_day_ubt, shop=shop),
        "period": period,
        "periods": words.PERIODS,
        **_figures(sums, period),
        **_calls(key, sums.slots, period, asked, lines=lines),
        **_top_up(key, shop, language, a_day_ubt=a_day_ubt),
        **_settings(key),
        **(forms or {}),
    }


def _summary(
    key: ApiKey, found: list[Slot], *, now: datetime, a_day_ubt: int, shop: Tenant
) -> Summary:
    balance = reports.key_balance(key.pk)
    standing = reports.standing(key, balance, now=now)
    ends = [at for at in (key.expires_at, key.wallet.expires_at) if at is not None]
    expires_at = min(ends) if ends else None
    share = balance.left_ubt * 100 // balance.granted_ubt if balance.granted_ubt else 0
    return Summary(
        balance=balance,
        shown=reports.shown(balance),
        state=words.KEYS[standing],
        standing=standing,
        running=_running(key),
        days_left=reports.days_left(balance.left_ubt, a_day_ubt=a_day_ubt),
        expires_at=expires_at,
        days_to_end=max((expires_at - now).days, 0) if expires_at else None,
        estimate=_estimate(found, balance.left_ubt, shop=shop),
        is_spendable=standing == balances.ACTIVE and key.replaced_at is None,
        meter="out" if balance.left_ubt <= 0 else "low" if share < _LOW_PERCENT else "",
    )


def _running(key: ApiKey) -> int:
    own = Q(wallet_id=key.wallet_id) if reports.sees_wallet(key) else Q(key_id=key.pk)
    return Hold.objects.filter(own).count()


def _estimate(found: list[Slot], left_ubt: int, *, shop: Tenant) -> tuple[str, str] | None:
    """Return about how many output tokens of which model the balance buys."""
    prices = catalogue.current_prices(shop.pk)
    charged: dict[str, int] = {}
    for slot in found:
        charged[slot.model] = charged.get(slot.model, 0) + slot.charged_ubt
    used = sorted(charged, key=lambda model: -charged[model])
    for model in (*used, *_BEST_KNOWN, *prices):
        if model in prices and prices[model].ubt[_OUTPUT]:
            tokens = _rounded(max(left_ubt, 0) // prices[model].ubt[_OUTPUT])
            return amounts.amount_text(tokens * 1_000_000), model
    return None


def _rounded(number: int) -> int:
    """Return a number rounded down to its first two digits: it is an estimate."""
    size = int("1" + "0" * max(len(str(number)) - 2, 0))
    return number // size * size


def _sums(key: ApiKey, period: Period) -> Sums:
    """Return what a period amounts to.

    What took long to sum up is kept for a minute, so that who leafs through a million calls need
    not wait for the same charts with each page.
    """
    reach = "wallet" if reports.sees_wallet(key) else "key"
    name = f"usage:{key.pk}:{reach}:{period.name}:{period.since:%Y%m%d%H%z}"
    known: Sums | None = cache.get(name)
    if known is not None:
        return known
    started_s, since, now = time.monotonic(), period.since, period.now
    found = reports.slots(key, since=since, until=now, zone=period.zone)
    sums = Sums(
        found,
        reports.speed(key, since=since, until=now, found=found),
        reports.first_token_series(key, since=since, until=now, step_s=period.step_s),
    )
    if time.monotonic() - started_s > _SLOW_S:
        cache.set(name, sums, _KEPT_S)
    return sums


def _figures(sums: Sums, period: Period) -> dict[str, Any]:
    found, speeds = sums.slots, sums.speeds
    whole = reports.totals(found)
    is_day = period.name == "24h"
    return {
        "totals": whole,
        "success": amounts.percent(whole.calls - whole.failed, whole.calls),
        "first_token": speeds.first_token,
        "speeds": [(row, _success(row)) for row in speeds.models[:MODELS_SHOWN]],
        "more_models": max(len(speeds.models) - MODELS_SHOWN, 0),
        "longest_ms": _longest(speeds.models[:MODELS_SHOWN]),
        "used_chart": charts.hours(found, period) if is_day else charts.days(found, period),
        "small_charts": [charts.calls(found, period), charts.first_tokens(sums.series, period)],
    }


def _success(row: ModelSpeed) -> str:
    return amounts.percent(row.calls - row.failed, row.calls)


def _longest(rows: list[ModelSpeed]) -> int:
    """Return the whole seconds, in ms, in which all spans have room."""
    longest = max((row.first_token.p99_ms for row in rows if row.first_token), default=0)
    return max(-(-longest // 1000), 1) * 1000


def _calls(
    key: ApiKey,
    found: list[Slot],
    period: Period,
    asked: Mapping[str, Any],
    *,
    lines: Mapping[int, str],
) -> dict[str, Any]:
    form = FilterForm(asked)
    is_valid = form.is_valid()
    cleaned = form.cleaned_data
    page = reports.calls(
        key,
        form.filters(zone=period.zone, since=period.since),
        after=cleaned.get("after"),
        before=cleaned.get("before"),
        limit=calls.PAGE_LENGTH,
    )
    query = {"period": period.name, **form.query()}
    models = {slot.model for slot in found} | {cleaned.get("model", "")} - {""}
    endpoints = {*listing.endpoints_of(key), cleaned.get("endpoint", "")} - {""}
    return {
        "filters": form,
        "filters_wrong": not is_valid,
        "is_narrowed": bool(form.query()),
        "filter_models": sorted(models),
        "filter_endpoints": [(name, words.endpoint(name)) for name in sorted(endpoints)],
        "filter_states": words.CALLS,
        "filter_since": cleaned.get("since") or period.since.date(),
        "calls": calls.shown(page.records, zone=period.zone, lines=lines),
        "queries": calls.queries(page, query),
        "page_length": calls.PAGE_LENGTH,
    }


def packs(key: ApiKey) -> list[Product]:
    """Return the products that can be bought for a key, in the shop's order."""
    on_sale = Product.objects.filter(limits.on_sale(database_now()))
    return [one for one in on_sale if orders.may_top_up(one, key)]


def top_up_form(key: ApiKey, shop: Tenant, language: str, data: Any = None) -> TopUpForm:
    """Return the form that buys more for a key."""
    products, instances = packs(key), payments.offered(shop)
    featured = next((one for one in products if one.is_featured), next(iter(products), None))
    initial = {
        "checkout_id": uuid4(),  # none that follows from another: it leads to the order's link
        "agreement_version": legal.current(shop, "agreement", language).version,
        "product": featured.pk if featured else "",
        "payment": instances[0].public_id if instances else "",
    }
    return TopUpForm(
        data, products=products, instances=instances, wallet=key.wallet, initial=initial
    )


def redeem_form(key: ApiKey, shop: Tenant, data: Any = None) -> CodeForm:
    """Return the form that takes a redemption code for a key."""
    known_email, initial = key.wallet.notify_email, redeeming.initial(shop)
    return CodeForm(data, known_email=known_email, initial=initial, auto_id="code-%s")


def _top_up(key: ApiKey, shop: Tenant, language: str, *, a_day_ubt: int) -> dict[str, Any]:
    has_credits = key.wallet.owner_id is None and key.replaced_at is None
    if not has_credits:
        return {"has_credits": False, "top_up": None, "redeem_form": None}
    may_buy = key_settings.may_act(key) and key.wallet.status == Wallet.ACTIVE
    form = top_up_form(key, shop, language) if may_buy else None
    instances = form.instances if form else []
    return {
        "has_credits": True,
        "top_up": form,
        "redeem_form": redeem_form(key, shop) if may_buy else None,
        "packs": [
            Pack(one, reports.days_left(one.grant_ubt, a_day_ubt=a_day_ubt)) for one in packs(key)
        ],
        "methods": [(offers.method_of(one), one) for one in instances],
        "credits": history.entries(key, with_links=may_buy),
    }


def _settings(key: ApiKey) -> dict[str, Any]:
    last = reports.records_of(key).order_by("-id").values_list("created_at", flat=True).first()
    return {
        "name_form": NameForm(initial={"name": key.name}, auto_id="own-%s"),
        "alert_form": AlertForm(wallet=key.wallet),
        "last_call_at": last,
    }
