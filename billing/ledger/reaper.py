"""Settles what died: holds whose process has stopped to send heartbeats (R11). Called by a job.

A hold is charged what its last checkpoint says was delivered. Silence is what the reaper itself has
watched, not the age of a row: after a gap in its own passes (the database was away, the worker was
down) it reaps nothing for a whole stale time, so that whoever lives is heard first. A request that
was reaped and ends after all is put right by its late settle.
"""

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from billing import catalogue
from billing.ledger.clock import database_now
from billing.ledger.direct import commit_soon, opened
from billing.ledger.ops import Batch, SettleOp, UsageFacts
from billing.models import Hold, ReaperPass
from billing.pricing import Counts, charge

RESOLUTION = "reaped"
_PAGE = 200
_ROW = 1


def reap(now: datetime | None = None) -> int:
    """Record a pass and settle the holds that were watched to be silent for the stale time.

    In the scope of all tenants. Returns how many were settled. Raises LedgerAway.
    """
    now = now or database_now()
    if not _watch(now):
        return 0
    silent_before = now - timedelta(seconds=settings.HOLD_STALE_S)
    return settle_silent(silent_before, give_up_at=time.monotonic() + longest_gap_s())


def longest_gap_s() -> float:
    """Return how far apart two passes may be for the watch to count as unbroken."""
    return 2 * settings.REAPER_PERIOD_S


def _watch(now: datetime) -> bool:
    """Record this pass; tell whether the watch has lasted for the stale time."""
    with transaction.atomic():
        row = ReaperPass.objects.select_for_update().filter(pk=_ROW).first()
        if row is None:
            row = ReaperPass(pk=_ROW, watching_since=now, last_pass_at=now)
        if (now - row.last_pass_at).total_seconds() > longest_gap_s():
            row.watching_since = now
        row.last_pass_at = now
        row.save()
    return (now - row.watching_since).total_seconds() >= settings.HOLD_STALE_S


def settle_silent(silent_before: datetime, *, give_up_at: float) -> int:
    """Settle every hold without a heartbeat since then at its checkpoint; return how many.

    Stops at `give_up_at` (monotonic): what was read before a standstill is not silence any more.
    """
    reaped = 0
    silent = Hold.objects.filter(heartbeat_at__lte=silent_before).order_by("pk")
    page = list(silent[:_PAGE])
    with opened() as engine:
        while page and time.monotonic() < give_up_at:
            ops = [checkpoint_settle(hold) for hold in page]
            batch = Batch(settles=ops, silent_for_s=settings.HOLD_STALE_S)
            commit_soon(engine, batch)
            left = Hold.objects.filter(pk__in=[hold.pk for hold in page]).count()
            reaped += len(page) - left
            page = list(silent.filter(pk__gt=page[-1].pk)[:_PAGE])
    return reaped


def checkpoint_settle(hold: Hold) -> SettleOp:
    """Return the settle of a hold at its checkpoint: nothing delivered, nothing charged (R5)."""
    counts = Counts()
    if hold.delivered_ubt:
        counts = Counts(input=hold.counted_input, output=hold.counted_output)
    age = database_now() - hold.created_at
    return SettleOp(
        id=hold.pk.bytes,
        tenant_id=hold.tenant_id,
        wallet_id=hold.wallet_id,
        key_id=hold.key_id,
        actual_ubt=hold.delivered_ubt,
        wholesale_wallet_id=hold.wholesale_wallet_id,
        wholesale_ubt=_charge(hold.wholesale_price_id, counts),
        facts=UsageFacts(
            counts=counts,
            model_asked=hold.model_asked,
            model_served=hold.model_served,
            endpoint=hold.endpoint,
            retail_price_id=hold.retail_price_id,
            resolution=RESOLUTION,
            usage_source="checkpoint",
            status=0,
            error_type="relay_lost",
            stream=hold.stream,
            total_ms=min(int(age.total_seconds() * 1000), 2**31 - 1),
            channel_id=hold.channel_id,
            line_id=hold.line_id,
            wholesale_price_id=hold.wholesale_price_id,
            cost_price_id=hold.cost_price_id,
            cost_ubt=_charge(hold.cost_price_id, counts),
        ),
    )


def _charge(price_id: int | None, counts: Counts) -> int:
    return charge(catalogue.price(price_id), counts) if price_id else 0
