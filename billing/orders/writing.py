"""Writing an order and its line down, under a number that people can read out loud.

Called by `billing.orders.placing` and `redeeming`, inside their transactions.
"""

import secrets
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from billing.models import Order, OrderLine, Payment, Tenant
from billing.orders.wishes import Wish

LIVES_FOR = timedelta(minutes=60)
"""How long an order waits for its payment. A payment that comes later is looked at, too."""
NUMBERS_TRIED = 5

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_NUMBER_LENGTH = 6


def write(order: Order, wish: Wish, *, tenant: Tenant, unit_minor: int, now: datetime) -> None:
    """Write down an order that waits to be paid, and what was agreed in it."""
    order.pk, order.currency, order.expires_at = None, tenant.currency, now + LIVES_FOR
    order.number = number(tenant, now)
    order.save(force_insert=True)
    terms = wish.terms
    OrderLine.objects.create(
        tenant_id=tenant.pk,
        order=order,
        product=wish.product,
        quantity=wish.quantity,
        unit_minor=unit_minor,
        key=wish.key,
        wallet=wish.wallet,
        kind=wish.kind,
        name=terms.name,
        grant_ubt=terms.grant_ubt,
        valid_days=terms.valid_days,
        allowed_models=terms.allowed_models,
        rpm=terms.rpm,
        tpm=terms.tpm,
        concurrency=terms.concurrency,
    )


def write_payment_of_nothing(order: Order, *, provider: str) -> Payment:
    """Write down the payment of an order that costs nothing; it is still to be confirmed."""
    return Payment.objects.create(
        tenant_id=order.tenant_id,
        order=order,
        provider=provider,
        amount_minor=0,
        currency=order.currency,
    )


def number(tenant: Tenant, now: datetime) -> str:
    """Return a number to read out loud, like `NO-2605-7F3K9Q`: shop, month, and chance."""
    shop = tenant.slug.replace("-", "")[:2].upper()
    month = f"{now.astimezone(ZoneInfo(tenant.time_zone)):%y%m}"
    chance = "".join(secrets.choice(_ALPHABET) for _ in range(_NUMBER_LENGTH))
    return f"{shop}-{month}-{chance}"
