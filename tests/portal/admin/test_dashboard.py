"""The admin's first page: sums of a period, in money and base tokens, of one's own shop."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from billing.models import Mail, Order, UsageRecord, User
from billing.scoping import tenant_scope
from relay.models import Channel
from tests.billing.orders import making
from tests.cast import Shop, request_row
from tests.sales import mail_of, sell

Browser = Callable[..., Client]
FIGURE = re.compile(r'<span class="value[^>]*>([^<]*)</span>\s*<span>([^<]*)</span>')


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def figures(visitor: Client, period: str = "today") -> dict[str, str]:
    """Return the numbers of the page by their labels."""
    page = visitor.get("/admin/", {"period": period})
    assert page.status_code == 200
    return {label: value for value, label in FIGURE.findall(page.text)}


def call(shop: Shop, **columns: Any) -> None:
    with tenant_scope(shop.tenant.pk):
        UsageRecord.objects.create(**{**request_row(shop, UsageRecord), **columns})


def test_sales_are_summed_by_currency(north: Shop, staff: Client) -> None:
    sell(north.tenant)
    sell(north.tenant)
    seen = figures(staff)
    assert (seen["Revenue less refunds"], seen["Orders paid"]) == ("¥116.00", "2")
    assert seen["Base tokens sold"] == "10,000,000"


def test_what_went_back_is_no_revenue(north: Shop, staff: Client) -> None:
    with tenant_scope(north.tenant.pk):
        making.give_back(sell(north.tenant).order, 800)
    assert figures(staff)["Revenue less refunds"] == "¥50.00"


def test_each_currency_has_its_own_sum(north: Shop, staff: Client) -> None:
    with tenant_scope(north.tenant.pk):
        for currency in ("CNY", "USD"):
            type(north.tenant).objects.update(currency=currency)
            sell(north.tenant)
    page = staff.get("/admin/").text
    assert "¥58.00" in page
    assert "$58.00" in page


@pytest.mark.parametrize(
    ("days", "seen_in"), [(0, "today 7d 30d"), (3, "7d 30d"), (20, "30d"), (40, "")]
)
def test_the_switch_rules_sales(north: Shop, staff: Client, days: int, seen_in: str) -> None:
    with tenant_scope(north.tenant.pk):
        paid_at = timezone.now() - timedelta(days=days)
        Order.objects.filter(pk=sell(north.tenant).order.pk).update(paid_at=paid_at)
    periods = ("today", "7d", "30d")
    found = [period for period in periods if figures(staff, period)["Orders paid"] == "1"]
    assert " ".join(found) == seen_in


def test_calls_are_counted_with_their_errors_and_speed(north: Shop, staff: Client) -> None:
    for first_token_ms in (100, 200, 900):
        call(north, first_token_ms=first_token_ms, charged_ubt=1_500_000)
    call(north, error_type="upstream_timeout", charged_ubt=0)
    seen = figures(staff)
    assert (seen["Calls"], seen["Calls with an error"]) == ("4", "1 (25%)")
    assert seen["Base tokens used"] == "5"
    assert seen["First token, p50 / p90"] == "0.20 / 0.90 s"


def test_without_calls_there_is_no_speed(staff: Client) -> None:
    seen = figures(staff)
    assert (seen["Calls with an error"], seen["First token, p50 / p90"]) == ("0 (0%)", "–")


def test_what_needs_a_look_is_marked_and_leads_there(north: Shop, staff: Client) -> None:
    mail_of(north.tenant, "order", 1, status=Mail.FAILED)
    with tenant_scope(north.tenant.pk):
        Channel.objects.update(is_enabled=False)
    page = staff.get("/admin/").text
    assert 'href="/admin/billing/mail/?status__exact=failed" data-look' in page
    assert 'href="/admin/relay/channel/?is_enabled__exact=0" data-look' in page


def test_every_figure_leads_to_a_page_that_opens(staff: Client, clerk: Client) -> None:
    links = re.findall(
        r'<a href="(/admin/[^"]+)"[^>]*>\s*<span class="value', staff.get("/admin/").text
    )
    assert len(links) > 12
    assert {clerk.get(unescape(link)).status_code for link in links} == {200}


def test_another_shop_counts_for_itself_and_for_the_operator(
    north: Shop, south: Shop, operator: User, staff: Client, browser: Browser
) -> None:
    sell(south.tenant)
    call(south)
    assert (figures(staff)["Orders paid"], figures(staff)["Calls"]) == ("0", "0")
    visitor = browser(north.host, operator)
    visitor.cookies["django_language"] = "en"
    assert (figures(visitor)["Orders paid"], figures(visitor)["Calls"]) == ("1", "1")


def test_a_period_that_there_is_not_is_today(staff: Client) -> None:
    page = staff.get("/admin/", {"period": "'\"><script>"}).text
    assert 'href="?period=today" aria-current="true"' in page


def test_a_day_begins_at_midnight_of_the_shop(north: Shop, staff: Client) -> None:
    type(north.tenant).objects.update(time_zone="Pacific/Kiritimati")
    with tenant_scope(north.tenant.pk):
        day = timezone.now() + timedelta(hours=14)
        midnight = day.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=14)
        order = Order.objects.filter(pk=sell(north.tenant).order.pk)
        order.update(paid_at=midnight - timedelta(seconds=1))
        assert figures(staff)["Orders paid"] == "0"
        order.update(paid_at=midnight)
    assert figures(staff)["Orders paid"] == "1"
