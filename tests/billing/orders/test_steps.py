"""Price steps, sale windows, and credit for the wallet of who is signed in."""

from datetime import timedelta
from typing import Any

import pytest

from billing import orders
from billing.errors import OrderInvalid
from billing.ledger.clock import database_now
from billing.models import Mail, Order, PriceStep, Product, Tenant, Transfer, User, Wallet
from tests.billing.orders.making import (
    GRANT_UBT,
    PRICE_MINOR,
    bought,
    deliveries_of,
    new_product,
    order_of,
    paid,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def stepped(pack: Product) -> Product:
    """A product that costs less from 5 units on, and still less from 10."""
    for min_quantity, unit_minor in ((5, 400), (10, 300)):
        PriceStep.objects.create(
            tenant=pack.tenant, product=pack, min_quantity=min_quantity, unit_minor=unit_minor
        )
    return pack


@pytest.fixture
def wallet(shop: Tenant) -> Wallet:
    """The wallet of somebody's account."""
    return Wallet.objects.create(tenant=shop, owner=User.objects.create_user("anna@example.com"))


def refusal(product: Product, **changes: Any) -> tuple[str, str]:
    with pytest.raises(OrderInvalid) as caught:
        order_of(product, **changes)
    assert not Order.objects.exists()
    return caught.value.field, caught.value.code


@pytest.mark.parametrize(
    ("quantity", "unit_minor"), [(1, PRICE_MINOR), (4, PRICE_MINOR), (5, 400), (9, 400), (10, 300)]
)
def test_every_unit_costs_what_its_step_says(
    stepped: Product, quantity: int, unit_minor: int
) -> None:
    order = order_of(stepped, quantity=quantity)
    assert order.lines.get().unit_minor == unit_minor
    assert order.total_minor == quantity * unit_minor
    assert orders.price(stepped, quantity=quantity).total_minor == order.total_minor


def test_steps_of_another_product_count_for_nothing(stepped: Product) -> None:
    assert order_of(new_product(stepped.tenant), quantity=5).total_minor == 5 * PRICE_MINOR


@pytest.mark.parametrize("window", [{"starts_at": HOUR}, {"ends_at": -HOUR}])
def test_nothing_is_sold_outside_of_its_time(shop: Tenant, window: dict[str, timedelta]) -> None:
    times = {name: database_now() + offset for name, offset in window.items()}
    assert refusal(new_product(shop, **times)) == ("product", "not_on_sale")


def test_within_its_time_a_product_is_sold_and_paid_after_it(shop: Tenant) -> None:
    now = database_now()
    product = new_product(shop, starts_at=now - HOUR, ends_at=now + HOUR)
    order = order_of(product)
    Product.objects.update(ends_at=now - HOUR / 2)
    assert order_of(product, checkout_id=order.checkout_id) == order


def test_credit_goes_to_the_wallet_without_a_key(shop: Tenant, wallet: Wallet) -> None:
    product = new_product(shop, kind=Product.CREDIT)
    order = bought(product, wallet_id=wallet.pk, user_id=wallet.owner_id)
    wallet.refresh_from_db()
    assert (order.status, order.delivery_status) == ("paid", "delivered")
    assert (wallet.credits_ubt, Transfer.objects.get().kind) == (GRANT_UBT, "purchase")
    assert (deliveries_of(order), order.user_id) == ([], wallet.owner_id)
    assert Mail.objects.get().kind == "top_up"


def test_credit_prolongs_its_wallet(shop: Tenant, wallet: Wallet) -> None:
    soon = database_now() + HOUR
    Wallet.objects.update(expires_at=soon)
    product = new_product(shop, kind=Product.CREDIT, valid_days=30)
    bought(product, wallet_id=wallet.pk, user_id=wallet.owner_id)
    wallet.refresh_from_db()
    assert wallet.expires_at is not None
    assert wallet.expires_at > soon


def test_a_pack_that_tops_up_may_credit_a_wallet(pack: Product, wallet: Wallet) -> None:
    order = order_of(pack, wallet_id=wallet.pk, user_id=wallet.owner_id)
    assert order.lines.get().kind == Product.CREDIT


def test_nobody_orders_for_the_wallet_of_another(pack: Product, wallet: Wallet) -> None:
    outsider = User.objects.create_user("ben@example.com")
    guests = Wallet.objects.create(tenant=pack.tenant)
    for wallet_id, user_id in ((wallet.pk, outsider.pk), (wallet.pk, None), (guests.pk, None)):
        assert refusal(pack, wallet_id=wallet_id, user_id=user_id) == ("wallet", "unknown")


def test_credit_needs_a_wallet(shop: Tenant) -> None:
    assert refusal(new_product(shop, kind=Product.CREDIT)) == ("wallet", "missing")


def test_a_wallet_gets_no_credit_that_was_sold_for_less(shop: Tenant, wallet: Wallet) -> None:
    for offer in ({"allowed_models": ["sora-2"]}, {"also_tops_up": False}):
        answer = refusal(new_product(shop, **offer), wallet_id=wallet.pk, user_id=wallet.owner_id)
        assert answer == ("product", "other_kind")


def test_a_wallet_frozen_after_the_order_leaves_it_to_a_person(
    shop: Tenant, wallet: Wallet
) -> None:
    product, target = new_product(shop, kind=Product.CREDIT), (wallet.pk, wallet.owner_id)
    order = order_of(product, wallet_id=target[0], user_id=target[1])
    Wallet.objects.update(status=Wallet.FROZEN)
    paid(order)
    order.refresh_from_db()
    assert (order.status, order.delivery_status) == ("paid", "review")
    assert not Transfer.objects.exists()


def test_a_frozen_wallet_is_not_credited(pack: Product, wallet: Wallet) -> None:
    Wallet.objects.update(status=Wallet.FROZEN)
    target = {"wallet_id": wallet.pk, "user_id": wallet.owner_id}
    assert refusal(pack, **target) == ("wallet", "frozen")
