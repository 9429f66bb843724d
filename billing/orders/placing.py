"""Placing an order: what the buyer sent is checked, priced by us and written down, once.

Called by the shop's pages, in the tenant's scope, as `billing.orders.place`. A form that is sent
twice carries the same `checkout_id`; the database lets one of them make the order.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction

from billing.errors import LimitReached, OrderInvalid
from billing.ledger.clock import database_now
from billing.models import Order, Product, Tenant
from billing.orders import discounts, limits, wishes
from billing.orders.mailboxes import hash_of
from billing.orders.paying import confirm
from billing.orders.wishes import Target, Wish
from billing.orders.writing import NUMBERS_TRIED, write, write_payment_of_nothing

TRIALS_PER_DAY = 3
"""How many trials one network may get in 24 hours."""


def place(
    *,
    tenant_id: int,
    checkout_id: UUID,
    product_id: int,
    quantity: int,
    email: str,
    agreement_version: str,
    language: str,
    key_id: int | None = None,
    wallet_id: int | None = None,
    user_id: UUID | None = None,
    coupon: str = "",
    address_hash: int = 0,
) -> Order:
    """Place an order at today's price; the same `checkout_id` again returns the first order.

    It does so for the same product, key and wallet only: who knows the form of one order must not
    come by it to the link of another, least of all to that of a trial, which is mailed alone.
    `key_id` tops that key up, `wallet_id` credits that wallet of `user_id`, who is signed in. What
    costs nothing is paid and delivered at once. Raises OrderInvalid with the field to blame, and
    LimitReached for too many trials of one network.
    """
    target = Target(key_id, wallet_id, user_id)
    order = _placed(tenant_id, checkout_id, product_id=product_id, target=target)
    if order is None:
        product = Product.objects.filter(tenant_id=tenant_id, pk=product_id, is_active=True).first()
        if product is None:
            raise OrderInvalid("product", "unknown")
        wish = wishes.checked(
            product,
            terms=product,
            quantity=quantity,
            email=email,
            version=agreement_version,
            target=target,
        )
        mailbox = hash_of(wish.email, tenant_id=tenant_id)
        order = Order(
            tenant_id=tenant_id,
            checkout_id=checkout_id,
            user_id=user_id,
            email=wish.email,
            mailbox_hash=mailbox,
            trial_mailbox=mailbox if wish.is_trial else "",
            address_hash=address_hash,
            language=language,
            agreement_version=agreement_version,
        )
        order = _place_once(order, wish, coupon=coupon, target=target)
    return order if order.total_minor else _given(order)


def _placed(tenant_id: int, checkout_id: UUID, *, product_id: int, target: Target) -> Order | None:
    """Return the order that this checkout has led to. Raises OrderInvalid if it was another."""
    order = Order.objects.filter(tenant_id=tenant_id, checkout_id=checkout_id).first()
    same = {"product_id": product_id, "key_id": target.key_id, "wallet_id": target.wallet_id}
    if order and not order.lines.filter(**same).exists():
        raise OrderInvalid("checkout", "used")
    return order


def _place_once(order: Order, wish: Wish, *, coupon: str, target: Target) -> Order:
    """Write the order down, or return the one that was there first."""
    for _ in range(NUMBERS_TRIED):
        try:
            with transaction.atomic():
                return _write(order, wish, coupon=coupon)
        except (IntegrityError, OrderInvalid, LimitReached) as error:
            # The checkout was sent twice, and the first has used up what there was, or the mailbox
            # had its trial, or the number is taken.
            first = _placed(
                order.tenant_id, order.checkout_id, product_id=wish.product.pk, target=target
            )
            if first is not None:
                return first
            if not isinstance(error, IntegrityError):
                raise
            _refuse_second_trial(order)
    raise LimitReached("No free order number was found.")


def _write(order: Order, wish: Wish, *, coupon: str) -> Order:
    shops = Tenant.objects.all()
    if wish.is_trial:
        # One after the other, or many at once would all be counted before the first is there.
        shops = shops.select_for_update(no_key=True)
    tenant, now, product = shops.get(pk=order.tenant_id), database_now(), wish.product
    limits.refuse_off_sale(product, now=now)
    if wish.is_trial:
        _refuse_crowd(order, now)
    limits.refuse_beyond_share(product, mailbox=order.mailbox_hash, quantity=wish.quantity, now=now)
    found, price = discounts.priced(product, quantity=wish.quantity, coupon=coupon, now=now)
    order.total_minor, order.discount_minor = price.total_minor, price.discount_minor
    write(order, wish, tenant=tenant, unit_minor=price.unit_minor, now=now)
    if found is not None:
        discounts.take(order, found)
    if not order.total_minor:
        write_payment_of_nothing(order, provider="free")
    return order


def _refuse_second_trial(order: Order) -> None:
    trials = Order.objects.filter(tenant_id=order.tenant_id, trial_mailbox=order.trial_mailbox)
    if order.trial_mailbox and trials.exists():
        raise OrderInvalid("email", "trial_taken")


def _refuse_crowd(order: Order, now: datetime) -> None:
    if not order.address_hash:
        return
    trials = Order.objects.filter(
        tenant_id=order.tenant_id,
        address_hash=order.address_hash,
        created_at__gt=now - timedelta(days=1),
    ).exclude(trial_mailbox="")
    if trials.count() >= TRIALS_PER_DAY:
        raise LimitReached("This network has had its trials for today.")


def _given(order: Order) -> Order:
    """Deliver what costs nothing, also after an earlier call got no further than placing it."""
    for payment in order.payments.filter(provider="free"):
        confirm(payment.pk)
    order.refresh_from_db()
    return order
