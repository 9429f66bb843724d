"""Setting a lifetime cap on a key that is in use, and handing it on. For keys, shop and admin.

Keys without a cap keep no running sums, so they cost the ledger nothing. Who gets one later gets
its sums from the key's usage and open holds, under the wallet's lock.
"""

from django.db import transaction
from django.db.models import QuerySet, Sum

from billing.errors import FieldInvalid
from billing.ledger.decide import LATE_SETTLE, REAPED
from billing.ledger.giving_back import JOB_ENDPOINTS, JOB_FAILED
from billing.ledger.transfers import lock_wallet
from billing.models import ApiKey, BudgetWindow, Hold, Transfer, UsageOpening, UsageRecord


@transaction.atomic
def set_cap(*, key_id: int, limit_ubt: int | None) -> ApiKey:
    """Let a key use at most `limit_ubt` in its life, or without end (None), in the open scope.

    Raises FieldInvalid for a cap below what the key has used and holds.
    """
    key = ApiKey.objects.get(pk=key_id)
    lock_wallet(key.wallet_id)
    key = ApiKey.objects.select_for_update().get(pk=key_id)
    key.limit_ubt = limit_ubt
    key.spent_ubt = spent_ubt(key) if limit_ubt is not None else 0
    key.pending_ubt = _pending_ubt(key) if limit_ubt is not None else 0
    if limit_ubt is not None and limit_ubt < key.spent_ubt + key.pending_ubt:
        raise FieldInvalid("A cap can't be below what the key has used and what is running.")
    key.save(update_fields=["limit_ubt", "spent_ubt", "pending_ubt"])
    return key


def hand_over(*, old: ApiKey, new: ApiKey) -> None:
    """Give what is left of a key's cap and budgets to the key that takes its place.

    `old` is locked and `new` not yet stored with a cap; the old one can only finish what it runs.
    """
    if old.limit_ubt is not None:
        new.limit_ubt = old.limit_ubt - old.spent_ubt - old.pending_ubt
        old.limit_ubt -= new.limit_ubt
    if old.budget_ubt is not None:
        old.budget_ubt = 0
    for key in (old, new):
        key.save(update_fields=["limit_ubt", "budget_ubt"])
    BudgetWindow.objects.filter(key=old).update(key=new)


def spent_ubt(key: ApiKey) -> int:
    """Return what a key was charged in its life: corrected late, and less what was given back."""
    usage = UsageRecord.objects.filter(key_id=key.pk)
    charged = usage.aggregate(sum=Sum("charged_ubt"))["sum"] or 0
    opened = UsageOpening.objects.filter(key_id=key.pk).aggregate(sum=Sum("charged_ubt"))
    corrected = _corrected_ubt(usage.filter(resolution=REAPED), LATE_SETTLE)
    corrected += _corrected_ubt(usage.filter(endpoint__in=JOB_ENDPOINTS), JOB_FAILED)
    return int(charged + (opened["sum"] or 0) + corrected)


def _corrected_ubt(usage: QuerySet[UsageRecord], source: str) -> int:
    ids = usage.values_list("id", flat=True)
    corrections = Transfer.objects.filter(
        source=source, source_id__in=[request_id.hex for request_id in ids]
    ).values_list("direction", "amount_ubt")
    return sum(-direction * amount for direction, amount in corrections)


def _pending_ubt(key: ApiKey) -> int:
    total = Hold.objects.filter(key_id=key.pk).aggregate(sum=Sum("amount_ubt"))["sum"]
    return int(total or 0)
