"""Whose usage a key may see. Used by the other reports and by pages that act for its holder."""

from django.db.models import QuerySet

from billing.models import ApiKey, UsageRecord


def is_newest(key: ApiKey) -> bool:
    """Tell whether no key of the same wallet came after this one: it was not replaced."""
    return not ApiKey.objects.filter(wallet_id=key.wallet_id, pk__gt=key.pk).exists()


def records_of(key: ApiKey) -> QuerySet[UsageRecord]:
    """Return the usage that a key may see: its wallet's if that is its alone, else its own.

    A guest's key inherits what the keys before it have used. Who holds a key that was replaced or
    one of several of a wallet sees no calls of others, nor does a cap answer for more than itself.
    """
    records = UsageRecord.objects.all()
    if key.wallet.owner_id is None and key.limit_ubt is None and is_newest(key):
        return records.filter(wallet_id=key.wallet_id)
    return records.filter(key_id=key.pk)
