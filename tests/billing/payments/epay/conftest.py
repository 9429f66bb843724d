"""A shop with accounts at a fake gateway, one of each version of epay, its scope open."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from billing.models import Payment, PaymentInstance, Tenant
from tests.billing.orders import making
from tests.billing.payments.epay import accounts
from tests.fakes.epay import FakeEpay


@pytest.fixture
def gateway(settings: Settings) -> Iterator[FakeEpay]:
    """The gateway, at an address that the settings allow."""
    with accounts.open_gateway(settings) as fake:
        yield fake


@pytest.fixture
def v1(shop: Tenant, gateway: FakeEpay) -> PaymentInstance:
    """The shop's account of V1."""
    return accounts.new_instance(shop, accounts.v1_secrets(gateway))


@pytest.fixture
def v2(shop: Tenant, gateway: FakeEpay) -> PaymentInstance:
    """The shop's account of V2."""
    return accounts.new_instance(shop, accounts.v2_secrets(gateway))


@pytest.fixture(params=["v1", "v2"])
def instance(request: pytest.FixtureRequest) -> PaymentInstance:
    """Run the test with an account of each version."""
    found: PaymentInstance = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def payment(shop: Tenant, instance: PaymentInstance) -> Payment:
    """A payment that is open at the gateway: its buyer has been there."""
    return accounts.opened(making.order_of(making.new_product(shop)), instance)


@pytest.fixture
def v1_payment(shop: Tenant, v1: PaymentInstance) -> Payment:
    """The same at the account of V1, for tests of what both versions have in common."""
    return accounts.opened(making.order_of(making.new_product(shop)), v1)
