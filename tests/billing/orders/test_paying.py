"""One door to "paid": what the provider says is compared, and only then is anything granted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import override_settings

from billing import orders, payments
from billing.errors import NotFound, PaymentAway, StateInvalid
from billing.models import (
    Delivery,
    DemoCharge,
    Order,
    Payment,
    PaymentEvent,
    PaymentInstance,
    Product,
    ProviderReference,
    Tenant,
    Transfer,
)
from billing.payments import Opening, ProviderState, demo
from billing.payments.demo import DemoProvider
from billing.scoping import tenant_scope
from tests.billing.orders.making import begin, new_product, open_shop, order_of, paid
from tests.databases import Database


class Watching(DemoProvider):
    """The demo provider, seen from outside: was a transaction open when it was asked?"""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []

    def create(self, payment: Payment, **urls: str) -> Opening:
        self.asked.append(("create", connection.in_atomic_block))
        return super().create(payment, **urls)

    def fetch(self, payment: Payment) -> ProviderState:
        self.asked.append(("fetch", connection.in_atomic_block))
        return super().fetch(payment)


class Confused(DemoProvider):
    """A provider that answers about somebody else's payment."""

    def fetch(self, payment: Payment) -> ProviderState:
        return replace(super().fetch(payment), payment=uuid4())


def status_of(order: Order) -> tuple[str, str]:
    order.refresh_from_db()
    return order.status, order.delivery_status


def test_a_payment_is_opened_with_the_orders_amount(pack: Product) -> None:
    payment = begin(order_of(pack, quantity=2))
    assert (payment.status, payment.provider) == ("pending", "demo")
    assert (payment.amount_minor, payment.currency) == (2 * pack.price_minor, "CNY")
    assert payment.redirect_url == f"/pay/demo/{payment.public_id}/"


def test_going_to_pay_again_leads_to_the_same_payment(pack: Product) -> None:
    order = order_of(pack)
    assert begin(order) == begin(order)


def test_a_payment_that_was_never_opened_there_is_opened_when_the_buyer_returns(
    pack: Product,
) -> None:
    order = order_of(pack)
    with override_settings(DEMO_PAYMENTS=True):
        first = begin(order)
    Payment.objects.update(status="created", redirect_url="")
    assert (begin(order).pk, begin(order).redirect_url) == (first.pk, first.redirect_url)


def test_a_way_to_pay_that_is_switched_off_is_refused(pack: Product) -> None:
    order = order_of(pack)
    for switch in ({"is_enabled": False}, {"provider": "free"}, {"provider": "gone"}):
        row = {"provider": "demo", **switch}
        instance = PaymentInstance.objects.create(tenant_id=order.tenant_id, **row)
        with pytest.raises(NotFound):
            orders.begin_payment(order, instance_id=instance.pk, return_url="", notify_url="")


def test_another_tenants_way_to_pay_is_refused(pack: Product) -> None:
    other = open_shop("south")
    with tenant_scope(other.pk):
        instance = PaymentInstance.objects.create(tenant=other, provider="demo")
    with pytest.raises(NotFound):
        orders.begin_payment(order_of(pack), instance_id=instance.pk, return_url="", notify_url="")


def test_an_order_whose_time_is_over_can_not_be_paid(pack: Product) -> None:
    order = order_of(pack)
    Order.objects.update(expires_at=order.created_at)
    with pytest.raises(StateInvalid):
        begin(order)


def test_a_paid_order_is_delivered(pack: Product) -> None:
    order = order_of(pack)
    assert paid(order).status == "confirmed"
    assert status_of(order) == ("paid", "delivered")
    assert order.paid_at is not None


def test_asking_for_a_payment_that_nobody_made_changes_nothing(pack: Product) -> None:
    order = order_of(pack)
    assert orders.confirm(begin(order).pk).status == "pending"
    assert status_of(order) == ("pending", "none")


def test_confirming_again_grants_nothing_more(pack: Product) -> None:
    payment = paid(order_of(pack))
    assert orders.confirm(payment.pk) == payment
    assert Transfer.objects.count() == Delivery.objects.count() == 1


def test_a_payment_that_fails_and_then_succeeds_is_delivered(pack: Product) -> None:
    order = order_of(pack)
    payment = begin(order)
    demo.fail(payment)
    assert orders.confirm(payment.pk).status == "failed"
    assert status_of(order) == ("pending", "none")
    demo.pay(payment)
    assert orders.confirm(payment.pk).status == "confirmed"
    assert status_of(order) == ("paid", "delivered")


def test_after_a_failure_there_is_a_second_try(pack: Product) -> None:
    order = order_of(pack)
    first = begin(order)
    demo.fail(first)
    orders.confirm(first.pk)
    second = paid(order)
    assert (first.pk, second.status) != (second.pk, "pending")
    assert status_of(order) == ("paid", "delivered")


@pytest.mark.parametrize("end", ["expire", "cancel"])
def test_an_order_that_has_ended_and_is_paid_late_is_delivered(pack: Product, end: str) -> None:
    order = order_of(pack)
    payment = begin(order)
    if end == "expire":
        assert orders.expire_unpaid(order.expires_at + timedelta(seconds=1)) == 1
    else:
        orders.cancel(order)
    payment.refresh_from_db()
    assert payment.status == order_status(order) == ("expired" if end == "expire" else "cancelled")
    demo.pay(payment)
    assert orders.confirm(payment.pk).status == "confirmed"
    assert status_of(order) == ("paid", "delivered")


def order_status(order: Order) -> str:
    return status_of(order)[0]


def other_payment(order: Order) -> Payment:
    return begin(order_of(new_product(order.tenant)))


