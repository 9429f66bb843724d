"""A shop whose scope is open, for the tests of every provider."""

from collections.abc import Iterator

import pytest

from billing.models import Tenant
from billing.scoping import tenant_scope
from tests.billing.orders import making


@pytest.fixture
def shop(db: None) -> Iterator[Tenant]:
    """A shop that sells in CNY, its scope open."""
    tenant = making.open_shop("north")
    with tenant_scope(tenant.pk):
        yield tenant
