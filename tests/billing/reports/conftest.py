"""The reports' tests: Anna's shop, on both databases or, where SQL does not differ, on one."""

from collections.abc import Iterator

import pytest

from billing import keys, tenants
from billing.models import ApiKey, Tenant
from billing.scoping import tenant_scope
from tests.databases import Database


@pytest.fixture
def anna(migrated_database: Database) -> Iterator[Tenant]:
    """Anna's shop, in its scope, on SQLite and on PostgreSQL."""
    with tenant_scope(new_shop().pk):
        yield Tenant.objects.get(slug="anna")


@pytest.fixture
def key(db: None) -> Iterator[ApiKey]:
    """A guest's key of Anna's shop with 10,000 base tokens, in its scope, on SQLite."""
    with tenant_scope(new_shop().pk):
        yield new_key()


def new_shop() -> Tenant:
    """Open Anna's shop."""
    return tenants.create_tenant(slug="anna", name="Anna", hosts=["anna.example"])


def new_key(credit_ubt: int = 10_000_000_000) -> ApiKey:
    """Issue a guest's key in Anna's shop."""
    return keys.issue(tenant_id=Tenant.objects.get(slug="anna").pk, credit_ubt=credit_ubt)[0]
