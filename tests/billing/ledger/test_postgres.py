"""What only PostgreSQL does: plans, lost connections, and a server that stands still."""

import os
import signal
import threading
import time

import psycopg
import pytest
from django.db import connection, transaction

from billing.errors import LedgerAway
from billing.ledger import direct
from billing.ledger.engine import Engine
from billing.ledger.engine_postgres import PostgresEngine
from billing.ledger.ops import Answers, Batch, Grant
from billing.ledger.postgres_sql import STATEMENTS
from billing.models import Wallet
from tests.billing.ledger.making import Buyer, balance, hold_op, new_buyer, settle_op
from tests.databases import Database

_SAMPLES = {
    1016: "'{1,2}'",
    1009: "'{a,b}'",
    2951: "'{01a20149-f945-7002-beb5-4a3db3ec4fce,01a20149-f945-7002-beb5-4a3db3ec4fcf}'",
    2950: "'01a20149-f945-7002-beb5-4a3db3ec4fce'",
    701: "60",
    25: "'a'",
}


@pytest.fixture
def carl(postgres_database: Database) -> Buyer:
    return new_buyer(1_000)


def engine() -> PostgresEngine:
    made = PostgresEngine(connection.settings_dict, owner="test")
    made.open()
    return made


def plan(database: Database, name: str) -> str:
    """Return how the server runs a statement of the ledger, with the ledger's own options."""
    statement = STATEMENTS[name]
    options = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan"
    with psycopg.connect(database.url, options=options) as connected:
        connected.execute(f"PREPARE asked AS {statement.text}")
        samples = ", ".join(_SAMPLES[oid] for oid in statement.types)
        lines = connected.execute(f"EXPLAIN EXECUTE asked({samples})").fetchall()
    return "\n".join(line for (line,) in lines)


@pytest.mark.parametrize(
    "name",
    [name for name in STATEMENTS if name not in {"begin", "commit", "rollback", "note"}],
)
def test_no_statement_of_a_batch_scans_a_table(postgres_database: Database, name: str) -> None:
    assert "Seq Scan" not in plan(postgres_database, name)


@pytest.mark.parametrize("name", ["read", "resolved"])
def test_usage_is_looked_up_in_the_months_of_the_ids_alone(
    postgres_database: Database, name: str
) -> None:
    assert "Subplans Removed" in plan(postgres_database, name)


def test_the_ledgers_session_keeps_index_plans_and_durable_commits(carl: Buyer) -> None:
    made = engine()
    assert made._pipeline is not None
    shown = made._pipeline._connection
    made._pipeline._pg.exit_pipeline_mode()
    made._pipeline._pg.nonblocking = 0
    expected = {
        "enable_seqscan": "off",
        "plan_cache_mode": "force_generic_plan",
        "jit": "off",
        "synchronous_commit": "on",
    }
    for name, value in expected.items():
        row = shown.execute(f"SHOW {name}").fetchone()
        assert row == (value,)
    made.close()


def kill_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_lost_connection_is_retryable_and_the_batch_goes_through_anew(carl: Buyer) -> None:
    made: Engine = engine()
    batch = Batch(holds=[hold_op(carl, 100)])
    kill_sessions()
    with pytest.raises(psycopg.Error) as lost:
        made.tick(batch)
    assert made.is_retryable(lost.value)
    made.reopen()
    assert made.tick(batch).holds[0].grant is Grant.GRANTED
    assert made.tick(batch).holds[0].grant is Grant.GRANTED
    assert balance(carl) == (1_000, 0, 100)
    made.close()


def test_direct_reconnects_by_itself(carl: Buyer) -> None:
    with direct.opened() as made:
        direct.commit_soon(made, Batch(holds=[hold_op(carl, 100)]))
        kill_sessions()
        direct.commit_soon(made, Batch(holds=[hold_op(carl, 100)]))
    assert balance(carl) == (1_000, 0, 200)


def test_r9_without_its_database_the_ledger_grants_nothing(carl: Buyer) -> None:
    settings = {**connection.settings_dict, "HOST": "/nowhere", "OPTIONS": {}}
    made = PostgresEngine(settings, owner="test")
    with pytest.raises(LedgerAway):
        direct.commit_soon(made, Batch(holds=[hold_op(carl, 100)]))
    assert balance(carl) == (1_000, 0, 0)


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="stops a process of the server")
def test_a_server_that_stands_still_is_given_up_on(
    carl: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.ledger.pipeline._PATIENCE_S", 0.3)
    made = engine()
    assert made._pipeline is not None
    backend = made._pipeline._pg.backend_pid
    os.kill(backend, signal.SIGSTOP)
    try:
        with pytest.raises(psycopg.OperationalError):
            made.tick(Batch(holds=[hold_op(carl, 100)]))
    finally:
        os.kill(backend, signal.SIGCONT)
    made.reopen()
    assert made.tick(Batch(holds=[hold_op(carl, 100)])).holds[0].grant is Grant.GRANTED
    made.close()


def test_a_deadlock_is_retryable() -> None:
    made = PostgresEngine({}, owner="test")
    assert made.is_retryable(psycopg.errors.DeadlockDetected())
    assert made.is_retryable(psycopg.errors.SerializationFailure())
    assert not made.is_retryable(psycopg.errors.CheckViolation())


def in_turn(carl: Buyer, *batches: Batch) -> list[Answers]:
    """Queue batches for the wallet's lock, each on a connection of its own, and let them go."""
    answers: dict[int, Answers] = {}

    def run(number: int, batch: Batch) -> None:
        made = engine()
        answers[number] = made.tick(batch)
        made.close()

    threads = [
        threading.Thread(target=run, args=(number, batch)) for number, batch in enumerate(batches)
    ]
    with transaction.atomic():
        Wallet.objects.select_for_update().get(pk=carl.wallet_id)
        for thread in threads:
            thread.start()
            time.sleep(0.3)
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(len(batches))]


def test_a_tombstone_written_while_we_wait_for_the_lock_is_seen(carl: Buyer) -> None:
    op = hold_op(carl, 100)
    settle = Batch(settles=[settle_op(carl, op.id, 0)])
    _, answers = in_turn(carl, settle, Batch(holds=[op]))
    assert answers.holds[0].grant is Grant.CLOSED


def test_a_balance_that_changed_while_we_wait_for_the_lock_is_seen(carl: Buyer) -> None:
    first, second = in_turn(carl, *(Batch(holds=[hold_op(carl, 600)]) for _ in range(2)))
    assert first.holds[0].grant is Grant.GRANTED
    assert (second.holds[0].grant, second.holds[0].available_ubt) == (Grant.HELD_BY_OTHERS, 400)
