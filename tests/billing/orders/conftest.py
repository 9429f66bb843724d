"""A shop whose scope is open: on SQLite without commits, or on a database of its own."""

from collections.abc import Iterator

import pytest

from billing import payments
from billing.models import Product, Tenant
from billing.scoping import tenant_scope
from tests.billing.orders import making
from tests.billing.orders.bank import Bank
from tests.databases import Database


@pytest.fixture
def shop(db: None) -> Iterator[Tenant]:
    """A shop, its scope open."""
    tenant = making.open_shop("north")
    with tenant_scope(tenant.pk):
        yield tenant


@pytest.fixture
def busy_shop(migrated_database: Database) -> Iterator[Tenant]:
    """A shop that threads can see, on both databases, its scope open."""
    tenant = making.open_shop("north")
    with tenant_scope(tenant.pk):
        yield tenant


@pytest.fixture
def pack(shop: Tenant) -> Product:
    """A product of the shop."""
    return making.new_product(shop)


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Bank:
    """A provider with moods, where the demo one was."""
    provider = Bank()
    monkeypatch.setitem(payments.REGISTRY, "demo", provider)
    return provider
