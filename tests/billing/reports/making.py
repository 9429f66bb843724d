"""What the reports' tests report on: usage, holds, transfers and more keys, booked as they are."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from billing import keys
from billing.ids import uuid7
from billing.ledger import transfers
from billing.models import ApiKey, Hold, UsageRecord, User, Wallet
from billing.partitions import first_id


def used(key: ApiKey, ubt: int = 0, *, at: datetime | None = None, **facts: Any) -> UUID:
    """Book usage as the ledger does: the record, and the wallet's debit. Returns the id."""
    at = at or timezone.now()
    row = UsageRecord.objects.create(
        id=first_id(facts.pop("began_at", at)).replace("-", "")[:12] + uuid7().hex[12:],
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        key_id=key.pk,
        charged_ubt=ubt,
        created_at=at,
        **{"model_asked": "gpt-4", "resolution": "settled", "status": 200} | facts,
    )
    wallet = Wallet.objects.get(pk=key.wallet_id)
    Wallet.objects.filter(pk=wallet.pk).update(debits_ubt=wallet.debits_ubt + ubt)
    return UUID(str(row.pk))


def failed(key: ApiKey, *, at: datetime | None = None, **facts: Any) -> UUID:
    """Book a call that failed and cost nothing."""
    wrong = {"resolution": "voided", "error_type": "upstream_timeout", "status": 504}
    return used(key, 0, at=at, **wrong | facts)


def held(key: ApiKey, ubt: int) -> None:
    """Reserve an amount for a running request."""
    now = timezone.now()
    Hold.objects.create(
        id=uuid7(),
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        key_id=key.pk,
        amount_ubt=ubt,
        retail_price_id=1,
        stream=False,
        heartbeat_at=now,
        created_at=now,
    )
    wallet = Wallet.objects.get(pk=key.wallet_id)
    Wallet.objects.filter(pk=wallet.pk).update(pending_ubt=wallet.pending_ubt + ubt)


def book(key: ApiKey, kind: str, ubt: int, *, credit: bool) -> None:
    """Book a transfer of the key's wallet."""
    service = transfers.credit if credit else transfers.debit
    service(
        wallet_id=key.wallet_id, kind=kind, amount_ubt=ubt, source="test", source_id=uuid7().hex
    )


def second_key(key: ApiKey, **limits: Any) -> ApiKey:
    """Make another key of the wallet, which an account owns from now on."""
    owner, _ = User.objects.get_or_create(email="owner@anna.example")
    Wallet.objects.filter(pk=key.wallet_id).update(owner=owner)
    return _another(key, **limits)


def successor(key: ApiKey) -> ApiKey:
    """Put a new key in the place of one."""
    keys.replace(key=key, actor="test")
    key.refresh_from_db()
    return ApiKey.objects.select_related("wallet").get(wallet_id=key.wallet_id, replaced_at=None)


def _another(key: ApiKey, **limits: Any) -> ApiKey:
    made = ApiKey.objects.create(
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        kid=f"made{ApiKey.objects.count():04}",
        mac=b"",
        pepper_version=1,
        **limits,
    )
    return ApiKey.objects.select_related("wallet").get(pk=made.pk)
