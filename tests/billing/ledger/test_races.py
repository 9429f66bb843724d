"""Threads and processes race for the same money: nothing is overspent, nothing locks up."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from billing.ledger import direct
from billing.ledger.ops import Batch, Grant
from billing.ledger.reconcile import reconcile
from billing.models import UsageRecord, Wallet
from billing.scoping import all_tenants
from tests.billing.ledger.making import (
    Buyer,
    balance,
    hold_op,
    new_buyer,
    settle_op,
)
from tests.databases import Database

RACERS = 8


def race(work: Callable[[int], list[Grant]]) -> list[Grant]:
    """Let threads start at the same moment; return all that they were answered."""
    barrier = threading.Barrier(RACERS)

    def run(racer: int) -> list[Grant]:
        barrier.wait()
        with all_tenants():
            return work(racer)

    with ThreadPoolExecutor(RACERS) as threads:
        return [grant for grants in threads.map(run, range(RACERS)) for grant in grants]


@pytest.mark.parametrize("batch_size", [1, 5, 25])
def test_200_holds_on_a_wallet_worth_7_grant_exactly_7(
    migrated_database: Database, batch_size: int
) -> None:
    anna = new_buyer(credit_ubt=7 * 100 + 99)

    def work(_racer: int) -> list[Grant]:
        with direct.opened() as engine:
            grants = []
            for _ in range(25 // batch_size):
                holds = [hold_op(anna, 100) for _ in range(batch_size)]
                answers = direct.commit_soon(engine, Batch(holds=holds)).holds
                grants += [answer.grant for answer in answers]
            return grants

    grants = race(work)
    assert len(grants) == 200
    assert grants.count(Grant.GRANTED) == 7
    assert set(grants) == {Grant.GRANTED, Grant.HELD_BY_OTHERS}
    assert balance(anna) == (799, 0, 700)


def test_a_cap_is_not_overspent_in_a_race(migrated_database: Database) -> None:
    anna = new_buyer(10_000, limit_ubt=350)

    def work(_racer: int) -> list[Grant]:
        ops = [hold_op(anna, 100) for _ in range(3)]
        return [answer.grant for answer in direct.run(Batch(holds=ops)).holds]

    assert race(work).count(Grant.GRANTED) == 3


def test_the_same_settle_from_many_sides_charges_once(anna: Buyer) -> None:
    op = hold_op(anna, 100)
    direct.hold(op)

    def work(racer: int) -> list[Grant]:
        assert direct.settle(settle_op(anna, op.id, 60)) == 60
        return []

    race(work)
    assert balance(anna) == (1_000, 60, 0)
    assert UsageRecord.objects.count() == 1


def test_a_tombstone_and_its_hold_race_to_one_end(anna: Buyer) -> None:
    ops = [hold_op(anna, 10) for _ in range(40)]

    def work(racer: int) -> list[Grant]:
        for op in ops:
            if racer % 2:
                direct.settle(settle_op(anna, op.id, 0))
            else:
                direct.hold(op)
        return []

    race(work)
    direct.run(Batch(settles=[settle_op(anna, op.id, 0) for op in ops]))
    assert balance(anna) == (1_000, 0, 0)
    assert UsageRecord.objects.count() == 40


_CROWD = """
import random, sys
import django
django.setup()
from billing.ledger import direct
from billing.ledger.ops import Batch
from tests.billing.ledger.making import Buyer, hold_op, settle_op
buyers = [Buyer(*map(int, buyer.split(","))) for buyer in sys.argv[2:]]
with direct.opened() as engine:
    before = []
    print("ready", flush=True)
    for turn in range(int(sys.argv[1])):
        random.shuffle(buyers)
        settles = [settle_op(buyer, op.id, 1) for buyer, op in before]
        beats = [op.id for _, op in before[: len(before) // 2]]
        before = [(buyer, hold_op(buyer, 1)) for buyer in buyers]
        holds = [op for _, op in before]
        direct.commit_soon(engine, Batch(settles=settles, holds=holds, heartbeats=beats))
    direct.commit_soon(engine, Batch(settles=[settle_op(b, op.id, 1) for b, op in before]))
"""


def crowd(database: Database, buyers: list[Buyer], *, turns: int) -> subprocess.Popen[str]:
    """Start a process that holds and settles for all buyers at once, in an order of its own."""
    words = [f"{buyer.tenant_id},{buyer.wallet_id},{buyer.key_id}" for buyer in buyers]
    process = subprocess.Popen(
        [sys.executable, "-c", _CROWD, str(turns), *words],
        env={**os.environ, "DATABASE_URL": database.url, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_on_the_same_wallets_do_not_lock_each_other_out(
    migrated_database: Database,
) -> None:
    buyers = [new_buyer(1_000) for _ in range(30)]
    processes = [crowd(migrated_database, buyers, turns=40) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
    spent = set(Wallet.objects.values_list("debits_ubt", "pending_ubt"))
    assert spent == {(80, 0)}
    assert reconcile().is_clean


def test_a_process_killed_in_the_middle_of_a_batch_leaves_the_books_right(
    migrated_database: Database,
) -> None:
    buyers = [new_buyer(1_000_000) for _ in range(30)]
    for delay_s in (0.05, 0.13, 0.21):
        process = crowd(migrated_database, buyers, turns=100_000)
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        assert reconcile().findings == []
    assert UsageRecord.objects.exists()
