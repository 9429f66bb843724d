"""Receipts: one for what came, one for each part that went back, numbered without gaps."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction

from billing.models import Product, Receipt, ReceiptCounter, Tenant
from billing.orders import receipts
from billing.scoping import tenant_scope
from tests.billing.orders.making import (
    PRICE_MINOR,
    begin,
    bought,
    give_back,
    new_product,
    new_trial,
    open_shop,
    order_of,
    paid,
    payment_of,
)


def numbers() -> list[str]:
    return list(Receipt.objects.order_by("pk").values_list("number", flat=True))


def year_of(shop: Tenant) -> int:
    return datetime.now(UTC).astimezone(ZoneInfo(shop.time_zone)).year


def test_what_was_paid_has_a_receipt(pack: Product) -> None:
    payment = payment_of(bought(pack, quantity=2))
    receipt = Receipt.objects.get()
    assert (receipt.payment, receipt.cancels) == (payment, None)
    assert (receipt.amount_minor, receipt.currency) == (2 * PRICE_MINOR, "CNY")


def test_it_says_who_sold(pack: Product) -> None:
    bought(pack)
    Tenant.objects.filter(pk=pack.tenant_id).update(seller="North Ltd.\nHarbour 1")
    bought(pack)
    assert list(Receipt.objects.order_by("pk").values_list("seller", flat=True)) == [
        "north",
        "North Ltd.\nHarbour 1",
    ]


def test_numbers_count_from_one_in_each_shop(pack: Product, shop: Tenant) -> None:
    bought(pack)
    bought(pack)
    south = open_shop("south")
    with tenant_scope(south.pk):
        bought(new_product(south))
        assert numbers() == [f"SO-{year_of(south)}-000001"]
    assert numbers() == [f"NO-{year_of(shop)}-00000{n}" for n in (1, 2)]


def test_numbers_begin_anew_in_the_years_of_the_shops_time_zone(shop: Tenant) -> None:
    midnight = datetime(2026, 12, 31, 16, tzinfo=UTC)
    moments = [midnight.replace(hour=15), midnight, midnight.replace(hour=17)]
    found = [receipts._next_number(shop, moment) for moment in moments]
    assert found == ["NO-2026-000001", "NO-2027-000001", "NO-2027-000002"]


def test_each_part_that_went_back_has_a_paper(pack: Product) -> None:
    order = bought(pack)
    refunds = [give_back(order, 100), give_back(order, 400)]
    first, *counters = Receipt.objects.order_by("pk")
    assert [(paper.cancels, paper.refund) for paper in counters] == [
        (first, refund) for refund in refunds
    ]
    assert [paper.amount_minor for paper in counters] == [100, 400]


def test_a_receipt_is_written_once_however_often_it_is_asked_for(pack: Product) -> None:
    order = bought(pack)
    give_back(order, 100)
    for _ in range(2):
        receipts.bring_up_to_date(payment_of(order))
    assert Receipt.objects.count() == 2


def test_never_more_is_cancelled_than_was_paid(pack: Product) -> None:
    order = bought(pack)
    refund = give_back(order, PRICE_MINOR)
    receipt = Receipt.objects.get(cancels=None)
    assert receipts.counter(receipt, 1, refund=refund) is None


def test_what_costs_nothing_has_no_receipt(shop: Tenant) -> None:
    order_of(new_trial(shop))
    assert not Receipt.objects.exists()


def test_what_nobody_paid_has_no_receipt(pack: Product) -> None:
    receipts.bring_up_to_date(begin(order_of(pack)))
    assert not Receipt.objects.exists()


def test_a_receipt_can_not_be_changed_or_deleted(pack: Product) -> None:
    bought(pack)
    for deed in (
        lambda: Receipt.objects.update(amount_minor=1),
        lambda: Receipt.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            deed()


def test_a_booking_that_breaks_down_leaves_no_gap(pack: Product) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        receipts._next_number(pack.tenant, datetime.now(UTC))
        raise ZeroDivisionError
    bought(pack)
    assert numbers()[0].endswith("-000001")


@pytest.mark.usefixtures("busy_shop")
def test_many_at_once_leave_no_gap(busy_shop: Tenant) -> None:
    product = new_product(busy_shop)
    waiting = [order_of(product) for _ in range(8)]
    begin(waiting[0])
    barrier = threading.Barrier(8)

    def pay(index: int) -> None:
        barrier.wait()
        with tenant_scope(busy_shop.pk):
            paid(waiting[index])
        connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(pay, range(8)))
    assert sorted(numbers()) == [f"NO-{year_of(busy_shop)}-{n:06d}" for n in range(1, 9)]
    assert ReceiptCounter.objects.get().last == 8
