"""What a relay does to the process that it runs in."""

import asyncio
import gc
from pathlib import Path

import pytest

from billing.ids import uuid7
from billing.ledger.engine_sqlite import SqliteEngine
from billing.ledger.ops import Answers, Batch, HoldOp
from relay.committer import Committer
from relay.errors import LedgerUnavailable
from relay.ledger_batch import LedgerBatch
from tests.databases import Database
from tests.relay.server import running_relay

HOLD = HoldOp(
    id=uuid7().bytes,
    tenant_id=1,
    wallet_id=1,
    key_id=1,
    input_ubt=1,
    output_ubt=0,
    least_output_ubt=0,
    shares=False,
    retail_price_id=1,
    model_asked="m",
    model_served="m",
    endpoint="chat_completions",
    stream=False,
)


class FallingEngine(SqliteEngine):
    """An engine with a fault that no repeat can cure."""

    def tick(self, batch: Batch) -> Answers:
        """End the thread."""
        raise SystemExit


def test_a_relay_spares_the_collector_while_it_runs(sqlite_database: Database) -> None:
    before = gc.get_freeze_count(), gc.get_threshold()
    with running_relay(owns_process=True):
        assert gc.get_freeze_count() > before[0] + 10_000
        assert gc.get_threshold()[0] > before[1][0]
    assert gc.get_threshold() == before[1]
    assert gc.get_freeze_count() <= before[0]


def test_a_relay_in_anothers_process_leaves_the_collector_alone(
    sqlite_database: Database,
) -> None:
    before = gc.get_freeze_count(), gc.get_threshold()
    with running_relay(owns_process=False):
        assert (gc.get_freeze_count(), gc.get_threshold()) == before


async def test_a_process_is_told_when_it_can_take_no_hold_any_more(tmp_path: Path) -> None:
    died = asyncio.Event()
    engine = FallingEngine(str(tmp_path / "books.sqlite3"), owner="test")
    ledger = LedgerBatch(Committer(engine), heartbeat_period_s=15, on_death=died.set)
    await ledger.start()
    with pytest.raises(LedgerUnavailable):
        await ledger.hold(HOLD)
    async with asyncio.timeout(5):
        await died.wait()
    with pytest.raises(LedgerUnavailable):
        await ledger.hold(HOLD)
    await ledger.stop(within_s=0.1)
