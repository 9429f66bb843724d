"""The ledger on SQLite: one write transaction per batch, many rows per statement.

Ids are 32 hexadecimal digits, times are text, as Django stores them. Made by `engine.make_engine`.
"""

import sqlite3
import time
from collections.abc import Iterable
from typing import Any

from billing.errors import LedgerAway
from billing.ledger import sqlite_sql as sql
from billing.ledger.decide import decide
from billing.ledger.ops import Answers, Batch, Grant
from billing.ledger.rows import (
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

_BUSY_TIMEOUT_S = 1.0
_PAUSE_S = 0.001
_GRANTS = tuple(Grant)

# What the machine or a neighbour is to blame for, not an item of the batch.
_RETRYABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_PROTOCOL,
}


class SqliteEngine:
    """Commits batches to a SQLite file in WAL mode, each one synced to disk."""

    def __init__(self, path: str, *, owner: str, pause_s: float = _PAUSE_S) -> None:
        self.owner = owner
        self._path = path
        self._pause_s = pause_s
        self._committed_at = 0.0
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Connect and set what does not outlive a connection."""
        connection = sqlite3.connect(
            self._path,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA recursive_triggers = ON")  # or REPLACE slips past the guards
            connection.execute("PRAGMA cache_size = -16384")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    @property
    def is_open(self) -> bool:
        """Tell whether there is a connection."""
        return self._connection is not None

    def reopen(self) -> None:
        """Connect anew."""
        self.close()
        self.open()

    def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def is_retryable(self, error: BaseException) -> bool:
        """Tell whether the lock, the disk or the connection is at fault."""
        if isinstance(error, LedgerAway):
            return True
        code = getattr(error, "sqlite_errorcode", None)
        return isinstance(error, sqlite3.Error) and code is not None and code & 0xFF in _RETRYABLE

    def tick(self, batch: Batch) -> Answers:
        """Commit a batch."""
        self._leave_lock_free()
        connection = self._begin()
        try:
            (now,) = connection.execute(f"SELECT {sql.CLOCK}").fetchone()
            state = _load(connection, batch)
            answers, writes = decide(batch, state)
            _write(connection, state, writes, now=now, owner=self.owner)
            if batch.heartbeats:
                connection.execute(sql.HEARTBEAT, (now, _hex_list(batch.heartbeats)))
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise
        finally:
            self._committed_at = time.monotonic()
        return answers

    def note(self, finding: Finding) -> None:
        """Record a finding."""
        connection = self._begin()
        try:
            subject, reason = finding.request_id.hex(), finding.reason[:120]
            connection.execute(sql.NOTE, (subject, reason, finding.tenant_id))
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise

    def _begin(self) -> sqlite3.Connection:
        if self._connection is None:
            raise LedgerAway("the ledger has no connection")
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def _leave_lock_free(self) -> None:
        # SQLite does not queue its writers: without a gap between two batches another process
        # waits for seconds under load.
        wait_s = self._committed_at + self._pause_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _load(connection: sqlite3.Connection, batch: Batch) -> State:
    """Read everything that the batch touches, and take its settles' holds out."""
    select = _Select(connection)
    state = State()
    wallet_ids, key_ids = touched(batch)
    for row in select(sql.WALLETS, _list(wallet_ids)):
        state.wallets[row[0]] = WalletState(row[1], _GRANTS[row[4]], Purse(row[2], row[3]))
    for row in select(sql.KEYS, _list(key_ids)):
        cap = None if row[4] is None else Purse(row[4], row[5])
        state.keys[row[0]] = KeyState(row[1], row[2], _GRANTS[row[3]], cap)
    if batch.settles:
        _load_settles(select, batch, state)
    if batch.holds:
        ids = _hex_list([op.id for op in batch.holds])
        state.running = _holds(select(sql.RUNNING, ids))
        state.closed = {bytes.fromhex(row[0]) for row in select(sql.CLOSED, ids)}
    if batch.progresses:
        ids = _hex_list([op.id for op in batch.progresses])
        state.running.update(_holds(select(sql.RUNNING, ids)))
    _load_windows(select, batch, state)
    return state


