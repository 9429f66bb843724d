"""Shops, wallets, keys and operations for the ledger's tests."""

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

from django.utils import timezone

from billing.ids import uuid7_bytes
from billing.ledger.ops import HoldOp, ProgressOp, SettleOp, UsageFacts
from billing.models import (
    ApiKey,
    Hold,
    PriceBook,
    PriceVersion,
    Tenant,
    Transfer,
    UsageRecord,
    Wallet,
)
from billing.pricing import Counts
from billing.scoping import all_tenants

NO_PRICE = 999_999
"""A price that does not exist: amounts need not follow from counts."""

_numbers = count(1)


@dataclass(frozen=True)
class Buyer:
    """A key and its wallet in a shop."""

    tenant_id: int
    wallet_id: int
    key_id: int
    price_id: int = NO_PRICE


def new_tenant() -> Tenant:
    """Create a shop."""
    number = next(_numbers)
    return Tenant.objects.create(slug=f"shop-{number}", name=f"Shop {number}")


def new_wallet(tenant: Tenant, credit_ubt: int = 0, **fields: Any) -> Wallet:
    """Create a wallet; its credit has the transfer that it needs."""
    with all_tenants():
        wallet = Wallet.objects.create(tenant=tenant, credits_ubt=credit_ubt, **fields)
        if credit_ubt:
            Transfer.objects.create(
                tenant=tenant,
                wallet=wallet,
                kind="adjustment",
                direction=1,
                amount_ubt=credit_ubt,
                source="test",
                source_id=str(wallet.pk),
                input_hash="",
            )
        return wallet


def new_key(wallet: Wallet, **fields: Any) -> ApiKey:
    """Create a key of a wallet; nobody can sign in with it."""
    with all_tenants():
        return ApiKey.objects.create(
            tenant_id=wallet.tenant_id,
            wallet=wallet,
            kid=f"{next(_numbers):08d}",
            mac=b"",
            pepper_version=1,
            hint="test",
            **fields,
        )


def new_buyer(credit_ubt: int = 1_000, tenant: Tenant | None = None, **key_fields: Any) -> Buyer:
    """Create a shop (unless given), a wallet with credit and a key."""
    tenant = tenant or new_tenant()
    wallet = new_wallet(tenant, credit_ubt)
    key = new_key(wallet, **key_fields)
    return Buyer(tenant.pk, wallet.pk, key.pk)


def new_price(tenant_id: int, **ubt: int) -> PriceVersion:
    """Publish a price of a model in a book of its own."""
    with all_tenants():
        book = PriceBook.objects.create(
            tenant_id=tenant_id, purpose=PriceBook.COST, group=str(next(_numbers))
        )
        return PriceVersion.objects.create(
            tenant_id=tenant_id, book=book, model="gpt-4", valid_from=timezone.now(), **ubt
        )


def new_priced_buyer(credit_ubt: int = 1_000) -> Buyer:
    """Create a buyer in a shop that sells at 2 ubt per input and 4 per output token."""
    buyer = new_buyer(credit_ubt)
    price = new_price(buyer.tenant_id, input_ubt=2, output_ubt=4)
    return replace(buyer, price_id=price.pk)


def hold_op(buyer: Buyer, input_ubt: int = 100, output_ubt: int = 0, **changes: Any) -> HoldOp:
    """Return a hold of a new request."""
    fields: dict[str, Any] = {
        "id": uuid7_bytes(),
        "tenant_id": buyer.tenant_id,
        "wallet_id": buyer.wallet_id,
        "key_id": buyer.key_id,
        "input_ubt": input_ubt,
        "output_ubt": output_ubt,
        "least_output_ubt": output_ubt,
        "shares": False,
        "retail_price_id": buyer.price_id,
        "model_asked": "gpt-4",
        "model_served": "gpt-4-0613",
        "endpoint": "chat_completions",
        "stream": True,
    }
    return HoldOp(**{**fields, **changes})


def facts(resolution: str = "settled", counts: Counts | None = None, **changes: Any) -> UsageFacts:
    """Return what a usage record says beside its amounts."""
    fields: dict[str, Any] = {
        "counts": counts or Counts(input=3, output=5),
        "model_asked": "gpt-4",
        "model_served": "gpt-4-0613",
        "endpoint": "chat_completions",
        "retail_price_id": None,
        "resolution": resolution,
        "usage_source": "upstream",
        "status": 200,
    }
    return UsageFacts(**{**fields, **changes})


def settle_op(buyer: Buyer, request_id: bytes, actual_ubt: int, **changes: Any) -> SettleOp:
    """Return the settle of a request."""
    fields: dict[str, Any] = {
        "id": request_id,
        "tenant_id": buyer.tenant_id,
        "wallet_id": buyer.wallet_id,
        "key_id": buyer.key_id,
        "actual_ubt": actual_ubt,
        "facts": facts(),
    }
    return SettleOp(**{**fields, **changes})


def void_op(buyer: Buyer, request_id: bytes, **changes: Any) -> SettleOp:
    """Return the settle of a request that comes to nothing."""
    empty = facts("voided", Counts(), usage_source="none", status=502)
    return settle_op(buyer, request_id, 0, facts=empty, **changes)


def progress_op(buyer: Buyer, request_id: bytes, delivered_ubt: int, **changes: Any) -> ProgressOp:
    """Return a checkpoint of a request."""
    fields: dict[str, Any] = {
        "id": request_id,
        "tenant_id": buyer.tenant_id,
        "wallet_id": buyer.wallet_id,
        "key_id": buyer.key_id,
        "counted_input": 3,
        "counted_output": 2,
        "delivered_ubt": delivered_ubt,
    }
    return ProgressOp(**{**fields, **changes})


def balance(buyer: Buyer) -> tuple[int, int, int]:
    """Return credits, debits and pending of the buyer's wallet."""
    with all_tenants():
        wallet = Wallet.objects.get(pk=buyer.wallet_id)
    return wallet.credits_ubt, wallet.debits_ubt, wallet.pending_ubt


def record(request_id: bytes) -> UsageRecord:
    """Return the usage record of a request."""
    with all_tenants():
        return UsageRecord.objects.get(pk=request_id.hex())


def held(request_id: bytes) -> Hold | None:
    """Return the hold of a request."""
    with all_tenants():
        return Hold.objects.filter(pk=request_id.hex()).first()


def age(request_id: bytes, seconds: float) -> None:
    """Make a hold look as if it had not been heard of for so long."""
    hold = held(request_id)
    assert hold is not None
    hold.heartbeat_at -= timedelta(seconds=seconds)
    with all_tenants():
        hold.save(update_fields=["heartbeat_at"])


def wallet_of(buyer: Buyer) -> Wallet:
    """Return the buyer's wallet as it is now."""
    with all_tenants():
        return Wallet.objects.get(pk=buyer.wallet_id)


def key_of(buyer: Buyer) -> ApiKey:
    """Return the buyer's key as it is now."""
    with all_tenants():
        return ApiKey.objects.get(pk=buyer.key_id)


def wholesale_hold(shop: Buyer, wallet: Wallet, wholesale_ubt: int, **changes: Any) -> HoldOp:
    """Return a hold of which the shop pays a part to the platform."""
    more = {"wholesale_wallet_id": wallet.pk, "wholesale_ubt": wholesale_ubt, **changes}
    return hold_op(shop, **more)
