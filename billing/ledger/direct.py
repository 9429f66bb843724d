"""One ledger operation at a time, for jobs, commands and tests. The relay batches instead.

Each call has a connection and a transaction of its own, so none may be made inside
`transaction.atomic()`: on SQLite it would wait for its own caller.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from django.db import connection

from billing.errors import LedgerAway
from billing.ledger.engine import Engine, make_engine, this_process
from billing.ledger.isolate import commit
from billing.ledger.ops import (
    Answers,
    Batch,
    HoldAnswer,
    HoldOp,
    ProgressAnswer,
    ProgressOp,
    SettleOp,
)
from billing.pricing import Counts

_TRIES = 5
_FIRST_WAIT_S = 0.05


def hold(op: HoldOp, *, owner: str = "") -> HoldAnswer:
    """Reserve an amount for a request. Raises LedgerAway."""
    return run(Batch(holds=[op]), owner=owner).holds[0]


def progress(op: ProgressOp) -> ProgressAnswer:
    """Record what a request has delivered, and grow its hold. Raises LedgerAway."""
    return run(Batch(progresses=[op])).progresses[0]


def settle(op: SettleOp) -> int:
    """Resolve a hold; return what the request is charged in all, in ubt. Raises LedgerAway."""
    return run(Batch(settles=[op])).settles[0]


def void(op: SettleOp, *, resolution: str = "voided") -> int:
    """Resolve a hold without a charge; return what its id is charged, 0 unless it was settled."""
    facts = msgspec.structs.replace(
        op.facts, counts=Counts(), resolution=resolution, usage_source="none"
    )
    return settle(msgspec.structs.replace(op, actual_ubt=0, wholesale_ubt=0, facts=facts))


def run(batch: Batch, *, owner: str = "") -> Answers:
    """Commit a batch of any kind, with a few tries. Raises LedgerAway."""
    with opened(owner=owner) as engine:
        return commit_soon(engine, batch)


@contextmanager
def opened(*, owner: str = "") -> Iterator[Engine]:
    """Give an engine on Django's default database for as long as the block runs."""
    engine = make_engine(connection.settings_dict, owner=owner or this_process())
    try:
        yield engine
    finally:
        engine.close()


def commit_soon(engine: Engine, batch: Batch) -> Answers:
    """Commit a batch, connecting where needed. Raises LedgerAway when a few tries have failed."""
    wait_s = _FIRST_WAIT_S
    for attempt in range(_TRIES):
        try:
            if attempt or not engine.is_open:
                engine.reopen()
            return commit(engine, batch)
        except Exception as error:  # the database's own tree; only the engine can read it
            if not engine.is_retryable(error):
                raise
            cause = error
        time.sleep(wait_s)
        wait_s *= 2
    raise LedgerAway("the database did not answer") from cause
