"""The front page: what one gets for how much, what works, and nothing of another shop."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.ids import uuid7
from billing.models import Product, UsageRecord
from billing.scoping import tenant_scope
from portal.storefront import ENOUGH_CALLS
from relay.models import Channel
from tests.cast import Shop, request_row

Browser = Callable[..., Client]
ENGLISH = {"accept-language": "en"}
MOST_QUERIES = 15


def test_an_offer_says_what_one_gets_for_how_much(north: Shop, browser: Browser) -> None:
    sell(north, slug="five", grant_ubt=5_000_000 * 10**6, price_minor=5800)
    page = browser(north.host).get("/").text
    assert '<span class="amount">500</span> 万' in page
    assert "¥58<" in page
    assert "每百万 ¥11.60" in page
    assert 'href="/buy/five/"' in page


def test_an_offer_reads_well_in_english(north: Shop, browser: Browser) -> None:
    sell(north, slug="five", grant_ubt=5_000_000 * 10**6, price_minor=5800)
    page = browser(north.host).get("/", headers=ENGLISH).text
    assert '<span class="amount">5</span> M' in page
    assert "¥11.60 per million" in page


def test_an_offer_is_told_in_turns_of_a_model_that_works(north: Shop, browser: Browser) -> None:
    sell(north, slug="five", grant_ubt=5_000_000 * 10**6, price_minor=5800)
    page = browser(north.host).get("/").text
    # 800 x 1.666667 + 400 x 6.666667 base tokens a turn
    assert '<b data-grant="5000000000000">1,250</b> 轮 <span data-model>gpt-4o</span>' in page


def test_an_offer_for_some_models_names_them(north: Shop, browser: Browser) -> None:
    sell(north, slug="video", allowed_models=["sora-2", "gpt-4o"])
    assert "只能用于 sora-2、gpt-4o" in browser(north.host).get("/").text


def test_only_the_first_featured_offer_is_the_first_choice(north: Shop, browser: Browser) -> None:
    for place, slug in enumerate(("one", "two", "three")):
        sell(north, slug=slug, position=place, is_featured=slug != "one")
    page = browser(north.host).get("/").text
    assert re.findall(r'class="btn primary" href="/buy/(\w+)/"', page) == ["two"]


def test_what_is_not_on_sale_is_not_shown(north: Shop, browser: Browser) -> None:
    sell(north, slug="gone", is_active=False)
    page = browser(north.host).get("/").text
    assert "/buy/gone/" not in page
    assert "还没有上架的额度" in page


def test_a_trial_is_offered_beside_the_board(north: Shop, browser: Browser) -> None:
    sell(north, slug="try", kind=Product.TRIAL, price_minor=0, grant_ubt=50_000 * 10**6)
    page = browser(north.host).get("/").text
    assert '<a href="/buy/try/">领 5 万基准 token 试用</a>' in page
    assert page.count("/buy/try/") == 1


def test_credit_that_ends_is_not_said_to_last(north: Shop, browser: Browser) -> None:
    sell(north, slug="month", valid_days=30)
    page = browser(north.host).get("/").text
    assert "30 天内有效" in page
    assert "额度不过期" not in page


def test_another_shops_offers_are_not_shown(north: Shop, south: Shop, browser: Browser) -> None:
    sell(south, slug="southern")
    assert "southern" not in browser(north.host).get("/").text


def test_the_front_page_names_the_address_that_was_called(north: Shop, browser: Browser) -> None:
    page = browser("north.example:8443").get("/").text
    assert '<code class="v">http://north.example:8443</code>' in page


@pytest.mark.parametrize(("model", "state"), [("gpt-4o", "ok"), ("gpt-4o-mini", "off")])
def test_a_model_is_usable_when_a_channel_serves_it(
    north: Shop, browser: Browser, model: str, state: str
) -> None:
    assert state_of(model, browser(north.host).get("/").text) == state


def test_a_channel_that_is_switched_off_serves_nothing(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        Channel.objects.update(is_enabled=False)
    assert state_of("gpt-4o", browser(north.host).get("/").text) == "off"


def test_prices_are_exact_multipliers(north: Shop, browser: Browser) -> None:
    page = browser(north.host).get("/").text
    row = re.search(r'class="mono">gpt-4o</th>(.*?)</tr>', page, re.DOTALL)
    assert row
    assert re.findall(r">(\d+\.\d+)<", row[1]) == ["1.666667", "6.666667"]


def test_measured_figures_are_shown(north: Shop, browser: Browser) -> None:
    call(north, first_token_ms=300, count=ENOUGH_CALLS - 1)
    call(north, first_token_ms=900, error_type="upstream_timeout")
    page = browser(north.host).get("/").text
    assert "0.30 <small>秒</small>" in page
    assert "98<small>%</small>" in page


def test_too_few_calls_make_no_figure(north: Shop, browser: Browser) -> None:
    call(north, first_token_ms=300, count=ENOUGH_CALLS - 1)
    page = browser(north.host).get("/").text
    assert "首字，中位数" not in page
    assert "调用成功率" not in page


def test_mistakes_of_callers_are_no_failures(north: Shop, browser: Browser) -> None:
    call(north, first_token_ms=300, count=ENOUGH_CALLS)
    call(north, first_token_ms=None, error_type="caller_bad_request", count=5)
    assert "100<small>%</small>" in browser(north.host).get("/").text


def test_another_shops_calls_make_no_figure(north: Shop, south: Shop, browser: Browser) -> None:
    call(south, first_token_ms=300, count=ENOUGH_CALLS)
    assert "首字，中位数" not in browser(north.host).get("/").text


def test_the_front_page_asks_the_database_a_bounded_number_of_times(
    north: Shop, browser: Browser
) -> None:
    for number in range(8):
        sell(north, slug=f"offer-{number}")
    call(north, first_token_ms=300, count=ENOUGH_CALLS)
    with CaptureQueriesContext(connection) as queries:
        browser(north.host).get("/")
    assert len(queries) <= MOST_QUERIES


def test_no_browser_shows_an_old_front_page(north: Shop, browser: Browser) -> None:
    assert browser(north.host).get("/")["cache-control"] == "private, no-cache"


def sell(shop: Shop, *, slug: str, **columns: Any) -> Product:
    """Put a product on sale: a million base tokens for ¥12 unless it is said otherwise."""
    terms: dict[str, Any] = {"grant_ubt": 10**12, "price_minor": 1200} | columns
    with tenant_scope(shop.tenant.pk):
        return Product.objects.create(tenant=shop.tenant, slug=slug, **terms)


def call(shop: Shop, *, count: int = 1, **columns: Any) -> None:
    """Write calls that a shop has just answered."""
    row = request_row(shop, UsageRecord) | {"created_at": timezone.now(), **columns}
    with tenant_scope(shop.tenant.pk):
        UsageRecord.objects.bulk_create(UsageRecord(**row | {"id": uuid7()}) for _ in range(count))


def state_of(model: str, page: str) -> str:
    """Return the state that the front page shows for a model."""
    found = re.search(rf'class="mono">{model}</th>.*?class="state (\w+)"', page, re.DOTALL)
    assert found
    return found[1]
