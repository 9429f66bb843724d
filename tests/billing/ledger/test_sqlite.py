"""What only SQLite does: one writer at a time, files that go away, durable commits."""

import sqlite3
import threading
from pathlib import Path

import pytest
from django.db import connection

from billing.errors import LedgerAway
from billing.ledger import direct
from billing.ledger.engine_sqlite import SqliteEngine
from billing.ledger.ops import Batch, Grant
from tests.billing.ledger.making import Buyer, balance, hold_op, new_buyer
from tests.databases import Database


@pytest.fixture
def dora(sqlite_database: Database) -> Buyer:
    return new_buyer(1_000)


def path() -> str:
    return str(connection.settings_dict["NAME"])


def engine() -> SqliteEngine:
    made = SqliteEngine(path(), owner="test")
    made.open()
    return made


def test_a_file_that_another_process_writes_is_busy_and_the_batch_goes_through_later(
    dora: Buyer,
) -> None:
    made, batch = engine(), Batch(holds=[hold_op(dora, 100)])
    other = sqlite3.connect(path(), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as busy:
        made.tick(batch)
    assert made.is_retryable(busy.value)
    other.execute("ROLLBACK")
    other.close()
    made.reopen()
    assert made.tick(batch).holds[0].grant is Grant.GRANTED
    made.close()


def test_a_batch_that_fails_leaves_the_file_unlocked(dora: Buyer) -> None:
    made = engine()
    with pytest.raises(UnicodeEncodeError):
        made.tick(Batch(holds=[hold_op(dora, 1, model_asked="\ud800")]))
    assert direct.hold(hold_op(dora, 100)).grant is Grant.GRANTED
    made.close()


def test_a_bad_item_is_not_retryable(dora: Buyer) -> None:
    assert not engine().is_retryable(sqlite3.IntegrityError("CHECK constraint failed"))
    assert not engine().is_retryable(OverflowError())


def test_batches_back_to_back_let_other_writers_in(dora: Buyer) -> None:
    stop = threading.Event()

    def load() -> None:
        made = engine()
        while not stop.is_set():
            made.tick(Batch(heartbeats=[hold_op(dora).id]))
        made.close()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        # A waiting writer looks every millisecond at first; one second would be starvation.
        other = sqlite3.connect(path(), timeout=1.0, isolation_level=None)
        for _ in range(50):
            other.execute("BEGIN IMMEDIATE")
            other.execute("COMMIT")
        other.close()
    finally:
        stop.set()
        thread.join()


def test_commits_are_synced_to_disk(dora: Buyer) -> None:
    made = engine()
    assert made._connection is not None
    assert made._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert made._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    made.close()


def test_r9_without_its_database_the_ledger_grants_nothing(dora: Buyer, tmp_path: Path) -> None:
    made = SqliteEngine(str(tmp_path / "gone" / "ledger.sqlite3"), owner="test")
    with pytest.raises(LedgerAway):
        direct.commit_soon(made, Batch(holds=[hold_op(dora, 100)]))
    with pytest.raises(LedgerAway):
        made.tick(Batch(holds=[hold_op(dora, 100)]))
    assert balance(dora) == (1_000, 0, 0)
