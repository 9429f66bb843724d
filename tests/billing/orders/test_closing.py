"""Payments that nobody is to make any more, and events that nobody has acted on."""

from datetime import timedelta

import pytest

from billing import orders
from billing.ledger.clock import database_now
from billing.models import DemoCharge, Order, Payment, PaymentEvent, PaymentInstance, Product
from billing.payments import demo
from billing.scoping import all_tenants
from tests.billing.orders.bank import Bank
from tests.billing.orders.making import begin, bought, order_of

MINUTE = timedelta(minutes=1)


def poll(after: timedelta = timedelta()) -> int:
    with all_tenants():
        return orders.poll_open(database_now() + after)


def other_payment(order: Order) -> Payment:
    account = PaymentInstance.objects.create(tenant_id=order.tenant_id, provider="demo")
    return orders.begin_payment(order, instance_id=account.pk, return_url="", notify_url="")


def status_of(payment: Payment) -> str:
    payment.refresh_from_db()
    return payment.status


def test_what_is_open_beside_a_paid_order_is_closed_once(pack: Product, bank: Bank) -> None:
    order = order_of(pack)
    first, second = begin(order), other_payment(order)
    demo.pay(first)
    orders.confirm(first.pk)
    for _ in range(3):
        poll()
    assert bank.closed == [second.public_id]
    assert (status_of(second), status_of(first)) == ("failed", "confirmed")


@pytest.mark.parametrize("end", ["expire", "cancel"])
def test_payments_of_an_order_that_has_ended_are_closed(
    pack: Product, bank: Bank, end: str
) -> None:
    order = order_of(pack)
    payment = begin(order)
    if end == "cancel":
        orders.cancel(order)
    else:
        with all_tenants():
            orders.expire_unpaid(order.expires_at)
    poll()
    assert bank.closed == [payment.public_id]


def test_a_payment_of_an_order_that_waits_stays_open(pack: Product, bank: Bank) -> None:
    begin(order_of(pack))
    bought(pack)
    poll()
    assert bank.closed == []


def test_a_provider_that_is_away_is_asked_again_to_close(pack: Product, bank: Bank) -> None:
    order, bank.mood = order_of(pack), "silent"
    payment = begin(order)
    orders.cancel(order)
    poll()
    bank.mood = "prompt"
    poll()
    assert bank.closed == [payment.public_id]
    assert status_of(payment) == "cancelled"
    assert payment.closed_at is not None


def test_who_pays_just_before_it_is_closed_is_delivered(pack: Product, bank: Bank) -> None:
    order = order_of(pack)
    payment = begin(order)
    orders.cancel(order)
    demo.pay(payment)
    poll()
    order.refresh_from_db()
    assert (status_of(payment), order.status) == ("confirmed", "paid")


def test_who_pays_a_second_time_before_it_is_closed_is_seen_by_a_person(
    pack: Product, bank: Bank
) -> None:
    order = order_of(pack)
    first, second = begin(order), other_payment(order)
    for payment in (first, second):
        demo.pay(payment)
    orders.confirm(first.pk)
    poll()
    assert status_of(second) == "review"


def new_event(payment: Payment) -> PaymentEvent:
    assert payment.instance
    return PaymentEvent.objects.create(
        tenant_id=payment.tenant_id,
        instance=payment.instance,
        payment=payment,
        event_id="evt_1",
        kind="dispute",
    )


def test_an_event_that_nobody_has_acted_on_leads_the_poller_to_its_payment(pack: Product) -> None:
    payment = bought(pack).payments.get()
    event = new_event(payment)
    DemoCharge.objects.update(refunded_minor=100)
    assert (poll(), poll(2 * MINUTE), poll(2 * MINUTE)) == (0, 1, 0)
    event.refresh_from_db()
    assert event.handled_at is not None
    assert status_of(payment) == "partly_refunded"


def test_an_event_that_nobody_has_acted_on_is_found_however_many_came_since(pack: Product) -> None:
    payment = bought(pack).payments.get()
    event = new_event(payment)
    others = {"tenant_id": event.tenant_id, "instance_id": event.instance_id, "kind": "paid"}
    PaymentEvent.objects.bulk_create(
        PaymentEvent(**others, event_id=f"evt_{n}", handled_at=event.created_at)
        for n in range(2, 1_500)
    )
    assert poll(2 * MINUTE) == 1


def test_an_event_that_nobody_could_act_on_for_a_week_is_left_to_a_person(pack: Product) -> None:
    payment = bought(pack).payments.get()
    new_event(payment)
    Payment.objects.update(provider="gone")
    assert (poll(timedelta(days=6)), poll(timedelta(days=8))) == (1, 0)


def test_an_event_about_a_provider_that_stays_away_is_looked_at_once_a_minute(
    pack: Product,
) -> None:
    payment = bought(pack).payments.get()
    long_ago = database_now() - 10 * MINUTE
    new_event(payment)
    PaymentEvent.objects.update(created_at=long_ago)
    Payment.objects.update(provider="gone", checked_at=long_ago)
    assert [poll(), poll(), poll(2 * MINUTE)] == [1, 0, 1]
