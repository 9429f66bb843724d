"""The tenant scope fails closed in asynchronous code, too: tried on both databases."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from billing.errors import ScopeMissing
from billing.models import Wallet
from billing.scoping import current_scope, tenant_scope
from tests.billing.test_scoping import ASYNC, READS, WRITES, names, open_shop
from tests.databases import Database


@pytest.mark.parametrize("name", sorted(ASYNC))
async def test_nothing_runs_without_a_scope(sqlite_database: Database, name: str) -> None:
    if name == "aiterator":
        with pytest.raises(ScopeMissing):
            [row async for row in Wallet.objects.all().aiterator()]
    else:
        method: Any = (READS | WRITES)[name[1:]]
        with pytest.raises(ScopeMissing):
            await method(Awaitable(Wallet.objects.all()))
    with pytest.raises(ScopeMissing):
        [row async for row in Wallet.objects.exclude(name="none")]


class Awaitable:
    """Turns the calls of the tables above into those of the asynchronous methods."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rows, f"a{name}")


async def test_iteration_keeps_to_the_scope(migrated_database: Database) -> None:
    anna, bert = await sync_to_async(open_shop)("anna"), await sync_to_async(open_shop)("bert")
    with tenant_scope(bert.id):
        rows = [row async for row in Wallet.objects.exclude(pk=anna.wallet.pk)]
        assert names(rows) == ["bert"]
        assert [row async for row in Wallet.objects.aiterator()] == rows
        assert not await Wallet.objects.filter(pk=anna.wallet.pk).aexists()


async def test_two_tasks_have_a_scope_each() -> None:
    async def seen(tenant_id: int) -> object:
        with tenant_scope(tenant_id):
            await asyncio.sleep(0)
            return current_scope()

    first, second = await asyncio.gather(seen(1), seen(2))
    assert (first, second) == (1, 2)
    with pytest.raises(ScopeMissing):
        current_scope()
