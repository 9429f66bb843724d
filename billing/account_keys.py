"""Keys of an account's wallet: made with limits, switched off and on, replaced, revoked.

Called by the account page, in the open scope. Every deed names the wallet of who asks; a key of
another wallet is as unknown as one that does not exist.
"""

from datetime import datetime
from typing import Unpack

from django.db import transaction
from django.db.models import F, QuerySet

from billing import keys
from billing.errors import LimitReached, NotFound, StateInvalid
from billing.keys import KeyLimits
from billing.ledger.transfers import lock_wallet
from billing.models import ApiKey, Wallet

MOST_KEYS = 100
"""Keys of one wallet that were not revoked."""


def of_wallet(wallet: Wallet) -> QuerySet[ApiKey]:
    """Return the keys of a wallet: what was not revoked first, then the newest."""
    return ApiKey.objects.filter(wallet=wallet).order_by(
        F("revoked_at").desc(nulls_first=True), "-pk"
    )


def find(wallet: Wallet, *, kid: str) -> ApiKey:
    """Return a key of this wallet. Raises NotFound."""
    # PostgreSQL refuses a text with a zero byte, which an address may hold.
    known = ApiKey.objects.select_related("wallet").filter(wallet=wallet, kid=kid)
    key = known.first() if kid.isprintable() else None
    if key is None:
        raise NotFound(f"The wallet has no key {kid!r}.")
    return key


@transaction.atomic
def create(
    wallet: Wallet, *, name: str, expires_at: datetime | None, **limits: Unpack[KeyLimits]
) -> tuple[ApiKey, str]:
    """Make a key that spends from this wallet; return the row and the plain text.

    Raises FieldInvalid, and LimitReached for a wallet with too many keys.
    """
    locked = lock_wallet(wallet.pk)
    if ApiKey.objects.filter(wallet=locked, revoked_at__isnull=True).count() >= MOST_KEYS:
        raise LimitReached(f"A wallet has at most {MOST_KEYS} keys.")
    return keys.add(wallet=locked, name=name, expires_at=expires_at, **limits)


def switch(wallet: Wallet, *, kid: str, is_on: bool) -> ApiKey:
    """Switch a key off or on; it stays as it is otherwise. Raises NotFound, StateInvalid."""
    status = ApiKey.ACTIVE if is_on else ApiKey.DISABLED
    working = ApiKey.objects.filter(wallet=wallet, kid=kid, revoked_at__isnull=True)
    if not working.update(status=status):
        raise StateInvalid(f"Key {find(wallet, kid=kid).kid} was revoked.")
    return find(wallet, kid=kid)


def revoke(wallet: Wallet, *, kid: str) -> ApiKey:
    """End a key for good; the balance stays. Raises NotFound."""
    return keys.revoke(kid=find(wallet, kid=kid).kid)


def replace(wallet: Wallet, *, kid: str, overlap_s: int) -> tuple[ApiKey, str]:
    """Put a new key in the place of one. Raises NotFound, StateInvalid, FieldInvalid."""
    return keys.replace(key=find(wallet, kid=kid), overlap_s=overlap_s, actor="account")
