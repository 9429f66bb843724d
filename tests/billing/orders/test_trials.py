"""Trials: delivered at once, by mail, once for each mailbox and seldom for a network."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import override_settings

from billing import orders
from billing.errors import LimitReached, OrderInvalid
from billing.models import Delivery, Mail, Order, Payment, Product, Tenant
from billing.orders.placing import TRIALS_PER_DAY
from billing.scoping import tenant_scope
from tests.billing.orders.making import (
    bought,
    deliveries_of,
    new_product,
    new_trial,
    open_shop,
    order_of,
)

NETWORK = 4711


@pytest.fixture
def trial(shop: Tenant) -> Product:
    return new_trial(shop)


def test_a_trial_is_paid_and_delivered_when_it_is_placed(trial: Product) -> None:
    order = order_of(trial)
    assert (order.status, order.delivery_status) == ("paid", "delivered")
    [delivery] = deliveries_of(order)
    assert delivery.wallet.credits_ubt == trial.grant_ubt
    assert (delivery.transfer.kind, delivery.transfer.source) == ("promo", "payment")
    assert Mail.objects.get().kind == "trial"


def test_a_trial_passes_the_same_door_as_what_is_paid(trial: Product) -> None:
    payment = order_of(trial).payments.get()
    assert (payment.status, payment.provider, payment.amount_minor) == ("confirmed", "free", 0)


def test_a_trial_that_was_placed_but_not_given_is_given_next_time(trial: Product) -> None:
    checkout_id = uuid4()
    with override_settings(SEALING_KEYS=""), pytest.raises(ValueError, match="invalid literal"):
        order_of(trial, checkout_id=checkout_id)
    assert Order.objects.get().status == "pending"
    assert order_of(trial, checkout_id=checkout_id).delivery_status == "delivered"
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("email", ["buyer@example.com", "BUYER+2@example.com"])
def test_a_mailbox_gets_one_trial(trial: Product, email: str) -> None:
    order_of(trial)
    with pytest.raises(OrderInvalid) as caught:
        order_of(new_trial(trial.tenant), email=email)
    assert (caught.value.field, caught.value.code) == ("email", "trial_taken")
    assert Order.objects.count() == 1


def test_a_mailbox_that_bought_something_still_gets_its_trial(trial: Product) -> None:
    bought(new_product(trial.tenant))
    assert order_of(trial).status == "paid"


def test_each_shop_has_a_trial_for_a_mailbox(trial: Product) -> None:
    order_of(trial)
    other = open_shop("south")
    with tenant_scope(other.pk):
        assert order_of(new_trial(other)).status == "paid"


def test_a_trial_is_one_key(trial: Product) -> None:
    with pytest.raises(OrderInvalid):
        order_of(trial, quantity=2)


def place_trials(trial: Product, count: int, *, network: int) -> None:
    for number in range(count):
        order_of(trial, email=f"{network}-{number}@example.com", address_hash=network)


def test_a_network_gets_few_trials_a_day(trial: Product) -> None:
    place_trials(trial, TRIALS_PER_DAY, network=NETWORK)
    with pytest.raises(LimitReached):
        order_of(trial, address_hash=NETWORK)
    assert order_of(trial, address_hash=NETWORK + 1).status == "paid"


def test_a_network_gets_trials_again_the_next_day(trial: Product) -> None:
    place_trials(trial, TRIALS_PER_DAY, network=NETWORK)
    for order in Order.objects.all():
        Order.objects.filter(pk=order.pk).update(created_at=order.created_at - timedelta(hours=25))
    assert order_of(trial, address_hash=NETWORK).status == "paid"


def test_what_costs_something_is_not_throttled(trial: Product) -> None:
    place_trials(trial, TRIALS_PER_DAY, network=NETWORK)
    assert order_of(new_product(trial.tenant), address_hash=NETWORK).status == "pending"


def test_nothing_that_costs_something_is_free(shop: Tenant) -> None:
    order = order_of(new_product(shop))
    payment = Payment.objects.create(
        tenant=shop, order=order, provider="free", amount_minor=order.total_minor, currency="CNY"
    )
    assert orders.confirm(payment.pk).status == "created"
    assert Order.objects.get().status == "pending"
