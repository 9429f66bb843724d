"""What the holder of a key may do with it: name it, be told of a low balance, replace it.

Called by the usage page, in the open scope. A guest's key speaks for its wallet; a key of an
account's wallet does not, and neither does one that works no more.
"""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from billing import keys, outbox
from billing.errors import FieldInvalid, StateInvalid
from billing.ledger.transfers import lock_wallet
from billing.models import ApiKey, Delivery
from billing.names import checked_name
from billing.units import MAX_UBT


def may_act(key: ApiKey) -> bool:
    """Tell whether who holds a key may change things: it works, and its wallet is its alone."""
    is_usable = key.status == ApiKey.ACTIVE and key.revoked_at is None
    return is_usable and key.replaced_at is None and key.wallet.owner_id is None


def rename(*, key: ApiKey, name: str) -> None:
    """Give a key a name; an empty one takes it away. Raises FieldInvalid, StateInvalid."""
    _check(key)
    key.name = checked_name(name, what="The name", at_least=0, at_most=60)
    key.save(update_fields=["name"])


@transaction.atomic
def replace(*, key: ApiKey, overlap_s: int) -> tuple[ApiKey, str]:
    """Put a new key in the place of one, and tell its buyer by mail: a thief could do it as well.

    Returns the row and the plain text, which is kept nowhere. Raises StateInvalid, FieldInvalid.
    """
    _check(key)
    delivery = Delivery.objects.select_related("line__order").filter(key=key).first()
    new, plaintext = keys.replace(key=key, overlap_s=overlap_s, actor="holder")
    outbox.write(
        kind="key_rotated",
        subject_id=new.pk,
        recipient=delivery.line.order.email if delivery else key.wallet.notify_email,
        language=delivery.line.order.language if delivery else key.tenant.language,
        once=f"key_rotated:{new.pk}",
        tenant_id=key.tenant_id,
    )
    return new, plaintext


@transaction.atomic
def set_alert(*, key: ApiKey, email: str, below_ubt: int | None) -> None:
    """Have a mail sent each time the balance falls below an amount; None asks for none.

    The address is also the one that hears of the wallet's end, and may be empty only without an
    amount. Raises FieldInvalid, StateInvalid.
    """
    _check(key)
    email = email.strip()
    if below_ubt is not None and not 0 < below_ubt <= MAX_UBT:
        raise FieldInvalid("An alert needs a positive amount of base tokens.")
    if email or below_ubt is not None:
        _check_email(email)
    wallet = lock_wallet(key.wallet_id)
    wallet.notify_email, wallet.alert_below_ubt, wallet.alerted_at = email, below_ubt, None
    wallet.save(update_fields=["notify_email", "alert_below_ubt", "alerted_at"])
    key.wallet = wallet


def _check(key: ApiKey) -> None:
    if not may_act(key):
        raise StateInvalid(f"Key {key.kid} may not change anything.")


def _check_email(email: str) -> None:
    try:
        validate_email(email)
    except ValidationError:
        raise FieldInvalid("That is no complete e-mail address.") from None
