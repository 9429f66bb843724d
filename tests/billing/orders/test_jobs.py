"""Orders that nobody looks at: asked for, ended, forgotten by jobs that may run twice."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import Task
from django.test import override_settings

from billing import orders, tasks
from billing.errors import StateInvalid
from billing.ledger.clock import database_now
from billing.models import (
    Delivery,
    Mail,
    Order,
    Payment,
    PaymentInstance,
    Product,
    Tenant,
    Transfer,
)
from billing.payments import demo
from billing.scoping import all_tenants
from tests.billing.orders.making import begin, bought, new_product, open_shop, order_of
from tests.databases import Database

MINUTE = timedelta(minutes=1)


def age(payment: Payment, by: timedelta) -> None:
    """Let a payment have been created earlier."""
    Payment.objects.filter(pk=payment.pk).update(created_at=payment.created_at - by)


def poll(now: datetime | None = None) -> int:
    with all_tenants():
        return orders.poll_open(now)


def expire(now: datetime | None = None) -> int:
    with all_tenants():
        return orders.expire_unpaid(now)


def status_of(row: Order | Payment) -> str:
    row.refresh_from_db()
    return row.status


def test_a_crash_between_payment_and_confirmation_is_made_up_for(pack: Product) -> None:
    order = order_of(pack)
    payment = begin(order)
    demo.pay(payment)
    assert poll() == 0
    age(payment, MINUTE)
    assert poll() == 1
    assert (status_of(order), order.delivery_status) == ("paid", "delivered")


def test_a_payment_that_arrives_later_is_found(pack: Product) -> None:
    payment = begin(order_of(pack))
    demo.pay_later(payment, after_s=3_600)
    age(payment, 2 * MINUTE)
    poll()
    assert status_of(payment) == "pending"
    demo.pay_later(payment, after_s=-1)
    age(payment, 6 * MINUTE)
    poll()
    assert status_of(payment) == "confirmed"


def test_a_payment_is_asked_for_four_times(pack: Product) -> None:
    payment = begin(order_of(pack))
    start = payment.created_at
    ages = (0.5, 1, 2, 5, 6, 30, 31, 24 * 60, 24 * 61)
    asked = [poll(start + minutes * MINUTE) for minutes in ages]
    assert asked == [0, 1, 0, 1, 0, 1, 0, 1, 0]


def test_a_payment_that_came_a_day_late_is_found(pack: Product) -> None:
    order = order_of(pack)
    payment = begin(order)
    expire(order.expires_at)
    Payment.objects.update(check_count=3)
    age(payment, timedelta(hours=25))
    demo.pay(payment)
    poll()
    assert (status_of(payment), status_of(order)) == ("confirmed", "paid")


def test_a_check_that_found_the_provider_away_is_made_again(pack: Product) -> None:
    payment = begin(order_of(pack))
    age(payment, MINUTE)
    with override_settings(DEMO_PAYMENTS=False):
        assert poll() == poll() == 1
    demo.pay(payment)
    assert poll() == 1
    assert status_of(payment) == "confirmed"


def test_payments_of_a_provider_that_stays_away_leave_the_others_their_turn(
    pack: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.orders.polling._POLLED", 1)
    stuck, whole = begin(order_of(pack)), begin(order_of(pack))
    Payment.objects.filter(pk=stuck.pk).update(provider="gone")
    demo.pay(whole)
    for payment in (stuck, whole):
        age(payment, MINUTE)
    assert (poll(), poll()) == (1, 1)
    assert status_of(whole) == "confirmed"


def test_an_account_that_stays_away_costs_a_pass_three_questions(pack: Product) -> None:
    payments = [begin(order_of(pack)) for _ in range(6)]
    other = PaymentInstance.objects.create(tenant=pack.tenant, provider="demo")
    Payment.objects.update(provider="gone")
    Payment.objects.filter(pk=payments[-1].pk).update(provider="demo", instance=other)
    demo.pay(payments[-1])
    for payment in payments:
        age(payment, MINUTE)
    assert poll() == 4
    assert status_of(payments[-1]) == "confirmed"


def test_a_payment_that_can_not_be_booked_does_not_hold_up_the_others(pack: Product) -> None:
    broken, whole = begin(order_of(pack)), begin(order_of(pack))
    for payment in (broken, whole):
        demo.pay(payment)
        age(payment, MINUTE)
    Order.objects.filter(pk=broken.order_id).update(status="unheard_of")
    assert poll() == 2
    assert status_of(whole) == "confirmed"


def test_payments_of_all_shops_are_asked_for(pack: Product) -> None:
    south = open_shop("south")
    with all_tenants():
        payments = [begin(order_of(product)) for product in (pack, new_product(south))]
        for payment in payments:
            demo.pay(payment)
            age(payment, MINUTE)
        assert orders.poll_open() == 2
        assert [status_of(payment) for payment in payments] == ["confirmed"] * 2


def test_an_order_expires_an_hour_after_it_was_placed(pack: Product) -> None:
    order = order_of(pack)
    assert order.expires_at - order.created_at < timedelta(minutes=61)
    assert expire(order.created_at + timedelta(minutes=59)) == 0
    assert expire(order.expires_at) == 1
    assert status_of(order) == "expired"


def test_an_expired_orders_open_payments_expire_with_it(pack: Product) -> None:
    order = order_of(pack)
    payment = begin(order)
    expire(order.expires_at)
    assert status_of(payment) == "expired"


def test_an_order_with_a_payment_in_review_does_not_expire(pack: Product) -> None:
    order = order_of(pack)
    Order.objects.update(delivery_status="review")
    assert expire(order.expires_at) == 0


def test_a_paid_order_does_not_expire(pack: Product) -> None:
    order = bought(pack)
    assert expire(order.expires_at) == 0
    assert status_of(order) == "paid"


def test_a_cancelled_order_stays_cancelled(pack: Product) -> None:
    order = order_of(pack)
    payment = begin(order)
    assert orders.cancel(order).status == orders.cancel(order).status == "cancelled"
    assert status_of(payment) == "cancelled"
    assert expire(order.expires_at) == 0


def test_a_paid_order_can_not_be_cancelled(pack: Product) -> None:
    with pytest.raises(StateInvalid):
        orders.cancel(bought(pack))


JOBS: tuple[Task[[], int], ...] = (
    tasks.poll_payments,
    tasks.expire_orders,
    tasks.forget_sealed_keys,
)


@pytest.fixture
def work(migrated_database: Database) -> Iterator[Tenant]:
    """Something to do for every job: a lost payment, a forgotten order, an unfetched key."""
    shop = open_shop("north")
    with all_tenants():
        product, now = new_product(shop), database_now()
        lost = begin(order_of(product))
        demo.pay(lost)
        age(lost, MINUTE)
        forgotten = order_of(product)
        begin(forgotten)
        Order.objects.filter(pk=forgotten.pk).update(expires_at=now)
        unfetched = bought(product)
        Delivery.objects.filter(line__order=unfetched).update(sealed_until=now)
        yield shop


def state() -> dict[str, Any]:
    return {
        "orders": list(Order.objects.order_by("pk").values_list("status", "delivery_status")),
        "payments": list(Payment.objects.order_by("pk").values_list("status", flat=True)),
        "transfers": Transfer.objects.count(),
        "sealed": Delivery.objects.filter(sealed_key__isnull=False).count(),
        "mails": Mail.objects.count(),
    }


DONE = {
    "orders": [("paid", "delivered"), ("expired", "none"), ("paid", "delivered")],
    "payments": ["confirmed", "expired", "confirmed"],
    "transfers": 2,
    "sealed": 1,
    "mails": 2,
}


@pytest.mark.usefixtures("work")
def test_every_job_of_the_shop_may_run_again() -> None:
    for job in JOBS * 3:
        job()
    assert state() == DONE


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.usefixtures("work")
def test_jobs_of_the_shop_may_run_in_any_order(seed: int) -> None:
    jobs = list(JOBS * 2)
    random.Random(seed).shuffle(jobs)
    for job in jobs:
        job()
    assert state() == DONE