class _Select:
    """Runs a statement and returns all its rows, so that none is open when the next one runs."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def __call__(self, statement: str, *parameters: Any) -> list[Any]:
        return self._execute(statement, parameters).fetchall()


def _load_settles(select: _Select, batch: Batch, state: State) -> None:
    ids = _hex_list(op.id for op in batch.settles)
    if batch.silent_for_s is None:
        state.held = _holds(select(sql.TAKE_HOLDS, ids))
    else:
        state.held = _holds(select(sql.TAKE_SILENT_HOLDS, ids, f"-{batch.silent_for_s} seconds"))
    if len(state.held) < len(batch.settles):
        for row in select(sql.RESOLVED, ids):
            state.resolved[bytes.fromhex(row[0])] = Resolved(*row[1:])


def _load_windows(select: _Select, batch: Batch, state: State) -> None:
    ids = {held.window_id for held in state.held.values()}
    if state.running:
        ids.update([held.window_id for held in state.running.values()])
    if state.resolved:
        ids.update([record.window_id for record in state.resolved.values()])
    for op in batch.holds:
        if op.window is not None:
            key = (op.key_id, op.window.period, op.window.starts_at)
            select(sql.MAKE_WINDOW, op.tenant_id, *key, op.window.limit_ubt)
            [(state.window_ids[key],)] = select(sql.FIND_WINDOW, *key)
            ids.add(state.window_ids[key])
    if any(ids):
        for row in select(sql.WINDOWS, _list(ids)):
            state.windows[row[0]] = WindowState(row[1], Purse(row[2], row[3]))


def _holds(rows: list[Any]) -> dict[bytes, Held]:
    return {bytes.fromhex(row[0]): Held(*row[1:]) for row in rows}


def _write(
    connection: sqlite3.Connection, state: State, writes: Writes, *, now: str, owner: str
) -> None:
    """Write what was decided; the purses hold the changes of wallets, keys and windows."""
    connection.executemany(
        sql.INSERT_USAGE,
        [
            (write.op.id.hex(), *usage_numbers(write), *usage_words(write), now)
            for write in writes.usage
        ],
    )
    connection.executemany(
        sql.INSERT_HOLD,
        [
            (write.op.id.hex(), *hold_numbers(write), *hold_words(write), owner, now, now)
            for write in writes.holds
        ],
    )
    if writes.progresses:
        connection.executemany(sql.UPDATE_PROGRESS, _progresses(writes, now=now))
    if writes.corrections:
        connection.executemany(sql.INSERT_CORRECTION, _corrections(writes, now=now))
    _write_purses(connection, state)


def _progresses(writes: Writes, *, now: str) -> list[tuple[object, ...]]:
    return [
        (
            write.op.counted_input,
            write.op.counted_output,
            write.op.delivered_ubt,
            write.grown_ubt,
            write.wholesale_grown_ubt,
            write.op.channel_id,
            write.op.model_served,
            now,
            request_id.hex(),
        )
        for request_id, write in writes.progresses.items()
    ]


def _corrections(writes: Writes, *, now: str) -> list[tuple[object, ...]]:
    return [
        (
            write.tenant_id,
            write.wallet_id,
            write.direction,
            write.amount_ubt,
            write.source,
            write.request_id.hex(),
            correction_hash(write),
            now,
        )
        for write in writes.corrections
    ]


def _write_purses(connection: sqlite3.Connection, state: State) -> None:
    wallets = [
        (wallet.purse.credited_ubt, wallet.purse.charged_ubt, wallet.purse.reserved_ubt, wallet_id)
        for wallet_id, wallet in state.wallets.items()
        if wallet.purse.is_changed
    ]
    keys = [
        (key.purse.charged_ubt, key.purse.reserved_ubt, key_id)
        for key_id, key in state.keys.items()
        if key.purse is not None and key.purse.is_changed
    ]
    windows = [
        (window.limit_ubt, window.purse.charged_ubt, window.purse.reserved_ubt, window_id)
        for window_id, window in state.windows.items()
        if window.is_changed or window.purse.is_changed
    ]
    for statement, rows in (
        (sql.UPDATE_WALLET, wallets),
        (sql.UPDATE_KEY, keys),
        (sql.UPDATE_WINDOW, windows),
    ):
        if rows:
            connection.executemany(statement, rows)


def _list(ids: Iterable[int]) -> str:
    return f"[{','.join(map(str, ids))}]"


def _hex_list(ids: Iterable[bytes]) -> str:
    return '["' + '","'.join([request_id.hex() for request_id in ids]) + '"]'
