"""The end of wallets and keys: warned of, booked, moved by a top-up. Called by jobs and the shop.

A request is refused by the ledger itself the moment a wallet or key expires (R13); what is done
here comes after: the rest of the balance leaves by a transfer once nothing is running, and notices
are written down for the mail job. The database's clock decides.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet

from billing.ledger.clock import database_now
from billing.ledger.transfers import DEBIT, book, lock_wallet
from billing.models import ApiKey, Notice, Transfer, Wallet

WARN_BEFORE = (timedelta(days=1), timedelta(days=3))
"""Shortest first: who is already within a shorter time is not told about a longer one."""

_PAGE = 500


def prolonged(old: datetime | None, *, now: datetime, days: int | None) -> datetime | None:
    """Return the end after a top-up of so many days (None: without end). No end stays no end."""
    if old is None or days is None:
        return None
    return max(old, now + timedelta(days=days))


@transaction.atomic
def prolong(*, wallet_id: int, days: int | None) -> datetime | None:
    """Move the end of a wallet, and of the keys that live off it alone, for a top-up.

    A key that was replaced keeps its end. Returns the new end. In the open scope; part of the
    caller's transaction.
    """
    wallet, now = lock_wallet(wallet_id), database_now()
    end = prolonged(wallet.expires_at, now=now, days=days)
    Wallet.objects.filter(pk=wallet_id).update(expires_at=end, expired_at=None)
    if wallet.owner_id is None:
        for key in ApiKey.objects.filter(wallet_id=wallet_id, replaced_at__isnull=True):
            key.expires_at = prolonged(key.expires_at, now=now, days=days)
            key.expired_at = None
            key.save(update_fields=["expires_at", "expired_at"])
    return end


def book_expiries(now: datetime | None = None) -> int:
    """Take the rest out of expired wallets where nothing is running; mark expired keys.

    Returns how many wallets and keys were marked. Repeatable; what is not due is left alone.
    """
    now = now or database_now()
    wallets = list(_expired_wallets(now).values_list("pk", flat=True)[:_PAGE])
    booked = sum(_book_expiry(wallet_id, now) for wallet_id in wallets)
    keys = ApiKey.objects.filter(expires_at__lte=now, expired_at__isnull=True)
    return booked + keys.update(expired_at=now)


def _expired_wallets(now: datetime) -> QuerySet[Wallet]:
    """Return wallets to book, also those that got something back after they were booked."""
    has_work = Q(expired_at__isnull=True) | Q(credits_ubt__gt=F("debits_ubt"))
    return Wallet.objects.filter(has_work, expires_at__lte=now, pending_ubt=0).order_by("pk")


@transaction.atomic
def _book_expiry(wallet_id: int, now: datetime) -> bool:
    wallet = lock_wallet(wallet_id)
    if wallet.expires_at is None or wallet.expires_at > now or wallet.pending_ubt:
        return False
    if wallet.available_ubt:
        state = f"{wallet.pk}:{wallet.credits_ubt}:{wallet.debits_ubt}"
        transfer = Transfer(
            kind="expiry",
            direction=DEBIT,
            amount_ubt=wallet.available_ubt,
            source="expiry",
            source_id=state,
            reason="what was left at the end",
        )
        book(transfer, wallet)
    Wallet.objects.filter(pk=wallet_id).update(expired_at=now)
    return True


def warn_of_expiries(now: datetime | None = None) -> int:
    """Write down the notices that are due: once each, for what still has something to lose.

    Returns how many were written.
    """
    now = now or database_now()
    horizon = now + max(WARN_BEFORE)
    wallets = Wallet.objects.filter(
        expires_at__gt=now,
        expires_at__lte=horizon,
        credits_ubt__gt=F("debits_ubt"),
        status=Wallet.ACTIVE,
    )
    keys = ApiKey.objects.filter(
        expires_at__gt=now,
        expires_at__lte=horizon,
        status=ApiKey.ACTIVE,
        revoked_at__isnull=True,
        replaced_at__isnull=True,
    ).exclude(wallet__expires_at=F("expires_at"))
    due = [notice for row in wallets.iterator() if (notice := _notice(row, "wallet", now))]
    due += [notice for row in keys.iterator() if (notice := _notice(row, "key", now))]
    return sum(_write_once(notice) for notice in due)


def _notice(row: Wallet | ApiKey, kind: str, now: datetime) -> Notice | None:
    if row.expires_at is None:
        return None
    for lead in WARN_BEFORE:
        due_at = row.expires_at - lead
        if row.created_at <= due_at <= now:
            subject = f"{kind}:{row.pk}"
            return Notice(tenant_id=row.tenant_id, kind="expiry", subject=subject, due_at=due_at)
    return None


def _write_once(notice: Notice) -> bool:
    _, is_new = Notice.objects.get_or_create(
        tenant_id=notice.tenant_id, kind=notice.kind, subject=notice.subject, due_at=notice.due_at
    )
    return is_new
