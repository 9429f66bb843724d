"""Fixtures of the tests of buying: one buyer at each of the two shops."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from billing.models import PaymentInstance
from billing.scoping import tenant_scope
from portal.celery import app
from tests.billing.payments.epay import accounts
from tests.cast import Shop
from tests.fakes.epay import FakeEpay, Placed
from tests.portal.buying.buyer import Buyer, buyer_at
from tests.portal.buying.notifying import send, target


@pytest.fixture
def buyer(north: Shop, browser: Callable[..., Client]) -> Buyer:
    """Somebody at the shop that is looked at."""
    return buyer_at(north, browser)


@pytest.fixture
def stranger(south: Shop, browser: Callable[..., Client]) -> Buyer:
    """Somebody at the other shop."""
    return buyer_at(south, browser)


@pytest.fixture
def broken_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue of jobs that nobody answers at."""
    monkeypatch.setitem(app.conf, "broker_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)


@pytest.fixture
def gateway(settings: Settings) -> Iterator[FakeEpay]:
    """A gateway where the shop is a merchant."""
    with accounts.open_gateway(settings) as fake:
        yield fake


@pytest.fixture
def account(buyer: Buyer, gateway: FakeEpay) -> PaymentInstance:
    """The shop's account there."""
    with tenant_scope(buyer.shop.tenant.pk):
        return accounts.new_instance(buyer.shop.tenant, accounts.v1_secrets(gateway))


@pytest.fixture
def placed(buyer: Buyer, account: PaymentInstance, gateway: FakeEpay) -> Placed:
    """An order whose buyer has arrived at the gateway."""
    assert accounts.visit(target(send(buyer, account), buyer)).status_code < 400
    [placed] = gateway.orders.values()
    return placed
