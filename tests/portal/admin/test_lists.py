"""Lists of the admin as pages: what they say of themselves, full, narrowed and empty."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from billing.models import ApiKey
from billing.scoping import tenant_scope
from tests.cast import Shop
from tests.sales import sell

Browser = Callable[..., Client]
SHOW_ALL = '<a href="?">Show all</a>'


@pytest.fixture
def staff(north: Shop, browser: Browser) -> Client:
    """The owner of north, in English."""
    visitor = browser(north.host, north.owner)
    visitor.cookies["django_language"] = "en"
    return visitor


def test_a_whole_list_offers_no_more(north: Shop, staff: Client) -> None:
    sell(north.tenant)
    assert SHOW_ALL not in staff.get("/admin/billing/order/").text


@pytest.mark.parametrize("query", ["status__exact=paid", "q=no-such-order"])
def test_a_narrowed_list_offers_the_whole(north: Shop, staff: Client, query: str) -> None:
    sell(north.tenant)
    assert SHOW_ALL in staff.get(f"/admin/billing/order/?{query}").text


def test_an_empty_list_says_so_without_advice(staff: Client) -> None:
    page = staff.get("/admin/billing/refund/").text
    assert "There is nothing here yet." in page
    assert "Reset filters" not in page


def test_a_list_that_filters_have_emptied_leads_out(north: Shop, staff: Client) -> None:
    sell(north.tenant)
    page = staff.get("/admin/billing/order/?status__exact=refunded").text
    assert "Nothing here matches." in page
    assert "Reset filters" in page


def test_a_name_stands_as_it_is_written_above_its_page(north: Shop, staff: Client) -> None:
    with tenant_scope(north.tenant.pk):
        ApiKey.objects.filter(pk=north.key.pk).update(name="my laptop")
    page = staff.get(f"/admin/billing/apikey/{north.key.pk}/change/").text
    assert "My laptop" not in page.split("</h1>")[0].split("<h1")[1]


def test_a_revoked_key_says_so_and_offers_no_other_state(north: Shop, staff: Client) -> None:
    with tenant_scope(north.tenant.pk):
        ApiKey.objects.filter(pk=north.key.pk).update(revoked_at=timezone.now())
    page = staff.get(f"/admin/billing/apikey/{north.key.pk}/change/").text
    assert 'name="status"' not in page
    assert re.search(r'class="readonly[^>]*>\s*Revoked\s*<', page)


def test_an_order_names_its_packs_as_buyers_read_them(north: Shop, staff: Client) -> None:
    order = sell(north.tenant).order
    page = staff.get(f"/admin/billing/order/{order.pk}/change/").text
    assert ">5M</a>" in page
    assert "no expiry" in page
