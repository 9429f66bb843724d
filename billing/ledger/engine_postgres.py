"""The ledger on PostgreSQL: a batch in two round trips of prepared, pipelined statements.

First round trip: begin, lock the wallets, read. Then `decide`. Second: write, commit. Late settles
and budget windows need one more each. Made by `engine.make_engine`.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import psycopg

from billing.errors import LedgerAway
from billing.ledger import postgres_sql as sql
from billing.ledger.decide import decide
from billing.ledger.ops import Answers, Batch, Grant, HoldOp
from billing.ledger.packing import (
    int8_reader,
    pack_columns,
    pack_float8,
    pack_int8_rows,
    pack_int8s,
    pack_texts,
    pack_uuids,
)
from billing.ledger.pipeline import Call, Pipeline
from billing.ledger.rows import (
    HOLD_WORDS,
    USAGE_WORDS,
    correction_hash,
    hold_numbers,
    hold_words,
    usage_numbers,
    usage_words,
)
from billing.ledger.state import (
    Finding,
    Held,
    KeyState,
    Purse,
    Resolved,
    State,
    WalletState,
    WindowState,
    Writes,
    touched,
)

_GRANTS = tuple(Grant)
_NO_ID = bytes(16)
# A server that became a standby; a plan that a migration has made invalid: connect anew.
_STALE_CONNECTION = {"25006", "0A000"}
_read_wallet, _read_held, _read_key = int8_reader(5), int8_reader(8), int8_reader(7)
_read_resolved, _read_window, _read_window_id = int8_reader(10), int8_reader(4), int8_reader(2)
_DJANGO_ONLY = {"pool", "server_side_binding", "isolation_level", "assume_role"}


class PostgresEngine:
    """Commits batches to PostgreSQL."""

    def __init__(self, database: dict[str, Any], *, owner: str) -> None:
        self.owner = owner
        self._parameters = _connection_parameters(database)
        self._pipeline: Pipeline | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether there is a connection."""
        return self._pipeline is not None

    def open(self) -> None:
        """Connect and prepare every statement."""
        self._pipeline = Pipeline(self._parameters, sql.STATEMENTS)

    def reopen(self) -> None:
        """Connect anew."""
        self.close()
        self.open()

    def close(self) -> None:
        """Disconnect."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()

    def is_retryable(self, error: BaseException) -> bool:
        """Tell whether the connection, the server or another transaction is at fault."""
        if isinstance(error, LedgerAway | psycopg.OperationalError):
            return True
        return isinstance(error, psycopg.Error) and error.sqlstate in _STALE_CONNECTION

    def tick(self, batch: Batch) -> Answers:
        """Commit a batch."""
        pipeline = self._open_pipeline()
        try:
            state = _load(pipeline, batch)
            answers, writes = decide(batch, state)
            pipeline.run(*self._writes(batch, state, writes), Call("commit"))
        except BaseException:
            with suppress(psycopg.Error):  # a lost connection has rolled back already
                pipeline.run(Call("rollback"))
            raise
        return answers

    def note(self, finding: Finding) -> None:
        """Record a finding."""
        subject, reason = finding.request_id.hex(), finding.reason[:120]
        tenants = pack_int8s([finding.tenant_id])
        self._open_pipeline().run(Call("note", (tenants, subject.encode(), reason.encode())))

    def _open_pipeline(self) -> Pipeline:
        if self._pipeline is None:
            raise LedgerAway("the ledger has no connection")
        return self._pipeline

    def _writes(self, batch: Batch, state: State, writes: Writes) -> Iterable[Call]:
        if writes.usage or writes.holds:
            yield Call("write", _main_parameters(state, writes, owner=self.owner))
        elif any(wallet.purse.is_changed for wallet in state.wallets.values()):
            yield Call("wallets", _wallet_parameters(state))
        if writes.progresses:
            yield Call("progress", _progress_parameters(writes))
        if any(key.purse is not None and key.purse.is_changed for key in state.keys.values()):
            yield Call("keys", _key_parameters(state))
        if state.windows:
            yield Call("update_windows", _window_parameters(state))
        if writes.corrections:
            yield Call("corrections", _correction_parameters(writes))
        if batch.heartbeats:
            yield Call("heartbeat", (pack_uuids(batch.heartbeats),))


def _connection_parameters(database: dict[str, Any]) -> dict[str, Any]:
    """Return what psycopg needs of an entry of DATABASES."""
    options = database.get("OPTIONS") or {}
    named = {
        "dbname": database.get("NAME"),
        "user": database.get("USER"),
        "password": database.get("PASSWORD"),
        "host": database.get("HOST"),
        "port": database.get("PORT"),
    }
    return {
        **{name: value for name, value in options.items() if name not in _DJANGO_ONLY},
        **{name: str(value) for name, value in named.items() if value},
    }


def _load(pipeline: Pipeline, batch: Batch) -> State:
    """Lock the wallets, read everything that the batch touches, take its settles' holds out."""
    wallet_ids, key_ids = touched(batch)
    hold_ids = [op.id for op in batch.holds]
    running_ids = [op.id for op in batch.progresses] + hold_ids
    _, wallets, rows = pipeline.run(
        Call("begin"),
        Call("lock", (pack_int8s(sorted(wallet_ids)),)),
        Call(
            "read",
            (
                pack_uuids([op.id for op in batch.settles]),
                None if batch.silent_for_s is None else pack_float8(batch.silent_for_s),
                pack_uuids(running_ids),
                pack_uuids(hold_ids),
                *_range(hold_ids),
                pack_int8s(list(key_ids)),
            ),
        ),
    )
    state = State()
    value: Callable[[int, int], Any] = wallets.get_value
    for n in range(wallets.ntuples):
        wallet_id, tenant_id, refusal, room, pending = _read_wallet(value(n, 0))
        state.wallets[wallet_id] = WalletState(tenant_id, _GRANTS[refusal], Purse(room, pending))
    _sort_rows(rows, state)
    if len(state.held) < len(batch.settles):
        _load_resolved(pipeline, batch, state)
    _load_windows(pipeline, batch, state)
    return state


