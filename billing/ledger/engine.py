"""One face for the engines that commit batches, and the choice between them.

An engine has a connection of its own, never Django's: it belongs to the thread that opened it. The
relay's ledger thread keeps one open; `direct` opens one for a moment. Both call `isolate.commit`,
which calls `tick`.
"""

import os
import socket
from typing import Any, Protocol

from billing.ledger.engine_postgres import PostgresEngine
from billing.ledger.engine_sqlite import SqliteEngine
from billing.ledger.ops import Answers, Batch
from billing.ledger.state import Finding


class Engine(Protocol):
    """Commits batches. Every method may raise what `is_retryable` recognises."""

    owner: str

    @property
    def is_open(self) -> bool:
        """Tell whether there is a connection; it may be broken."""

    def open(self) -> None:
        """Connect."""

    def reopen(self) -> None:
        """Connect anew after a retryable error."""

    def close(self) -> None:
        """Disconnect; harmless when there is no connection."""

    def tick(self, batch: Batch) -> Answers:
        """Commit a batch in one short transaction, all of it or nothing."""

    def note(self, finding: Finding) -> None:
        """Record a finding for the operator, in a transaction of its own."""

    def is_retryable(self, error: BaseException) -> bool:
        """Tell whether the same batch may go through when it is tried again."""


def this_process() -> str:
    """Return who owns the holds of this process: host and process id, at most 32 characters."""
    return f"{socket.gethostname()[:21]}:{os.getpid()}"


def open_engine(database: dict[str, Any], *, owner: str = "") -> Engine:
    """Return a connected engine for an entry of Django's DATABASES."""
    engine = make_engine(database, owner=owner or this_process())
    engine.open()
    return engine


def make_engine(database: dict[str, Any], *, owner: str) -> Engine:
    """Return the engine for an entry of Django's DATABASES, not yet connected."""
    if database["ENGINE"].endswith("sqlite3"):
        return SqliteEngine(str(database["NAME"]), owner=owner)
    return PostgresEngine(database, owner=owner)
