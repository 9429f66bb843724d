"""What a key's money is and in which state the key is: for look-ups, pages and the API."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from billing.ledger.caps import spent_ubt
from billing.models import ApiKey, Hold, Wallet
from billing.reports.reach import sees_wallet
from billing.units import UBT_PER_BASE_TOKEN, ceil_base_tokens, floor_base_tokens

CORRECTION = "correction"
ACTIVE, USED_UP, EXPIRED, FROZEN, REVOKED = "active", "used_up", "expired", "frozen", "revoked"


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


@dataclass(frozen=True)
class Shown:
    """A balance in whole base tokens, as people read it: used + held + left + uncovered = granted.

    Used is rounded up and left is rounded down, as everywhere; what that leaves over lies in held.
    `uncovered` is what a cap would allow but its wallet does not have.
    """

    granted: int
    used: int
    held: int
    left: int
    uncovered: int


def shown(balance: Balance) -> Shown:
    """Return a balance in whole base tokens whose parts make up the whole."""
    used = ceil_base_tokens(balance.used_ubt)
    left = floor_base_tokens(balance.left_ubt)
    rest_ubt = balance.granted_ubt - balance.used_ubt - balance.held_ubt - balance.left_ubt
    uncovered = floor_base_tokens(max(rest_ubt, 0))
    if balance.granted_ubt % UBT_PER_BASE_TOKEN:
        held = floor_base_tokens(balance.held_ubt)
        return Shown(used + held + left + uncovered, used, held, left, uncovered)
    granted = floor_base_tokens(balance.granted_ubt)
    return Shown(granted, used, granted - used - left - uncovered, left, uncovered)


def standing(key: ApiKey, balance: Balance, *, now: datetime) -> str:
    """Return the state of a key: what would come first when it is refused, else active."""
    if key.revoked_at is not None:
        return REVOKED
    return FROZEN if key.status != ApiKey.ACTIVE else wallet_standing(key.wallet, balance, now=now)


def key_balance(key_id: int) -> Balance:
    """Return the balance that a key answers for.

    A key with a cap answers for itself, a guest's key for its wallet, and another key of a shared
    wallet, or one that was replaced, for what the wallet has left beside the key's own use. What is
    left once a replaced key has ended is the new key's alone.
    """
    key = ApiKey.objects.select_related("wallet").get(pk=key_id)
    wallet, until = key.wallet, _access_until(key)
    if key.limit_ubt is not None:
        room = key.limit_ubt - key.spent_ubt - key.pending_ubt
        left = min(room, wallet.available_ubt)
        return Balance(key.limit_ubt, key.spent_ubt, key.pending_ubt, left, until)
    if sees_wallet(key):
        return _wallet_balance(wallet.pk, until)
    used = spent_ubt(key)
    held = _sum(Hold.objects.filter(key_id=key.pk, wallet_id=wallet.pk), "amount_ubt")
    left = 0 if _was_followed(key) else wallet.available_ubt
    return Balance(left + held + used, used, held, left, until)


def _was_followed(key: ApiKey) -> bool:
    """Tell whether a key has ended for the one that took its place."""
    has_expired = key.expires_at is not None and key.expires_at <= timezone.now()
    return key.replaced_at is not None and (key.revoked_at is not None or has_expired)


def wallet_balance(wallet: Wallet) -> Balance:
    """Return the balance of a whole wallet, for who owns it."""
    until = int(wallet.expires_at.timestamp()) if wallet.expires_at else 0
    return _wallet_balance(wallet.pk, until)


def wallet_standing(wallet: Wallet, balance: Balance, *, now: datetime) -> str:
    """Return the state of a wallet: what its keys would be refused for first, else active."""
    if wallet.status != Wallet.ACTIVE or wallet.debt_ubt:
        return FROZEN
    if balance.access_until and balance.access_until <= now.timestamp():
        return EXPIRED
    return ACTIVE if balance.left_ubt > 0 else USED_UP


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


def _sum(rows: QuerySet[Any], column: str) -> int:
    return int(rows.aggregate(total=Sum(column))["total"] or 0)


def _access_until(key: ApiKey) -> int:
    ends = [at for at in (key.expires_at, key.wallet.expires_at) if at is not None]
    return int(min(ends).timestamp()) if ends else 0
