"""The page about lines: every address, what may be called from it, how models answered."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from billing.ids import uuid7
from billing.models import Domain, UsageRecord
from billing.scoping import tenant_scope
from tests.cast import Shop, request_row

Browser = Callable[..., Client]


def page(browser: Browser, shop: Shop, query: str = "") -> str:
    answer = browser(shop.host).get(f"/lines/{query}", headers={"accept-language": "en"})
    assert answer.status_code == 200
    return answer.text


def note_call(shop: Shop, **facts: object) -> None:
    row = request_row(shop, UsageRecord) | {"id": uuid7(), "model_asked": "gpt-4o"} | facts
    with tenant_scope(shop.tenant.pk):
        UsageRecord.objects.create(**row)


def test_every_domain_is_a_line_to_copy(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        Domain.objects.create(tenant=north.tenant, hostname="hk.north.example", label="Hong Kong")
    text = page(browser, north)
    lines = ["http://north.example", "http://hk.north.example"]
    assert re.findall(r'data-line="([^"]+)"', text) == lines
    assert re.findall(r'data-copy="([^"]+)"', text) == lines


def test_the_page_may_call_its_lines_and_nothing_else(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        Domain.objects.create(tenant=north.tenant, hostname="hk.north.example")
    policy = browser(north.host).get("/lines/").headers["content-security-policy"]
    assert "connect-src 'self' http://north.example http://hk.north.example;" in policy
    assert "script-src 'self';" in policy


def test_other_pages_may_call_nobody(north: Shop, browser: Browser) -> None:
    policy = browser(north.host).get("/models/").headers["content-security-policy"]
    assert "connect-src 'self';" in policy


def test_a_label_can_not_carry_markup(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        Domain.objects.update(label='"><script>alert(1)</script>')
    assert "<script>alert" not in page(browser, north)


def test_a_quiet_shop_says_that_nobody_has_called(north: Shop, browser: Browser) -> None:
    assert "No calls in this time" in page(browser, north)


def test_models_show_how_they_answered(north: Shop, browser: Browser) -> None:
    for first_token_ms in (400, 600, 2_300):
        note_call(north, first_token_ms=first_token_ms, total_ms=first_token_ms)
    note_call(north, error_type="upstream_timeout")
    text = page(browser, north)
    assert "0 – 3 s" in text
    assert "0.60 s" in text
    assert "75%" in text


def test_a_line_shows_the_share_of_calls_it_answered(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        line = Domain.objects.get()
    note_call(north, line_id=line.pk, first_token_ms=250)
    note_call(north, line_id=None, error_type="upstream_timeout")
    assert "<dd>100%</dd>" in page(browser, north)


def test_a_model_that_is_no_longer_sold_is_left_out(north: Shop, browser: Browser) -> None:
    note_call(north, model_asked="gone")
    assert "gone" not in page(browser, north)


@pytest.mark.parametrize("query", ["?period=1y", "?period=%00", "?period=30d&period=24h"])
def test_an_odd_period_is_a_day(north: Shop, browser: Browser, query: str) -> None:
    assert '<a href="?period=24h" aria-current="true">' in page(browser, north, query)
