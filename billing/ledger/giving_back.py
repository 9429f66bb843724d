"""Giving a charge back whose job has failed at its upstream. Called by the relay's jobs.

A job (a video, a task of a generic route) is charged when the upstream accepts it and may fail
later. The usage record stays as it is; a correction credits the wallet once, and what the key's
cap, its budget and the shop's wholesale wallet were charged goes back with it.
"""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F

from billing.errors import FieldInvalid
from billing.ledger.clock import database_now
from billing.ledger.decide import LATE_SETTLE, LATE_WHOLESALE, REAPED
from billing.ledger.transfers import credit, lock_wallet
from billing.models import ApiKey, BudgetWindow, Transfer, UsageRecord

JOB_FAILED = "job_failed"
JOB_FAILED_WHOLESALE = "job_failed_wholesale"

JOB_ENDPOINTS = ("videos", "generic")
"""The endpoints whose charges can be given back: the books look for nothing else."""

_MAY_SETTLE_LATE = timedelta(hours=1)


@transaction.atomic
def give_back(*, usage_id: UUID, actor: str = "", reason: str = "the job has failed") -> int | None:
    """Credit what a request was charged, once; return how many ubt that were, 0 for nothing.

    None: the request is not settled for good, so ask again. In the open scope. Raises FieldInvalid
    for a request that was no job.
    """
    record = UsageRecord.objects.filter(pk=usage_id).first()
    if record is None:
        return None
    if record.endpoint not in JOB_ENDPOINTS:
        raise FieldInvalid(f"{record.endpoint} has no jobs.")
    for wallet_id in sorted({record.wallet_id, record.wholesale_wallet_id or record.wallet_id}):
        lock_wallet(wallet_id)
    booked = _transfer(record, JOB_FAILED)
    if booked is not None:
        return booked.amount_ubt
    if _may_change(record):
        return None
    amount_ubt = record.charged_ubt + _corrected_ubt(record, LATE_SETTLE)
    why = {"actor": actor, "reason": reason}
    _credit(record, record.wallet_id, amount_ubt, source=JOB_FAILED, **why)
    _give_limits_back(record, amount_ubt)
    if record.wholesale_wallet_id is not None:
        wholesale_ubt = record.wholesale_ubt + _corrected_ubt(record, LATE_WHOLESALE)
        wallet_id = record.wholesale_wallet_id
        _credit(record, wallet_id, wholesale_ubt, source=JOB_FAILED_WHOLESALE, **why)
    return amount_ubt


def _may_change(record: UsageRecord) -> bool:
    """Say whether a request that the reaper has settled may still be settled by its relay."""
    if record.resolution != REAPED or _transfer(record, LATE_SETTLE) is not None:
        return False
    return database_now() - record.created_at < _MAY_SETTLE_LATE


def _transfer(record: UsageRecord, source: str) -> Transfer | None:
    return Transfer.objects.filter(
        tenant_id=record.tenant_id, source=source, source_id=record.pk.hex, kind="correction"
    ).first()


def _corrected_ubt(record: UsageRecord, source: str) -> int:
    late = _transfer(record, source)
    return -late.direction * late.amount_ubt if late is not None else 0


def _credit(
    record: UsageRecord, wallet_id: int, amount_ubt: int, *, source: str, actor: str, reason: str
) -> None:
    if amount_ubt > 0:
        credit(
            wallet_id=wallet_id,
            kind="correction",
            amount_ubt=amount_ubt,
            source=source,
            source_id=record.pk.hex,
            actor=actor,
            reason=reason,
        )


def _give_limits_back(record: UsageRecord, amount_ubt: int) -> None:
    """Let a capped key and a budget spend it again; the wallet's lock covers both."""
    less = {"spent_ubt": F("spent_ubt") - amount_ubt}
    ApiKey.objects.filter(pk=record.key_id, limit_ubt__isnull=False).update(**less)
    if record.window_id is not None:
        BudgetWindow.objects.filter(pk=record.window_id).update(**less)
