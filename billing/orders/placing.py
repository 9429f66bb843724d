"""Placing an order: what the buyer sent is checked, priced by us and written down, once.

Called by the shop's pages, in the tenant's scope, as `billing.orders.place`. A form that is sent
twice carries the same `checkout_id`; the database lets one of them make the order.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction

from billing.errors import LimitReached, OrderInvalid
from billing.ledger.clock import database_now
from billing.models import ApiKey, Order, OrderLine, Payment, Product, Tenant, Wallet
from billing.orders.mailboxes import checked_address, hash_of
from billing.orders.paying import confirm
from billing.units import MAX_UBT

LIVES_FOR = timedelta(minutes=60)
"""How long an order waits for its payment. A payment that comes later is looked at, too."""
MOST_AT_ONCE = 100
"""Keys of one order: each has a wallet, made in the one transaction that books the payment."""
TRIALS_PER_DAY = 3
"""How many trials one network may get in 24 hours."""

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_NUMBER_LENGTH = 6
_NUMBERS_TRIED = 5
_MOST_VERSION = 40


@dataclass(frozen=True)
class _Wish:
    """An order that may be placed."""

    product: Product
    quantity: int
    email: str
    key: ApiKey | None

    @property
    def kind(self) -> str:
        return Product.TOP_UP if self.key else self.product.kind

    @property
    def is_trial(self) -> bool:
        return self.kind == Product.TRIAL


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
    address_hash: int = 0,
) -> Order:
    """Place an order at today's price; the same `checkout_id` again returns the first order.

    It does so for the same product and key only: who knows the form of one order must not come by
    it to the link of another, least of all to that of a trial, which is mailed alone. `key_id` tops
    that key up. What costs nothing is paid and delivered at once. Raises OrderInvalid with the
    field to blame, and LimitReached for too many trials of one network.
    """
    order = _placed(tenant_id, checkout_id, product_id=product_id, key_id=key_id)
    if order is None:
        wish = _checked(tenant_id, product_id, quantity, email, key_id)
        if not 0 < len(agreement_version) <= _MOST_VERSION:
            raise OrderInvalid("agreement", "missing")
        mailbox = hash_of(wish.email, tenant_id=tenant_id)
        order = _place_once(
            Order(
                tenant_id=tenant_id,
                checkout_id=checkout_id,
                email=wish.email,
                mailbox_hash=mailbox,
                trial_mailbox=mailbox if wish.is_trial else "",
                address_hash=address_hash,
                language=language,
                total_minor=wish.product.price_minor * wish.quantity,
                agreement_version=agreement_version,
            ),
            wish,
        )
    return order if order.total_minor else _given(order)


def _placed(
    tenant_id: int, checkout_id: UUID, *, product_id: int, key_id: int | None
) -> Order | None:
    """Return the order that this checkout has led to. Raises OrderInvalid if it was another."""
    order = Order.objects.filter(tenant_id=tenant_id, checkout_id=checkout_id).first()
    if order and not order.lines.filter(product_id=product_id, key_id=key_id).exists():
        raise OrderInvalid("checkout", "used")
    return order


def _checked(
    tenant_id: int, product_id: int, quantity: int, email: str, key_id: int | None
) -> _Wish:
    email = checked_address(email)
    product = Product.objects.filter(tenant_id=tenant_id, pk=product_id, is_active=True).first()
    if product is None:
        raise OrderInvalid("product", "unknown")
    one_only = key_id is not None or product.kind == Product.TRIAL
    if not 1 <= quantity <= (1 if one_only else min(product.max_quantity, MOST_AT_ONCE)):
        raise OrderInvalid("quantity", "range")
    key = _key_to_top_up(tenant_id, product, key_id) if key_id is not None else None
    if key is None and product.kind == Product.TOP_UP:
        raise OrderInvalid("key", "missing")
    return _Wish(product, quantity, email, key)


def _key_to_top_up(tenant_id: int, product: Product, key_id: int) -> ApiKey:
    keys = ApiKey.objects.select_related("wallet").filter(tenant_id=tenant_id, pk=key_id)
    key = keys.first()
    if key is None:
        raise OrderInvalid("key", "unknown")
    if key.revoked_at is not None or key.replaced_at is not None:
        raise OrderInvalid("key", "revoked")
    if key.wallet.owner_id is not None:
        raise OrderInvalid("key", "shared")
    if key.status != ApiKey.ACTIVE or key.wallet.status != Wallet.ACTIVE:
        raise OrderInvalid("key", "frozen")
    if not may_top_up(product, key):
        raise OrderInvalid("product", "other_kind")
    room_ubt = MAX_UBT - key.wallet.credits_ubt
    if product.grant_ubt > room_ubt:
        raise OrderInvalid("product", "too_much")
    return key


def may_top_up(product: Product, key: ApiKey) -> bool:
    """Tell whether a product can be bought for this key: what it buys must stay in its scope."""
    if product.kind == Product.KEY:
        return product.also_tops_up and not product.allowed_models
    if product.kind == Product.TOP_UP:
        scope = set(product.allowed_models)
        return not scope or (bool(key.allowed_models) and set(key.allowed_models) <= scope)
    return False


def _place_once(order: Order, wish: _Wish) -> Order:
    """Write the order down, or return the one that was there first."""
    for _ in range(_NUMBERS_TRIED):
        try:
            with transaction.atomic():
                return _write(order, wish)
        except IntegrityError:
            # The checkout was sent twice, the mailbox had its trial, or the number is taken.
            first = _placed(
                order.tenant_id,
                order.checkout_id,
                product_id=wish.product.pk,
                key_id=wish.key.pk if wish.key else None,
            )
            if first is not None:
                return first
            _refuse_second_trial(order)
    raise LimitReached("No free order number was found.")


def _write(order: Order, wish: _Wish) -> Order:
    shops = Tenant.objects.all()
    if wish.is_trial:
        # One after the other, or many at once would all be counted before the first is there.
        shops = shops.select_for_update(no_key=True)
    tenant, now = shops.get(pk=order.tenant_id), database_now()
    if wish.is_trial:
        _refuse_crowd(order, now)
    order.pk, order.currency, order.expires_at = None, tenant.currency, now + LIVES_FOR
    order.number = _number(tenant, now)
    order.save(force_insert=True)
    product = wish.product
    OrderLine.objects.create(
        tenant_id=tenant.pk,
        order=order,
        product=product,
        quantity=wish.quantity,
        unit_minor=product.price_minor,
        key=wish.key,
        kind=wish.kind,
        name=product.name,
        grant_ubt=product.grant_ubt,
        valid_days=product.valid_days,
        allowed_models=product.allowed_models,
        rpm=product.rpm,
        tpm=product.tpm,
        concurrency=product.concurrency,
    )
    if not order.total_minor:
        Payment.objects.create(
            tenant_id=tenant.pk,
            order=order,
            provider="free",
            amount_minor=0,
            currency=tenant.currency,
        )
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


def _number(tenant: Tenant, now: datetime) -> str:
    """Return a number to read out loud, like `NO-2605-7F3K9Q`: shop, month, and chance."""
    shop = tenant.slug.replace("-", "")[:2].upper()
    month = f"{now.astimezone(ZoneInfo(tenant.time_zone)):%y%m}"
    chance = "".join(secrets.choice(_ALPHABET) for _ in range(_NUMBER_LENGTH))
    return f"{shop}-{month}-{chance}"
