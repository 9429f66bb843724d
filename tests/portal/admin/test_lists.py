"""Lists of the admin as pages: what they say of themselves, full, narrowed and empty."""

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.admin.utils import lookup_field
from django.db import connection
from django.db.models import Model
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing import codes
from billing.models import (
    ApiKey,
    CodeBatch,
    Coupon,
    Delivery,
    Dispute,
    Order,
    Payment,
    Product,
    Receipt,
    RedemptionCode,
    Refund,
    Tenant,
    User,
)
from billing.scoping import tenant_scope
from tests.billing.orders import making
from tests.cast import Shop
from tests.sales import sell

Browser = Callable[..., Client]
SHOW_ALL = '<a href="?">Show all</a>'


LISTED = (
    *(Order, Payment, Delivery, Refund, Dispute, Receipt),
    *(Product, Coupon, CodeBatch, RedemptionCode),
)


def test_no_list_asks_for_each_of_its_rows(north: Shop, operator: User, browser: Browser) -> None:
    request = browser(north.host, operator).get("/admin/billing/refund/").wsgi_request
    with tenant_scope(north.tenant.pk):
        trade(north.tenant)
        before = {model: questions(model, request) for model in LISTED}
        trade(north.tenant)
        assert {model: questions(model, request) for model in LISTED} == before


def trade(shop: Tenant) -> None:
    """Add a row to each list: a sale, money back, a code that was redeemed."""
    sale, code = sell(shop), uuid4().hex[:8].upper()
    making.give_back(sale.order, 100)
    case = {"reference": code, "amount_minor": 100}
    Dispute.objects.create(tenant=shop, payment=sale.payment, **case)
    Coupon.objects.create(tenant=shop, code=code, amount_minor=100)
    batch = codes.make_batch(making.new_product(shop), count=1, actor="test")
    codes.claim(batch.codes.get(), order_id=sale.order.pk, now=timezone.now())


def questions(model: type[Model], request: HttpRequest) -> int:
    """Fill in all cells of a list; return how often the database was asked."""
    page = admin.site._registry[model]
    with CaptureQueriesContext(connection) as asked:
        for row in page.get_changelist_instance(request).result_list:
            for name in page.get_list_display(request):
                lookup_field(name, row, page)
    return len(asked)


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
