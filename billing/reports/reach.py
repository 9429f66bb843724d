"""Whose usage a key may see. Used by the other reports and by pages that act for its holder."""

from django.db.models import QuerySet

from billing.models import ApiKey, UsageRecord


def sees_wallet(key: ApiKey) -> bool:
    """Tell whether a key sees all of its wallet: a guest's, without a cap, that was not replaced.

    Such a key inherits what the keys before it have used. Who holds a key that was replaced, or
    one of several of a wallet, sees no calls of others; a cap answers for its own key alone.
    """
    is_guests = key.wallet.owner_id is None and key.limit_ubt is None
    return is_guests and key.replaced_at is None


def records_of(key: ApiKey) -> QuerySet[UsageRecord]:
    """Return the usage that a key may see, in the open scope."""
    if sees_wallet(key):
        return UsageRecord.objects.filter(wallet_id=key.wallet_id)
    return UsageRecord.objects.filter(key_id=key.pk)
