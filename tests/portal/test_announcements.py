"""Announcements stand above the pages of their shop, in their time and language."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.models import Announcement
from billing.scoping import tenant_scope
from tests.cast import Shop

Browser = Callable[..., Client]
ENGLISH = {"accept-language": "en"}
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("path", ["/", "/agreement/"])
def test_what_a_shop_announces_stands_above_its_pages(
    north: Shop, browser: Browser, path: str
) -> None:
    announce(north, "Maintenance tonight")
    assert "Maintenance tonight" in browser(north.host).get(path).text


@pytest.mark.parametrize(
    ("starts", "ends", "is_shown"),
    [
        (None, None, True),
        (-HOUR, HOUR, True),
        (-HOUR, None, True),
        (None, HOUR, True),
        (HOUR, None, False),
        (None, -HOUR, False),
        (-2 * HOUR, -HOUR, False),
    ],
)
def test_an_announcement_has_its_time(
    north: Shop,
    browser: Browser,
    starts: timedelta | None,
    ends: timedelta | None,
    is_shown: bool,
) -> None:
    now = timezone.now()
    announce(
        north,
        "Maintenance",
        starts_at=None if starts is None else now + starts,
        ends_at=None if ends is None else now + ends,
    )
    assert ("Maintenance" in browser(north.host).get("/").text) is is_shown


def test_an_announcement_in_a_language_is_for_its_readers(north: Shop, browser: Browser) -> None:
    announce(north, "Only in Chinese", language="zh-hans")
    announce(north, "For everybody")
    page = browser(north.host).get("/", headers=ENGLISH).text
    assert "Only in Chinese" not in page
    assert "For everybody" in page


def test_an_announcement_that_is_switched_off_is_gone(north: Shop, browser: Browser) -> None:
    announce(north, "Over", is_active=False)
    assert "Over<" not in browser(north.host).get("/").text


def test_another_shops_announcements_are_not_shown(
    north: Shop, south: Shop, browser: Browser
) -> None:
    announce(south, "Southern news")
    assert "Southern news" not in browser(north.host).get("/").text


def test_the_newest_three_are_enough(north: Shop, browser: Browser) -> None:
    for number in range(5):
        announce(north, f"news {number}")
    page = browser(north.host).get("/").text
    assert [f"news {number}" in page for number in range(5)] == [False, False, True, True, True]


@pytest.mark.parametrize("link", ["/lines/", "https://status.example/", "http://a.example/x?y=1"])
def test_an_announcement_leads_to_a_page(north: Shop, browser: Browser, link: str) -> None:
    announce(north, "News", link_url=link)
    assert f'<a href="{link}" rel="noopener">查看详情</a>' in browser(north.host).get("/").text


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JAVASCRIPT:x",
        "data:text/html,x",
        "//evil.example",
        "/\\evil.example",
    ],
)
def test_an_announcement_leads_nowhere_else(north: Shop, browser: Browser, link: str) -> None:
    announce(north, "News", link_url=link)
    page = browser(north.host).get("/").text
    assert "News" in page
    assert "查看详情" not in page


def test_an_announcement_can_not_carry_markup(north: Shop, browser: Browser) -> None:
    announce(north, "<script>alert(1)</script>")
    assert "<script>alert" not in browser(north.host).get("/").text


def announce(shop: Shop, text: str, **columns: Any) -> None:
    """Announce something in a shop."""
    with tenant_scope(shop.tenant.pk):
        Announcement.objects.create(tenant=shop.tenant, text=text, **columns)
