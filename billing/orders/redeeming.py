"""Redeeming a code: an order that was paid elsewhere, for a new key, a key that is there, a wallet.

Called by the shop's pages, in the tenant's scope, as `billing.orders.redeem`. The code is claimed
and the order written, paid and delivered in one transaction, so a code is used with its credit or
not at all.
"""

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from billing import codes
from billing.errors import LimitReached, OrderInvalid
from billing.ledger.clock import database_now
from billing.models import Order, RedemptionCode, Tenant
from billing.orders import wishes
from billing.orders.mailboxes import hash_of
from billing.orders.paying import book_paid
from billing.orders.wishes import Target, Wish
from billing.orders.writing import NUMBERS_TRIED, write, write_payment_of_nothing
from billing.payments import ProviderState, Standing


def redeem(
    *,
    tenant_id: int,
    checkout_id: UUID,
    code: str,
    email: str,
    agreement_version: str,
    language: str,
    key_id: int | None = None,
    wallet_id: int | None = None,
    user_id: UUID | None = None,
    address_hash: int = 0,
) -> Order:
    """Use a code up; the same `checkout_id` with the same code again returns the first order.

    `key_id` tops that key up, `wallet_id` credits that wallet of `user_id`; else there is a new
    key. Raises OrderInvalid with the field to blame.
    """
    known = codes.find(code, tenant_id=tenant_id)
    if known is None:
        raise OrderInvalid("code", "unknown")
    first = _redeemed(known, checkout_id)
    if first is not None:
        return first
    _refuse_ended(known, database_now())
    wish = wishes.checked(
        known.batch.product,
        terms=known.batch,
        quantity=1,
        email=email,
        version=agreement_version,
        target=Target(key_id, wallet_id, user_id),
    )
    order = Order(
        tenant_id=tenant_id,
        checkout_id=checkout_id,
        user_id=user_id,
        email=wish.email,
        mailbox_hash=hash_of(wish.email, tenant_id=tenant_id),
        address_hash=address_hash,
        language=language,
        total_minor=0,
        agreement_version=agreement_version,
    )
    return _redeem_once(order, wish, known)


def _redeemed(code: RedemptionCode, checkout_id: UUID) -> Order | None:
    """Return the order that this form has led to, None if it has led to none."""
    return Order.objects.filter(code=code, checkout_id=checkout_id).first()


def _refuse_ended(code: RedemptionCode, now: datetime) -> None:
    batch = code.batch
    if code.used_at is not None:
        raise OrderInvalid("code", "used")
    if code.revoked_at is not None or not batch.is_active:
        raise OrderInvalid("code", "revoked")
    if batch.ends_at is not None and now >= batch.ends_at:
        raise OrderInvalid("code", "over")


def _redeem_once(order: Order, wish: Wish, code: RedemptionCode) -> Order:
    """Write the order, or return what the same form has made a moment ago."""
    for _ in range(NUMBERS_TRIED):
        try:
            with transaction.atomic():
                return _write(order, wish, code)
        except (IntegrityError, OrderInvalid) as error:
            # The form was sent twice, somebody was faster, or the number is taken.
            first = _redeemed(code, order.checkout_id)
            if first is not None:
                return first
            if isinstance(error, OrderInvalid):
                raise
            if Order.objects.filter(
                tenant_id=order.tenant_id, checkout_id=order.checkout_id
            ).exists():
                raise OrderInvalid("checkout", "used") from None
    raise LimitReached("No free order number was found.")


def _write(order: Order, wish: Wish, code: RedemptionCode) -> Order:
    tenant, now = Tenant.objects.get(pk=order.tenant_id), database_now()
    _refuse_ended(code, now)
    order.status, order.delivery_status = Order.PENDING, Order.NONE
    write(order, wish, tenant=tenant, unit_minor=0, now=now)
    if not codes.claim(code, order_id=order.pk, now=now):
        raise OrderInvalid("code", "used")
    payment = write_payment_of_nothing(order, provider="voucher")
    book_paid(order, payment, ProviderState(Standing.PAID, 0, order.currency), now)
    return order
