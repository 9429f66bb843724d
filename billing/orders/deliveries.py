"""What a buyer does with a delivered key: see it, say that it is saved, have it replaced.

Called by the order's page, in the tenant's scope, and by a job. A key lies sealed in its delivery
until it is saved or its time is over; only a press of a button reveals it, so that whoever merely
opens links learns nothing and takes nothing.
"""

from datetime import datetime

import structlog
from django.db import transaction

from billing import keys, outbox
from billing.errors import LimitReached, NotFound, SealBroken, StateInvalid
from billing.ledger.clock import database_now
from billing.ledger.transfers import lock_wallet
from billing.models import Delivery, Order
from billing.orders.fulfilment import seal_context, seal_key
from billing.sealing import unseal

FRESH, REVEALED, SAVED, REPLACED, LAPSED = "fresh", "revealed", "saved", "replaced", "lapsed"
MOST_REPLACEMENTS = 20
"""How often the order's page replaces a key. After that, someone of the shop has to look."""

_log = structlog.get_logger(__name__)


def state_of(delivery: Delivery, *, now: datetime | None = None) -> str:
    """Return where a delivered key is. Lists give `now`, else the database is asked for each row.

    `fresh` and `revealed`: it can be revealed, and was not, or was. `saved`: its buyer has it.
    `replaced`: by its user, elsewhere. `lapsed`: nobody said that it was saved, and time is over.
    """
    if _is_sealed(delivery, now or database_now()):
        return FRESH if delivery.revealed_at is None else REVEALED
    if delivery.saved_at is not None:
        return SAVED
    return REPLACED if delivery.sealed_until is None else LAPSED


@transaction.atomic
def reveal(delivery: Delivery) -> str:
    """Return the key in plain text and count it, as often as it is asked for while it is sealed.

    Raises NotFound afterwards, SealBroken if the installation has lost its sealing key.
    """
    delivery, now = _locked(delivery), database_now()
    if delivery.sealed_key is None or not _is_sealed(delivery, now):
        raise NotFound("This key can't be revealed any more.")
    plaintext = unseal(delivery.sealed_key, context=seal_context(delivery)).decode()
    delivery.revealed_at = delivery.revealed_at or now
    delivery.reveal_count += 1
    delivery.save(update_fields=["revealed_at", "reveal_count"])
    _log.info("key_revealed", delivery=str(delivery.public_id), count=delivery.reveal_count)
    return plaintext


def sealed_keys(order: Order) -> list[tuple[Delivery, str]]:
    """Return the keys of an order that can still be revealed, with their plain text.

    For the mail of a shop that mails keys; to the order's page they stay as they were. None if the
    installation has lost its sealing key.
    """
    mine, now = Delivery.objects.filter(line__order=order, replaced_at=None), database_now()
    sealed = mine.filter(sealed_key__isnull=False, sealed_until__gt=now)
    try:
        return [
            (one, unseal(one.sealed_key or b"", context=seal_context(one)).decode())
            for one in sealed.order_by("line_id", "index")
        ]
    except SealBroken:
        return []


@transaction.atomic
def confirm_saved(delivery: Delivery) -> Delivery:
    """Forget the sealed key, which its buyer has; repeating it changes nothing.

    Raises StateInvalid for a key that nobody has revealed.
    """
    delivery = _locked(delivery)
    if delivery.sealed_key is None:
        return delivery
    if delivery.revealed_at is None:
        raise StateInvalid("A key that nobody has seen can't be saved.")
    delivery.sealed_key, delivery.saved_at = None, database_now()
    delivery.save(update_fields=["sealed_key", "saved_at"])
    return delivery


@transaction.atomic
def replace_key(delivery: Delivery) -> None:
    """Give the buyer a new key on the same wallet, sealed anew; the old one ends at once.

    Nothing happens while the present key waits to be revealed for the first time: so a button that
    is pressed twice replaces once. Raises StateInvalid for a key that was revoked, LimitReached.
    """
    lock_wallet(delivery.wallet_id)  # before the delivery, in the order of `keys.replace`
    delivery, now = _locked(delivery), database_now()
    if state_of(delivery) == FRESH:
        return
    if delivery.replace_count >= MOST_REPLACEMENTS:
        raise LimitReached("This key was replaced too often.")
    key, plaintext = keys.replace(key=delivery.key, actor="buyer")
    delivery = _locked(delivery)
    seal_key(delivery, plaintext, now=now)
    delivery.replace_count += 1
    delivery.save(update_fields=["sealed_key", "sealed_until", "replace_count"])
    order = delivery.line.order
    outbox.write(
        kind="key_replaced",
        subject_id=delivery.pk,
        recipient=order.email,
        language=order.language,
        once=f"key_replaced:{key.pk}",
        tenant_id=delivery.tenant_id,
    )
    _log.info("key_replaced", delivery=str(delivery.public_id), count=delivery.replace_count)


def forget_lapsed(now: datetime | None = None) -> int:
    """Forget the sealed keys whose time is over; return how many. In the scope of all tenants."""
    lapsed = Delivery.objects.filter(
        sealed_key__isnull=False, sealed_until__lte=now or database_now()
    )
    return lapsed.update(sealed_key=None)


def _locked(delivery: Delivery) -> Delivery:
    return Delivery.objects.select_for_update().get(pk=delivery.pk)


def _is_sealed(delivery: Delivery, now: datetime) -> bool:
    until = delivery.sealed_until
    return delivery.sealed_key is not None and until is not None and until > now
