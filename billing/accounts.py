"""Accounts of buyers: the wallet that someone who signs in has in a shop. For pages and orders.

A user is one in the whole installation; what the user owns is each shop's own.
"""

from django.db import transaction

from billing.models import User, Wallet


@transaction.atomic
def wallet_of(user: User, *, tenant_id: int) -> Wallet:
    """Return the user's wallet in the open shop; the first call makes it, however many come."""
    # The user's row is what two first calls have in common.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    wallet = Wallet.objects.filter(tenant_id=tenant_id, owner=user).order_by("pk").first()
    return wallet or Wallet.objects.create(tenant_id=tenant_id, owner=user, notify_email=user.email)
