"""What somebody wants to have, checked: for a new key, a key that is there, or a wallet.

Called by `billing.orders.placing` and `redeeming`. Nothing is written here.
"""

from dataclasses import dataclass
from uuid import UUID

from billing.errors import OrderInvalid
from billing.models import ApiKey, Product, Wallet
from billing.models.shop import Terms
from billing.orders.mailboxes import checked_address
from billing.units import MAX_UBT

MOST_AT_ONCE = 100
"""Keys of one order: each has a wallet, made in the one transaction that books the payment."""

_MOST_VERSION = 40


@dataclass(frozen=True)
class Target:
    """What is to be credited, by the ids that were sent; a new key where there is none."""

    key_id: int | None = None
    wallet_id: int | None = None
    user_id: UUID | None = None


@dataclass(frozen=True)
class Wish:
    """What may be ordered: so many units of a product on these terms, for whom, to where."""

    product: Product
    terms: Terms
    quantity: int
    email: str
    key: ApiKey | None
    wallet: Wallet | None

    @property
    def kind(self) -> str:
        """The kind of the order's line."""
        if self.key:
            return Terms.TOP_UP
        return Terms.CREDIT if self.wallet else self.terms.kind

    @property
    def is_trial(self) -> bool:
        """Whether it costs nothing, and its key is mailed alone."""
        return self.kind == Terms.TRIAL


def checked(
    product: Product, *, terms: Terms, quantity: int, email: str, version: str, target: Target
) -> Wish:
    """Return a wish that may be ordered. Raises OrderInvalid with the field to blame."""
    email = checked_address(email)
    is_for_one = target.key_id is not None or target.wallet_id is not None
    one_only = is_for_one or terms.kind == Terms.TRIAL
    if not 1 <= quantity <= (1 if one_only else min(product.max_quantity, MOST_AT_ONCE)):
        raise OrderInvalid("quantity", "range")
    key = wallet = None
    if target.key_id is not None:
        key = _key(product, terms, target.key_id)
    elif target.wallet_id is not None:
        wallet = _wallet(product, terms, target.wallet_id, user_id=target.user_id)
    if key is None and terms.kind == Terms.TOP_UP and wallet is None:
        raise OrderInvalid("key", "missing")
    if wallet is None and terms.kind == Terms.CREDIT:
        raise OrderInvalid("wallet", "missing")
    if not 0 < len(version) <= _MOST_VERSION:
        raise OrderInvalid("agreement", "missing")
    return Wish(product, terms, quantity, email, key, wallet)


def may_top_up(product: Product, key: ApiKey) -> bool:
    """Tell whether a product can be bought for this key: what it buys must stay in its scope."""
    return _fits_key(product, product, key)


def may_credit(product: Product) -> bool:
    """Tell whether a product can be bought for a wallet, whose keys may use every model."""
    return _fits_wallet(product, product)


def _fits_key(product: Product, terms: Terms, key: ApiKey) -> bool:
    if terms.kind == Terms.KEY:
        return product.also_tops_up and not terms.allowed_models
    if terms.kind == Terms.TOP_UP:
        scope = set(terms.allowed_models)
        return not scope or (bool(key.allowed_models) and set(key.allowed_models) <= scope)
    return False


def _fits_wallet(product: Product, terms: Terms) -> bool:
    if terms.kind == Terms.KEY and not product.also_tops_up:
        return False
    return terms.kind != Terms.TRIAL and not terms.allowed_models


def _key(product: Product, terms: Terms, key_id: int) -> ApiKey:
    keys = ApiKey.objects.select_related("wallet")
    key = keys.filter(tenant_id=product.tenant_id, pk=key_id).first()
    if key is None:
        raise OrderInvalid("key", "unknown")
    if key.revoked_at is not None or key.replaced_at is not None:
        raise OrderInvalid("key", "revoked")
    if key.wallet.owner_id is not None:
        raise OrderInvalid("key", "shared")
    if key.status != ApiKey.ACTIVE or key.wallet.status != Wallet.ACTIVE:
        raise OrderInvalid("key", "frozen")
    if not _fits_key(product, terms, key):
        raise OrderInvalid("product", "other_kind")
    _refuse_overflow(terms, key.wallet)
    return key


def _wallet(product: Product, terms: Terms, wallet_id: int, *, user_id: UUID | None) -> Wallet:
    wallet = Wallet.objects.filter(tenant_id=product.tenant_id, pk=wallet_id).first()
    if wallet is None or user_id is None or wallet.owner_id != user_id:
        raise OrderInvalid("wallet", "unknown")
    if wallet.status != Wallet.ACTIVE:
        raise OrderInvalid("wallet", "frozen")
    if not _fits_wallet(product, terms):
        raise OrderInvalid("product", "other_kind")
    _refuse_overflow(terms, wallet)
    return wallet


def _refuse_overflow(terms: Terms, wallet: Wallet) -> None:
    room_ubt = MAX_UBT - wallet.credits_ubt
    if terms.grant_ubt > room_ubt:
        raise OrderInvalid("product", "too_much")
