"""The read side: what is left, and what was used. Called by the relay's look-ups and the portal.

Selectors only; they need an open scope, and every one of them is served by an index.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDay

from billing.ledger.caps import spent_ubt
from billing.models import ApiKey, Hold, UsageRecord, Wallet
from billing.partitions import first_id

CORRECTION = "correction"
MAX_DAYS = 400
_SLACK = timedelta(days=1)
"""More than a request can last and clocks can differ: ids say when it began, rows when it ended."""


@dataclass(frozen=True)
class Balance:
    """What a key may be told about its money, in ubt.

    granted - used - held = left, but where a cap or an expired balance leaves less. `access_until`
    is the earlier end of key and wallet in epoch seconds, 0 for none.
    """

    granted_ubt: int
    used_ubt: int
    held_ubt: int
    left_ubt: int
    access_until: int


class DailyCharge(NamedTuple):
    """What one model cost on one UTC day; `day` is its first second since the epoch."""

    day: int
    model: str
    charged_ubt: int


def key_balance(key_id: int) -> Balance:
    """Return the balance that a key answers for.

    A key with a cap answers for itself, a guest's key for its wallet, and another key of a shared
    wallet for what the wallet has left beside the key's own use.
    """
    key = ApiKey.objects.select_related("wallet").get(pk=key_id)
    wallet, until = key.wallet, _access_until(key)
    if key.limit_ubt is not None:
        room = key.limit_ubt - key.spent_ubt - key.pending_ubt
        left = min(room, wallet.available_ubt)
        return Balance(key.limit_ubt, key.spent_ubt, key.pending_ubt, left, until)
    if wallet.owner_id is None:
        return _wallet_balance(wallet.pk, until)
    used = spent_ubt(key)
    held = _sum(Hold.objects.filter(key_id=key.pk, wallet_id=wallet.pk), "amount_ubt")
    left = wallet.available_ubt
    return Balance(left + held + used, used, held, left, until)


def _wallet_balance(wallet_id: int, until: int) -> Balance:
    """Return what a wallet was granted and what was used of it, by one statement.

    A refund, an expiry and every other debit lowers what was granted. A correction belongs to the
    usage that it corrects.
    """
    taken_back = Q(transfers__direction=-1) & ~Q(transfers__kind=CORRECTION)
    given_back = Q(transfers__direction=1, transfers__kind=CORRECTION)
    wallet = Wallet.objects.annotate(
        neither_ubt=Coalesce(Sum("transfers__amount_ubt", filter=taken_back | given_back), 0)
    ).get(pk=wallet_id)
    neither_ubt = int(wallet.neither_ubt)  # neither granted nor used
    return Balance(
        granted_ubt=wallet.credits_ubt - neither_ubt,
        used_ubt=wallet.debits_ubt - neither_ubt,
        held_ubt=wallet.pending_ubt,
        left_ubt=wallet.available_ubt,
        access_until=until,
    )


def daily_charges(key_id: int, *, start: datetime, end: datetime) -> list[DailyCharge]:
    """Return what a key's models cost per UTC day, for start <= time < end, oldest first.

    At most MAX_DAYS days are looked at. Days and models without a charge are left out.
    """
    end = min(end, start + timedelta(days=MAX_DAYS))
    rows = (
        UsageRecord.objects.filter(
            key_id=key_id,
            id__gte=first_id(start - _SLACK),
            id__lt=first_id(end + _SLACK),
            created_at__gte=start,
            created_at__lt=end,
            charged_ubt__gt=0,
        )
        .annotate(day=TruncDay("created_at", tzinfo=UTC))
        .values_list("day", "model_asked")
        .annotate(charged_ubt=Sum("charged_ubt"))
        .order_by("day", "model_asked")
    )
    return [DailyCharge(int(day.timestamp()), model, int(ubt)) for day, model, ubt in rows]


def _sum(rows: QuerySet[Any], column: str) -> int:
    return int(rows.aggregate(total=Sum(column))["total"] or 0)


def _access_until(key: ApiKey) -> int:
    ends = [at for at in (key.expires_at, key.wallet.expires_at) if at is not None]
    return int(min(ends).timestamp()) if ends else 0
