"""Placing orders: our prices, our rules, and one order however often a form is sent."""

from typing import Any
from uuid import uuid4

import pytest

from billing import keys
from billing.errors import OrderInvalid
from billing.models import ApiKey, Order, OrderLine, Product, Tenant, User, Wallet
from billing.orders import mailboxes
from billing.scoping import tenant_scope
from billing.units import MAX_UBT
from tests.billing.orders.making import (
    BUYER,
    PRICE_MINOR,
    deliveries_of,
    new_product,
    open_shop,
    order_of,
    paid,
)


def refusal(product: Product, **changes: Any) -> tuple[str, str]:
    """Return field and code of why an order is not placed."""
    with pytest.raises(OrderInvalid) as caught:
        order_of(product, **changes)
    assert not Order.objects.exists()
    return caught.value.field, caught.value.code


def key_of(shop: Tenant, **changes: Any) -> ApiKey:
    """Issue a key of a guest, and change its row."""
    key, _ = keys.issue(tenant_id=shop.pk)
    ApiKey.objects.filter(pk=key.pk).update(**changes)
    return key


def test_an_order_waits_for_its_payment(pack: Product) -> None:
    order = order_of(pack, quantity=3)
    assert (order.status, order.delivery_status) == ("pending", "none")
    assert (order.total_minor, order.currency) == (3 * PRICE_MINOR, "CNY")
    assert not deliveries_of(order)


def test_an_order_keeps_what_was_agreed(pack: Product) -> None:
    order = order_of(pack, agreement_version="2026-10-08", language="zh-hans")
    assert (order.agreement_version, order.language) == ("2026-10-08", "zh-hans")
    assert order.email == BUYER


def test_a_number_can_be_read_out_loud(pack: Product) -> None:
    shop, month, chance = order_of(pack).number.split("-")
    assert (shop, len(month), len(chance)) == ("NO", 4, 6)
    assert not set(chance) & set("01IO")


def test_a_price_changed_after_placing_changes_nothing(pack: Product) -> None:
    order = order_of(pack)
    Product.objects.update(price_minor=1, grant_ubt=1, valid_days=1, rpm=1, is_active=False)
    paid(order)
    [delivery] = deliveries_of(order)
    assert delivery.wallet.credits_ubt == pack.grant_ubt
    assert (delivery.key.rpm, delivery.key.expires_at) == (None, None)
    assert order.payments.get().amount_minor == PRICE_MINOR


def test_the_same_checkout_is_the_same_order(pack: Product) -> None:
    checkout_id = uuid4()
    first = order_of(pack, checkout_id=checkout_id)
    assert order_of(pack, checkout_id=checkout_id, quantity=5, email="x@y.example") == first
    assert Order.objects.get().total_minor == PRICE_MINOR
    assert OrderLine.objects.count() == 1


@pytest.mark.parametrize("kind", [Product.KEY, Product.TRIAL])
def test_the_checkout_of_one_product_does_not_lead_to_the_order_of_another(
    pack: Product, kind: str
) -> None:
    price_minor = 0 if kind == Product.TRIAL else PRICE_MINOR
    order = order_of(new_product(pack.tenant, kind=kind, price_minor=price_minor))
    with pytest.raises(OrderInvalid) as caught:
        order_of(pack, checkout_id=order.checkout_id)
    assert (caught.value.field, caught.value.code) == ("checkout", "used")


def test_the_checkout_of_a_new_key_does_not_lead_to_a_top_up(shop: Tenant, pack: Product) -> None:
    order = order_of(pack, key_id=key_of(shop).pk)
    with pytest.raises(OrderInvalid):
        order_of(pack, checkout_id=order.checkout_id)


def test_the_same_checkout_is_another_order_in_another_shop(pack: Product) -> None:
    order, other = order_of(pack), open_shop("south")
    with tenant_scope(other.pk):
        second = order_of(new_product(other), checkout_id=order.checkout_id)
    assert second.pk != order.pk


def test_another_tenants_product_is_refused(pack: Product) -> None:
    other = open_shop("south")
    with tenant_scope(other.pk):
        assert refusal(pack, tenant_id=other.pk) == ("product", "unknown")


def test_a_product_that_is_off_sale_is_refused(shop: Tenant) -> None:
    assert refusal(new_product(shop, is_active=False)) == ("product", "unknown")


@pytest.mark.parametrize("quantity", [-1, 0, 11, 10**9])
def test_a_quantity_out_of_range_is_refused(pack: Product, quantity: int) -> None:
    assert refusal(pack, quantity=quantity) == ("quantity", "range")


def test_no_product_delivers_more_than_a_hundred_keys_at_once(shop: Tenant) -> None:
    product = new_product(shop, max_quantity=1_000)
    assert refusal(product, quantity=101) == ("quantity", "range")
    assert order_of(product, quantity=100).total_minor == 100 * product.price_minor


@pytest.mark.parametrize(
    "email",
    [
        *("", "nobody", "a@b", "a@b.example, c@d.example", "a\n@b.example"),
        *('"anna"@b.example', '"an\\na"@b.example', "anna@[127.0.0.1]"),
    ],
)
def test_an_address_that_is_none_is_refused(pack: Product, email: str) -> None:
    assert refusal(pack, email=email) == ("email", "invalid")


