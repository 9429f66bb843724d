"""The ledger's tests commit, so each runs on databases of its own, in the scope of all tenants."""

from collections.abc import Iterator

import pytest

from billing.scoping import all_tenants
from tests.billing.ledger.making import Buyer, new_buyer
from tests.databases import Database


@pytest.fixture(autouse=True)
def everyone() -> Iterator[None]:
    """Open the scope of all tenants."""
    with all_tenants():
        yield


@pytest.fixture
def anna(migrated_database: Database) -> Buyer:
    """A buyer with 1,000 ubt, on SQLite and on PostgreSQL."""
    return new_buyer(credit_ubt=1_000)