def charge(payment: Payment, **changes: Any) -> None:
    DemoCharge.objects.filter(payment=payment).update(**changes)


def take_reference(payment: Payment) -> None:
    """Let another payment have had the reference that the provider will name."""
    assert payment.instance is not None
    ProviderReference.objects.create(
        tenant_id=payment.tenant_id,
        instance=payment.instance,
        payment=other_payment(payment.order),
        reference=f"demo-{payment.demo_charge.pk}",
    )


MISMATCHES: dict[str, Callable[[Payment], object]] = {
    "less": lambda p: charge(p, amount_minor=p.amount_minor - 1),
    "more": lambda p: charge(p, amount_minor=p.amount_minor * 100),
    "currency": lambda p: charge(p, currency="JPY"),
    "instance": lambda p: PaymentInstance.objects.update(provider="stripe"),
    "reference": take_reference,
    "our amount": lambda p: Payment.objects.filter(pk=p.pk).update(amount_minor=1),
    "our currency": lambda p: Payment.objects.filter(pk=p.pk).update(currency="USD"),
}


@pytest.mark.parametrize("what", MISMATCHES)
def test_a_payment_that_differs_goes_to_review_and_grants_nothing(pack: Product, what: str) -> None:
    order = order_of(pack)
    payment = begin(order)
    demo.pay(payment)
    MISMATCHES[what](payment)
    confirmed = orders.confirm(payment.pk)
    assert confirmed.status == "review"
    assert confirmed.review_reason
    assert status_of(order) == ("pending", "review")
    assert not Transfer.objects.exists()


def test_an_answer_about_another_payment_goes_to_review(
    pack: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(payments.REGISTRY, "demo", Confused())
    assert paid(order_of(pack)).status == "review"
    assert not Transfer.objects.exists()


def test_a_payment_in_review_is_confirmed_once_it_is_right(pack: Product) -> None:
    order = order_of(pack)
    payment = begin(order)
    demo.pay(payment)
    charge(payment, amount_minor=1)
    assert orders.confirm(payment.pk).status == "review"
    assert orders.confirm(payment.pk).status == "review"
    charge(payment, amount_minor=order.total_minor)
    confirmed = orders.confirm(payment.pk)
    assert (confirmed.status, confirmed.review_reason) == ("confirmed", "")
    assert status_of(order) == ("paid", "delivered")


def test_an_order_that_is_paid_twice_is_delivered_once(pack: Product) -> None:
    order = order_of(pack)
    first = begin(order)
    second = orders.begin_payment(
        order,
        instance_id=PaymentInstance.objects.create(tenant=pack.tenant, provider="demo").pk,
        return_url="",
        notify_url="",
    )
    for payment in (first, second):
        demo.pay(payment)
        orders.confirm(payment.pk)
    second.refresh_from_db()
    assert (second.status, status_of(order)) == ("review", ("paid", "delivered"))
    assert Transfer.objects.count() == 1


def test_the_providers_name_of_a_payment_is_kept(pack: Product) -> None:
    payment = paid(order_of(pack))
    assert payment.references.get().reference == f"demo-{payment.demo_charge.pk}"


def test_events_are_handled_by_the_confirmation_that_they_led_to(pack: Product) -> None:
    payment = begin(order_of(pack))
    assert payment.instance is not None
    event = PaymentEvent.objects.create(
        tenant=pack.tenant,
        instance=payment.instance,
        payment=payment,
        event_id="evt_1",
        kind="paid",
    )
    orders.confirm(payment.pk)
    event.refresh_from_db()
    assert event.handled_at is None
    demo.pay(payment)
    orders.confirm(payment.pk)
    event.refresh_from_db()
    assert event.handled_at is not None


def test_a_provider_that_is_away_books_nothing(pack: Product) -> None:
    order = order_of(pack)
    payment = begin(order)
    demo.pay(payment)
    with override_settings(DEMO_PAYMENTS=False), pytest.raises(PaymentAway):
        orders.confirm(payment.pk)
    assert status_of(order) == ("pending", "none")
    assert orders.confirm(payment.pk).status == "confirmed"


def test_a_delivery_that_breaks_down_leaves_nothing_behind(pack: Product) -> None:
    order = order_of(pack, quantity=3)
    payment = begin(order)
    demo.pay(payment)
    with override_settings(SEALING_KEYS=""), pytest.raises(ValueError, match="invalid literal"):
        orders.confirm(payment.pk)
    assert status_of(order) == ("pending", "none")
    assert not Transfer.objects.exists()
    assert orders.confirm(payment.pk).status == "confirmed"
    assert Delivery.objects.count() == 3


def test_nobody_can_confirm_another_tenants_payment(pack: Product) -> None:
    payment = begin(order_of(pack))
    demo.pay(payment)
    with tenant_scope(open_shop("south").pk), pytest.raises(NotFound):
        orders.confirm(payment.pk)


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Watching:
    provider = Watching()
    monkeypatch.setitem(payments.REGISTRY, "demo", provider)
    return provider


@pytest.fixture
def open_tenant(sqlite_database: Database) -> Tenant:
    return open_shop("north")


def test_a_provider_is_never_asked_inside_a_transaction(
    open_tenant: Tenant, watching: Watching
) -> None:
    with tenant_scope(open_tenant.pk):
        paid(order_of(new_product(open_tenant)))
    assert watching.asked == [("create", False), ("fetch", False)]


def test_whoever_has_a_transaction_open_can_not_ask(
    open_tenant: Tenant, watching: Watching
) -> None:
    with tenant_scope(open_tenant.pk):
        order = order_of(new_product(open_tenant))
        with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
            begin(order)
        payment = begin(order)
        with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
            orders.confirm(payment.pk)
    assert watching.asked == [("create", False)]