def _sort_rows(rows: Any, state: State) -> None:
    value = rows.get_value
    for n in range(rows.ntuples):
        kind = value(n, 0)[7]
        if kind == sql.TAKEN:
            state.held[value(n, 1)] = Held(*_read_held(value(n, 2)))
        elif kind == sql.RUNNING:
            state.running[value(n, 1)] = Held(*_read_held(value(n, 2)))
        elif kind == sql.CLOSED:
            state.closed.add(value(n, 1))
        else:
            key_id, tenant_id, wallet_id, refusal, has_cap, room, pending = _read_key(value(n, 2))
            cap = Purse(room, pending) if has_cap else None
            state.keys[key_id] = KeyState(tenant_id, wallet_id, _GRANTS[refusal], cap)


def _load_resolved(pipeline: Pipeline, batch: Batch, state: State) -> None:
    ids = [op.id for op in batch.settles if op.id not in state.held]
    [rows] = pipeline.run(Call("resolved", (pack_uuids(ids), *_range(ids))))
    for n in range(rows.ntuples):
        state.resolved[_bytes(rows, n, 0)] = Resolved(*_read_resolved(_bytes(rows, n, 1)))


def _load_windows(pipeline: Pipeline, batch: Batch, state: State) -> None:
    ids = {held.window_id for held in state.held.values()}
    ids.update(held.window_id for held in state.running.values())
    ids.update(record.window_id for record in state.resolved.values())
    ops = [op for op in batch.holds if op.window is not None]
    if ops:
        ids.update(_make_windows(pipeline, ops, state))
    ids.discard(0)
    if ids:
        [rows] = pipeline.run(Call("windows", (pack_int8s(list(ids)),)))
        for n in range(rows.ntuples):
            window_id, limit, room, pending = _read_window(_bytes(rows, n, 0))
            state.windows[window_id] = WindowState(limit, Purse(room, pending))


