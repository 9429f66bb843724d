"""What upstreams keep is remembered beside the client's path, and found before it is stored."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from billing.ids import uuid7_bytes
from billing.scoping import all_tenants
from relay.errors import LedgerUnavailable
from relay.models import UpstreamObject
from relay.object_rows import RESPONSE, Kept
from relay.objects import Objects
from relay.reader import Reader
from tests.billing.ledger.making import new_tenant
from tests.databases import Database


@pytest.fixture
async def objects(sqlite_database: Database) -> AsyncIterator[Objects]:
    reader = Reader()
    objects = Objects(reader)
    yield objects
    await objects.stop(within_s=5.0)
    await reader.close()


@pytest.fixture
def tenant_id(sqlite_database: Database) -> int:
    with all_tenants():
        return new_tenant().pk


def kept(tenant_id: int, name: str = "resp_1", wallet_id: int = 1) -> Kept:
    return Kept(
        id=uuid7_bytes(),
        tenant_id=tenant_id,
        wallet_id=wallet_id,
        key_id=1,
        channel_id=1,
        credential_id=1,
        kind=RESPONSE,
        upstream_id=name,
    )


async def find(objects: Objects, one: Kept, wallet_id: int = 1) -> Kept | None:
    return await objects.find(
        RESPONSE, one.upstream_id, tenant_id=one.tenant_id, wallet_id=wallet_id
    )


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Keep everybody else from writing."""
    connection = sqlite3.connect(database.url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def stored() -> list[str]:
    with all_tenants():
        return list(UpstreamObject.objects.order_by("id").values_list("upstream_id", flat=True))


async def test_what_can_not_be_stored_yet_is_found_all_the_same(
    objects: Objects, tenant_id: int, sqlite_database: Database
) -> None:
    one = kept(tenant_id)
    with locked(sqlite_database):
        objects.remember(one)
        assert await find(objects, one) == one
    await objects.stop(within_s=5.0)
    assert await asyncio.to_thread(stored) == ["resp_1"]


async def test_what_comes_while_one_batch_is_written_goes_with_the_next(
    objects: Objects, tenant_id: int
) -> None:
    for number in range(700):
        objects.remember(kept(tenant_id, f"resp_{number}"))
    await objects.stop(within_s=5.0)
    assert len(await asyncio.to_thread(stored)) == 700


async def test_a_stranger_finds_nothing_here_either(objects: Objects, tenant_id: int) -> None:
    one = kept(tenant_id)
    objects.remember(one)
    assert await find(objects, one, wallet_id=2) is None


async def test_what_is_forgotten_at_once_does_not_come_back(
    objects: Objects, tenant_id: int
) -> None:
    one = kept(tenant_id)
    objects.remember(one)
    await objects.forget(one)
    assert await find(objects, one) is None
    assert await asyncio.to_thread(stored) == []


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "ü"])
async def test_an_id_that_is_none_is_not_remembered(
    objects: Objects, tenant_id: int, name: str
) -> None:
    objects.remember(kept(tenant_id, name))
    await objects.stop(within_s=5.0)
    assert await asyncio.to_thread(stored) == []


async def test_a_job_is_durable_or_refused(
    objects: Objects, tenant_id: int, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.reader.PATIENCE_S", 0.1)
    with locked(sqlite_database), pytest.raises(LedgerUnavailable):
        await objects.remember_job(kept(tenant_id))
    await objects.stop(within_s=5.0)
    await objects.remember_job(kept(tenant_id, "resp_2"))
    assert "resp_2" in await asyncio.to_thread(stored)
