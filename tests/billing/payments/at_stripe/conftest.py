"""A shop with an account at a Stripe on loopback, and an order that waits to be paid."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from billing.models import Order, Payment, PaymentInstance, Tenant
from tests.billing.orders import making as selling
from tests.billing.payments.at_stripe import making
from tests.fakes.stripe import FakeStripe


@pytest.fixture
def fake(settings: Settings) -> Iterator[FakeStripe]:
    """Stripe, as far as this installation knows."""
    with FakeStripe() as running:
        settings.STRIPE_API = running.url
        yield running


@pytest.fixture
def account(shop: Tenant, fake: FakeStripe) -> PaymentInstance:
    """The shop's account at Stripe."""
    return making.new_account(shop)


@pytest.fixture
def order(shop: Tenant) -> Order:
    """An order that waits to be paid."""
    return selling.order_of(selling.new_product(shop))


@pytest.fixture
def payment(order: Order, account: PaymentInstance) -> Payment:
    """A payment of it that was begun at Stripe."""
    return making.begin(order, account)