@pytest.mark.parametrize("version", ["", "x" * 41])
def test_an_order_without_an_agreement_is_refused(pack: Product, version: str) -> None:
    assert refusal(pack, agreement_version=version) == ("agreement", "missing")


def test_a_top_up_needs_a_key(shop: Tenant) -> None:
    assert refusal(new_product(shop, kind=Product.TOP_UP)) == ("key", "missing")


def test_another_tenants_key_can_not_be_topped_up(pack: Product) -> None:
    other = open_shop("south")
    with tenant_scope(other.pk):
        key = key_of(other)
    assert refusal(pack, key_id=key.pk) == ("key", "unknown")


@pytest.mark.parametrize("column", ["revoked_at", "replaced_at"])
def test_a_key_that_has_ended_can_not_be_topped_up(
    shop: Tenant, pack: Product, column: str
) -> None:
    key = key_of(shop, **{column: shop.created_at})
    assert refusal(pack, key_id=key.pk) == ("key", "revoked")


def test_a_frozen_wallet_can_not_be_topped_up(shop: Tenant, pack: Product) -> None:
    key = key_of(shop)
    Wallet.objects.update(status=Wallet.FROZEN)
    assert refusal(pack, key_id=key.pk) == ("key", "frozen")


def test_a_paused_key_can_not_be_topped_up(shop: Tenant, pack: Product) -> None:
    key = key_of(shop, status=ApiKey.DISABLED)
    assert refusal(pack, key_id=key.pk) == ("key", "frozen")


def test_an_accounts_key_is_not_topped_up_like_a_guests(shop: Tenant, pack: Product) -> None:
    key = key_of(shop)
    Wallet.objects.update(owner=User.objects.create_user("anna@example.com"))
    assert refusal(pack, key_id=key.pk) == ("key", "shared")


def test_a_top_up_is_one_unit(shop: Tenant, pack: Product) -> None:
    assert refusal(pack, key_id=key_of(shop).pk, quantity=2) == ("quantity", "range")


def test_more_than_a_wallet_can_hold_is_refused(shop: Tenant, pack: Product) -> None:
    key = key_of(shop)
    Wallet.objects.update(credits_ubt=MAX_UBT)
    assert refusal(pack, key_id=key.pk) == ("product", "too_much")


@pytest.mark.parametrize(
    ("offer", "models"),
    [
        ({"kind": Product.KEY, "also_tops_up": False}, []),
        ({"kind": Product.KEY, "allowed_models": ["sora-2"]}, ["sora-2"]),
        ({"kind": Product.TRIAL, "price_minor": 0}, []),
        ({"kind": Product.TOP_UP, "allowed_models": ["sora-2"]}, []),
        ({"kind": Product.TOP_UP, "allowed_models": ["sora-2"]}, ["sora-2", "gpt-4o"]),
    ],
)
def test_a_key_gets_no_credit_that_was_sold_for_less(
    shop: Tenant, offer: dict[str, Any], models: list[str]
) -> None:
    key = key_of(shop, allowed_models=models)
    assert refusal(new_product(shop, **offer), key_id=key.pk) == ("product", "other_kind")


@pytest.mark.parametrize(
    ("offer", "models"),
    [
        ({"kind": Product.KEY}, ["sora-2"]),
        ({"kind": Product.TOP_UP}, []),
        ({"kind": Product.TOP_UP, "allowed_models": ["sora-2", "veo"]}, ["veo"]),
    ],
)
def test_a_key_gets_credit_that_may_be_used_more_widely(
    shop: Tenant, offer: dict[str, Any], models: list[str]
) -> None:
    key = key_of(shop, allowed_models=models)
    assert order_of(new_product(shop, **offer), key_id=key.pk).lines.get().key == key


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Anna@Example.com", "anna@example.com"),
        ("anna+shop@example.com", "anna@example.com"),
        ("a.n.na@gmail.com", "anna@gmail.com"),
        ("anna+1@googlemail.com", "anna@gmail.com"),
        ("anna@\uff47mail.com", "anna@gmail.com"),
        ("anna@b\u3002example", "anna@b.example"),
        ("anna@例子.example", "anna@xn--fsqu00a.example"),
    ],
)
def test_addresses_of_one_mailbox_have_one_hash(first: str, second: str) -> None:
    assert mailboxes.hash_of(first, tenant_id=1) == mailboxes.hash_of(second, tenant_id=1)


@pytest.mark.parametrize(
    ("first", "second"),
    [("anna@a.example", "anna@b.example"), ("a.nna@x.example", "anna@x.example"), ("+a@b", "+c@b")],
)
def test_different_mailboxes_have_different_hashes(first: str, second: str) -> None:
    assert mailboxes.hash_of(first, tenant_id=1) != mailboxes.hash_of(second, tenant_id=1)


def test_a_mailbox_can_not_be_followed_from_shop_to_shop() -> None:
    assert mailboxes.hash_of(BUYER, tenant_id=1) != mailboxes.hash_of(BUYER, tenant_id=2)
