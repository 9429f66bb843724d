"""The ledger alone: hold+settle pairs in batches, both databases, spread and hot wallets.

`python -m benchmarks.ledger` takes about 40 seconds. One process commits batch after batch, as the
relay's ledger thread does: each settles the holds of the one before and makes as many new ones.
The engines take turns within each round. The client runs on one core, PostgreSQL on the other.
"""

import argparse
import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import environ
import psycopg

from benchmarks import machine, postgres
from benchmarks.installation import Installation
from billing.ids import uuid7_bytes
from billing.ledger.engine import Engine, open_engine
from billing.ledger.ops import Batch, Grant, HoldOp, SettleOp, UsageFacts
from billing.pricing import Counts

_SIZES = (1, 32, 128, 500)
_KEYS = "SELECT tenant_id, wallet_id, id FROM api_key ORDER BY id"
_BOOKS = """
SELECT (SELECT sum(debits_ubt) FROM wallet) - (SELECT sum(charged_ubt) FROM usage_record),
       (SELECT sum(pending_ubt) FROM wallet)"""
_COUNTS = Counts(input=219, output=110)
_HELD_UBT, _CHARGED_UBT, _NO_PRICE = 130_000, 61_000, 0

Key = tuple[int, int, int]


@dataclass(frozen=True)
class Figures:
    """One turn of one engine; CPU in microseconds per pair."""

    pairs_per_s: float
    client_us: float
    database_us: float
    tick_ms: float


@dataclass
class Contender:
    """An engine with its wallets; `pid` is PostgreSQL's first process, 0 for SQLite."""

    name: str
    engine: Engine
    keys: list[Key]
    pid: int = 0

    def turn(self, *, size: int, is_hot: bool, seconds: float) -> Figures:
        """Commit batches for so long."""
        keys = self.keys[:1] if is_hot else self.keys
        pids = machine.tree(self.pid) if self.pid else []
        ticks: list[float] = []
        client = 0.0
        batch = Batch()
        database, end = machine.cpu_ns(pids), time.perf_counter() + seconds
        while time.perf_counter() < end:
            batch = Batch(settles=[_settle(op) for op in batch.holds], holds=_holds(keys, size))
            start, spent = time.perf_counter(), time.process_time()
            answers = self.engine.tick(batch)
            ticks.append(time.perf_counter() - start)
            client += time.process_time() - spent
            assert all(answer.grant is Grant.GRANTED for answer in answers.holds), answers.holds[:3]
        pairs = size * len(ticks)
        database_us = (machine.cpu_ns(pids) - database) / pairs / 1e3
        self.engine.tick(Batch(settles=[_settle(op) for op in batch.holds]))
        return Figures(pairs / sum(ticks), client / pairs * 1e6, database_us, median(ticks) * 1e3)


def _holds(keys: list[Key], size: int) -> list[HoldOp]:
    holds = []
    for tenant_id, wallet_id, key_id in random.choices(keys, k=size):
        holds.append(
            HoldOp(
                id=uuid7_bytes(),
                tenant_id=tenant_id,
                wallet_id=wallet_id,
                key_id=key_id,
                input_ubt=_HELD_UBT,
                output_ubt=0,
                least_output_ubt=0,
                shares=False,
                retail_price_id=_NO_PRICE,
                model_asked="gpt-4o-mini",
                model_served="gpt-4o-mini-2024-07-18",
                endpoint="chat_completions",
                stream=False,
                counted_input=219,
                channel_id=1,
                line_id=1,
            )
        )
    return holds


def _settle(op: HoldOp) -> SettleOp:
    facts = UsageFacts(
        counts=_COUNTS,
        model_asked=op.model_asked,
        model_served=op.model_served,
        endpoint=op.endpoint,
        retail_price_id=op.retail_price_id,
        resolution="settled",
        usage_source="upstream",
        status=200,
        attempts=1,
        first_token_ms=35,
        total_ms=41,
        channel_id=1,
        line_id=1,
        upstream_request_id=f"req_{op.id.hex()}",
        address_hash=0x1234567890,
    )
    return SettleOp(op.id, op.tenant_id, op.wallet_id, op.key_id, _CHARGED_UBT, facts)


def _install(folder: Path, url: str, wallet_count: int) -> None:
    installation = Installation(folder, url)
    installation.manage("migrate", "--verbosity", "0")
    host = ("--host", "127.0.0.1")
    installation.manage("create_tenant", "bench", "--name", "Benchmark", *host)
    installation._inside("wallets", str(wallet_count), str(installation.keys))


def _ask(url: str, statement: str) -> list[Any]:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(url) as connected:
        return connected.execute(statement).fetchall()


def _contender(name: str, folder: Path, url: str, *, wallet_count: int, pid: int = 0) -> Contender:
    _install(folder, url, wallet_count)
    if pid:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE")
    engine = open_engine(environ.FileAwareEnv.db_url_config(url), owner="benchmark")
    return Contender(name, engine, _ask(url, _KEYS), pid)


def _compare(contenders: Sequence[Contender], options: argparse.Namespace) -> None:
    print("| | batch | pairs/s | client CPU µs | database CPU µs | tick p50 ms |")
    print("|---|---|---|---|---|---|")
    for is_hot in (False, True):
        for size in options.sizes:
            rounds: dict[str, list[Figures]] = {}
            for _ in range(options.rounds):
                for contender in contenders:
                    turn = contender.turn(size=size, is_hot=is_hot, seconds=options.seconds)
                    rounds.setdefault(contender.name, []).append(turn)
            for name, turns in rounds.items():
                _print_row(f"{name} {'hot' if is_hot else 'spread'}", size, turns)


def _print_row(name: str, size: int, turns: list[Figures]) -> None:
    def middle(figure: str) -> float:
        return float(median(getattr(turn, figure) for turn in turns))

    print(
        f"| {name} | {size} | {middle('pairs_per_s'):,.0f} | {middle('client_us'):.1f} "
        f"| {middle('database_us'):.1f} | {middle('tick_ms'):.2f} |",
        flush=True,
    )


def main() -> None:
    """Measure, print a Markdown table, and check the books."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.4, help="length of one turn")
    parser.add_argument("--wallets", type=int, default=10_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, help="operations a batch")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tollgate-ledger-"))
    try:
        with postgres.server() as server:
            urls = {
                "PostgreSQL": server.url.replace("/postgres?", "/bench?"),
                "SQLite": f"sqlite:///{folder}/ledger.sqlite3",
            }
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("CREATE DATABASE bench")
            contenders = [
                _contender(
                    name,
                    folder / name,
                    url,
                    wallet_count=options.wallets,
                    pid=server.pid if name == "PostgreSQL" else 0,
                )
                for name, url in urls.items()
            ]
            if (os.cpu_count() or 1) > 1:
                os.sched_setaffinity(0, {int(machine.RELAY_CORE)})
            _compare(contenders, options)
            for contender, url in zip(contenders, urls.values(), strict=True):
                contender.engine.close()
                assert _ask(url, _BOOKS) == [(0, 0)], _ask(url, _BOOKS)
            print("\ndebits are charges, nothing is pending")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
