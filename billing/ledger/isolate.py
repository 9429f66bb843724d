"""Committing a batch when one of its items can't be committed. Called by the relay and `direct`.

A failure that is not retryable (a broken constraint, a number out of range, a foreign wallet) is
the fault of some item. The batch is split in halves until the bad item stands alone: it gets a
finding and an answer that says so; everything else goes through.
"""

import structlog

from billing.ledger.engine import Engine
from billing.ledger.ops import (
    Answers,
    Batch,
    Grant,
    Growth,
    HoldAnswer,
    HoldOp,
    ProgressAnswer,
    ProgressOp,
    SettleOp,
)
from billing.ledger.state import Finding

log = structlog.get_logger(__name__)

Item = SettleOp | ProgressOp | HoldOp | bytes


def commit(engine: Engine, batch: Batch) -> Answers:
    """Commit a batch and answer every item, in order.

    Raises only what `engine.is_retryable` recognises; the same batch may then be tried again after
    `engine.reopen()`, also when part of it went through: every item is answered as before.
    """
    try:
        return engine.tick(batch)
    except Exception as error:  # whatever an item of the batch has set off
        if engine.is_retryable(error):
            raise
        return _isolate(engine, batch, error)


def _isolate(engine: Engine, batch: Batch, error: Exception) -> Answers:
    items: list[Item] = [*batch.settles, *batch.progresses, *batch.holds, *batch.heartbeats]
    if len(items) < 2:
        return _fail(engine, batch, error)
    half = len(items) // 2
    first = commit(engine, _batch(items[:half], batch.silent_for_s))
    second = commit(engine, _batch(items[half:], batch.silent_for_s))
    return Answers(
        first.settles + second.settles,
        first.progresses + second.progresses,
        first.holds + second.holds,
        first.failures | second.failures,
    )


def _batch(items: list[Item], silent_for_s: float | None) -> Batch:
    return Batch(
        [item for item in items if isinstance(item, SettleOp)],
        [item for item in items if isinstance(item, ProgressOp)],
        [item for item in items if isinstance(item, HoldOp)],
        [item for item in items if isinstance(item, bytes)],
        silent_for_s,
    )


def _fail(engine: Engine, batch: Batch, error: Exception) -> Answers:
    """Answer the bad item and leave a finding. The first line of an error holds no row."""
    text = str(error).partition("\n")[0].encode("ascii", "backslashreplace").decode()
    reason = f"{type(error).__name__}: {text}".replace("\0", " ")
    answers = Answers(
        [0 for _ in batch.settles],
        [ProgressAnswer(Growth.FAILED) for _ in batch.progresses],
        [HoldAnswer(Grant.FAILED) for _ in batch.holds],
    )
    ops: list[SettleOp | ProgressOp | HoldOp] = [*batch.settles, *batch.progresses, *batch.holds]
    for op in ops:
        log.error("ledger_item_failed", request_id=op.id.hex(), reason=reason)
        answers.failures[op.id] = reason
        _note(engine, Finding(op.tenant_id, op.id, reason))
    return answers


def _note(engine: Engine, finding: Finding) -> None:
    try:
        engine.note(finding)
    except Exception as error:  # the item has been answered; a finding is not worth the thread
        if engine.is_retryable(error):
            raise
        log.exception("ledger_finding_lost", request_id=finding.request_id.hex())
