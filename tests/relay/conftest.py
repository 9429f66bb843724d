"""Fixtures of the relay's tests: a shop with a demo channel and a key, and a running relay."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from billing import catalogue, keys
from billing.models import Hold, Tenant, UsageRecord, Wallet
from billing.scoping import all_tenants, tenant_scope
from billing.tenants import create_tenant
from relay.channels import create_channel
from tests.databases import Database
from tests.relay.server import RelayServer, running_relay

# Base tokens per token, as in the shop of old.
PRICES = {"gpt-4": {"input": 20, "output": 40}, "gpt-3.5-turbo": {"input": 1, "output": "1.5"}}


@dataclass
class Shop:
    """A tenant with keys, and what its books say."""

    tenant: Tenant

    def key(self, base_tokens: int = 90_000, **limits: Any) -> str:
        """Issue a key and return its plain text."""
        with tenant_scope(self.tenant.pk):
            return keys.issue(
                tenant_id=self.tenant.pk, credit_ubt=base_tokens * 1_000_000, **limits
            )[1]

    def channel(self, name: str = "demo", **fields: Any) -> int:
        """Add a channel and return its id; the built-in demo if nothing else is said."""
        with tenant_scope(self.tenant.pk):
            fields.setdefault("provider", "demo")
            return create_channel(tenant=self.tenant, name=name, **fields).pk

    def usage(self) -> list[UsageRecord]:
        """Return the usage records, oldest first."""
        with tenant_scope(self.tenant.pk):
            return list(UsageRecord.objects.order_by("id"))

    def holds(self) -> int:
        """Return how many holds are open."""
        with tenant_scope(self.tenant.pk):
            return Hold.objects.count()

    def wallets(self) -> list[Wallet]:
        """Return the wallets, oldest first."""
        with tenant_scope(self.tenant.pk):
            return list(Wallet.objects.order_by("id"))


def open_shop(slug: str = "shop", hosts: tuple[str, ...] = ("127.0.0.1",)) -> Shop:
    """Make a tenant with the tests' prices and no channel."""
    tenant = create_tenant(slug=slug, name=slug.title(), hosts=list(hosts))
    with tenant_scope(tenant.pk):
        catalogue.load_retail(tenant.pk, PRICES)
    return Shop(tenant)


@pytest.fixture
def shop(sqlite_database: Database) -> Shop:
    """A shop on SQLite."""
    return open_shop()


@pytest.fixture
def relay_server(shop: Shop) -> Iterator[RelayServer]:
    """A relay that serves the shop."""
    with running_relay() as server:
        yield server


@pytest.fixture
def client(relay_server: RelayServer) -> Iterator[httpx.Client]:
    """An HTTP client at the relay."""
    with httpx.Client(base_url=relay_server.url, timeout=20) as client:
        yield client


__all__ = ["Shop", "all_tenants", "open_shop"]
