"""What a paid order brings: keys with a wallet each, or credit for a key or wallet that is there.

Called by `billing.orders.paying` alone, inside the transaction that makes the order paid: credit,
key, delivery and mail are there together or not at all.
"""

from datetime import datetime, timedelta

import structlog
from django.db import transaction

from billing import keys, outbox
from billing.errors import FieldInvalid, StateInvalid
from billing.keys import KeyLimits
from billing.ledger import expiry, transfers
from billing.models import ApiKey, Delivery, Order, OrderLine, Payment, Transfer, Wallet
from billing.orders import states
from billing.sealing import seal

SEALED_FOR = timedelta(hours=72)
"""How long a new key can be revealed, unless its buyer says earlier that it is saved."""

_MAILS = {OrderLine.TRIAL: "trial", OrderLine.TOP_UP: "top_up", OrderLine.CREDIT: "top_up"}
_log = structlog.get_logger(__name__)


def fulfil(order: Order, payment: Payment, *, now: datetime) -> None:
    """Deliver every unit of a locked, paid order; one that can't be is left to a person."""
    lines = list(order.lines.select_related("key").order_by("pk"))
    try:
        with transaction.atomic():
            for line in lines:
                _deliver(order, payment, line, now=now)
    # It is paid. If it failed as a whole, every later look would fail the same way, unseen.
    except (FieldInvalid, StateInvalid) as error:
        _log.warning("order_not_deliverable", order=order.number, reason=str(error))
        _set_delivery(order, Order.REVIEW)
        return
    _set_delivery(order, Order.DELIVERED)
    kind = _MAILS.get(lines[0].kind, "order")
    outbox.write(
        kind=kind,
        subject_id=order.pk,
        recipient=order.email,
        language=order.language,
        once=f"{kind}:{order.pk}",
        tenant_id=order.tenant_id,
    )


def seal_key(delivery: Delivery, plaintext: str, *, now: datetime) -> None:
    """Put a new key into a delivery, sealed for a while. The row is not saved."""
    delivery.sealed_key = seal(plaintext.encode(), context=seal_context(delivery))
    delivery.sealed_until = now + SEALED_FOR


def seal_context(delivery: Delivery) -> str:
    """Return what a delivery's sealed key is bound to."""
    return f"delivery:{delivery.public_id}"


def _deliver(order: Order, payment: Payment, line: OrderLine, *, now: datetime) -> None:
    """Deliver a line. Raises FieldInvalid, StateInvalid for what a person has to look at."""
    if line.key is not None:
        _deliver_top_up(payment, line, key=_working(line.key), now=now)
        return
    if line.wallet_id is not None:
        _deliver_credit(payment, line, wallet_id=line.wallet_id)
        return
    for index in range(line.quantity):
        _deliver_new_key(order, payment, line, index=index, now=now)


def _deliver_new_key(
    order: Order, payment: Payment, line: OrderLine, *, index: int, now: datetime
) -> None:
    key, plaintext = keys.issue(
        tenant_id=order.tenant_id,
        name=line.name,
        notify_email=order.email,
        expires_at=now + timedelta(days=line.valid_days) if line.valid_days else None,
        **_limits(line),
    )
    delivery = Delivery(
        tenant_id=order.tenant_id,
        line=line,
        index=index,
        key=key,
        wallet_id=key.wallet_id,
        transfer=_credit(payment, line, index=index, wallet_id=key.wallet_id),
    )
    seal_key(delivery, plaintext, now=now)
    delivery.save(force_insert=True)


def _deliver_top_up(payment: Payment, line: OrderLine, *, key: ApiKey, now: datetime) -> None:
    transfer = _credit(payment, line, index=0, wallet_id=key.wallet_id)
    expiry.prolong(wallet_id=key.wallet_id, days=line.valid_days)
    Delivery.objects.create(
        tenant_id=line.tenant_id,
        line=line,
        index=0,
        key=key,
        wallet_id=key.wallet_id,
        transfer=transfer,
        saved_at=now,
    )


def _deliver_credit(payment: Payment, line: OrderLine, *, wallet_id: int) -> None:
    if transfers.lock_wallet(wallet_id).status != Wallet.ACTIVE:
        raise StateInvalid(f"Wallet {wallet_id} can't be credited.")
    _credit(payment, line, index=0, wallet_id=wallet_id)
    expiry.prolong(wallet_id=wallet_id, days=line.valid_days)


def _credit(payment: Payment, line: OrderLine, *, index: int, wallet_id: int) -> Transfer:
    return transfers.credit(
        wallet_id=wallet_id,
        kind=_kind_of_transfer(payment, line),
        amount_ubt=line.grant_ubt,
        source="payment",
        source_id=f"{payment.public_id}:{line.pk}:{index}",
    )


def _kind_of_transfer(payment: Payment, line: OrderLine) -> str:
    if payment.provider == "voucher":
        return "redeem"
    return "promo" if line.kind == OrderLine.TRIAL else "purchase"


def _limits(line: OrderLine) -> KeyLimits:
    limits: KeyLimits = {"allowed_models": list(line.allowed_models)}
    if line.rpm is not None:
        limits["rpm"] = line.rpm
    if line.tpm is not None:
        limits["tpm"] = line.tpm
    if line.concurrency is not None:
        limits["concurrency"] = line.concurrency
    return limits


def _working(key: ApiKey) -> ApiKey:
    """Return a key to top up, or what replaced it meanwhile. Raises StateInvalid if none works."""
    wallet = transfers.lock_wallet(key.wallet_id)
    working = ApiKey.objects.filter(
        wallet=wallet, revoked_at__isnull=True, replaced_at__isnull=True
    )
    found = working.filter(pk=key.pk).first() or working.order_by("-pk").first()
    if found is None or wallet.status != Wallet.ACTIVE:
        raise StateInvalid(f"Key {key.kid} and its wallet can't be topped up.")
    return found


def _set_delivery(order: Order, status: str) -> None:
    if order.delivery_status != status:
        states.check(states.DELIVERY_STATUS, order.delivery_status, status)
        order.delivery_status = status
        order.save(update_fields=["delivery_status"])