def _make_windows(pipeline: Pipeline, ops: list[HoldOp], state: State) -> list[int]:
    """Create the budget windows that are missing; return the ids of all that the holds name."""
    named = {
        (op.key_id, op.window.period, op.window.starts_at): (op.tenant_id, op.window.limit_ubt)
        for op in ops
        if op.window is not None
    }
    keys = list(named)
    where = (
        pack_int8s([key_id for key_id, _, _ in keys]),
        pack_texts([period for _, period, _ in keys]),
        pack_int8s([starts_at for _, _, starts_at in keys]),
    )
    tenants, limits = (pack_int8s(column) for column in zip(*named.values(), strict=True))
    _, rows = pipeline.run(
        Call("make_windows", (tenants, *where, limits)), Call("find_windows", where)
    )
    for n in range(rows.ntuples):
        index, window_id = _read_window_id(_bytes(rows, n, 0))
        state.window_ids[keys[index]] = window_id
    return list(state.window_ids.values())


def _range(ids: list[bytes]) -> tuple[bytes, bytes]:
    return (min(ids), max(ids)) if ids else (_NO_ID, _NO_ID)


def _bytes(rows: Any, row: int, column: int) -> bytes:
    value: bytes = rows.get_value(row, column)
    return value


def _main_parameters(state: State, writes: Writes, *, owner: str) -> tuple[bytes, ...]:
    usage, holds = writes.usage, writes.holds
    return (
        pack_uuids([write.op.id for write in usage]),
        pack_int8_rows([usage_numbers(write) for write in usage]),
        *pack_columns([usage_words(write) for write in usage], width=len(USAGE_WORDS)),
        pack_uuids([write.op.id for write in holds]),
        pack_int8_rows([hold_numbers(write) for write in holds]),
        *pack_columns([hold_words(write) for write in holds], width=len(HOLD_WORDS)),
        owner.encode(),
        *_wallet_parameters(state),
    )


def _columns(rows: Sequence[tuple[int, ...]], *, width: int) -> tuple[bytes, ...]:
    if not rows:
        return (pack_int8s(()),) * width
    return tuple(pack_int8s(column) for column in zip(*rows, strict=True))


def _wallet_parameters(state: State) -> tuple[bytes, ...]:
    rows = [
        (wallet_id, wallet.purse.credited_ubt, wallet.purse.charged_ubt, wallet.purse.reserved_ubt)
        for wallet_id, wallet in state.wallets.items()
        if wallet.purse.is_changed
    ]
    return _columns(rows, width=4)


def _progress_parameters(writes: Writes) -> tuple[bytes, ...]:
    rows = [
        (
            write.op.counted_input,
            write.op.counted_output,
            write.op.delivered_ubt,
            write.grown_ubt,
            write.wholesale_grown_ubt,
            write.op.channel_id or 0,
        )
        for write in writes.progresses.values()
    ]
    return (
        pack_uuids(list(writes.progresses)),
        *_columns(rows, width=6),
        pack_texts([write.op.model_served for write in writes.progresses.values()]),
    )


def _key_parameters(state: State) -> tuple[bytes, ...]:
    rows = [
        (key_id, key.purse.charged_ubt, key.purse.reserved_ubt)
        for key_id, key in state.keys.items()
        if key.purse is not None and key.purse.is_changed
    ]
    return _columns(rows, width=3)


def _window_parameters(state: State) -> tuple[bytes, ...]:
    rows = [
        (window_id, window.limit_ubt, window.purse.charged_ubt, window.purse.reserved_ubt)
        for window_id, window in state.windows.items()
        if window.is_changed or window.purse.is_changed
    ]
    return _columns(rows, width=4)


def _correction_parameters(writes: Writes) -> tuple[bytes, ...]:
    rows = [
        (write.tenant_id, write.wallet_id, write.direction, write.amount_ubt)
        for write in writes.corrections
    ]
    return (
        *_columns(rows, width=4),
        pack_texts([write.source for write in writes.corrections]),
        pack_texts([write.request_id.hex() for write in writes.corrections]),
        pack_texts([correction_hash(write) for write in writes.corrections]),
    )
