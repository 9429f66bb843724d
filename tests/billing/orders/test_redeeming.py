"""Redemption codes: made, exported once, and each worth one order, whoever comes first."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import override_settings

from billing import codes, keys, orders
from billing.errors import FieldInvalid, OrderInvalid, StateInvalid
from billing.ledger.clock import database_now
from billing.models import (
    CodeBatch,
    Mail,
    Order,
    Product,
    RedemptionCode,
    Tenant,
    Transfer,
    User,
    Wallet,
)
from billing.scoping import tenant_scope
from tests.billing.orders.making import BUYER, GRANT_UBT, deliveries_of, new_product, open_shop

RACERS = 40


def new_code(product: Product, **changes: Any) -> str:
    """Make a code for a product, and export it."""
    batch = codes.make_batch(product, count=1, actor="test", **changes)
    return codes.export(batch, actor="test")[0]


def redeem(product: Product, code: str, **changes: Any) -> Order:
    """Redeem a code as the shop's page would."""
    fields: dict[str, Any] = {
        "tenant_id": product.tenant_id,
        "checkout_id": uuid4(),
        "code": code,
        "email": BUYER,
        "agreement_version": "2026-05-01",
        "language": "en",
    }
    return orders.redeem(**{**fields, **changes})


def refusal(product: Product, code: str, **changes: Any) -> tuple[str, str]:
    with pytest.raises(OrderInvalid) as caught:
        redeem(product, code, **changes)
    assert Transfer.objects.filter(kind="redeem").count() <= 1
    return caught.value.field, caught.value.code


def test_a_code_becomes_a_key(pack: Product) -> None:
    order = redeem(pack, new_code(pack))
    assert (order.status, order.delivery_status, order.total_minor) == ("paid", "delivered", 0)
    [delivery] = deliveries_of(order)
    assert delivery.wallet.credits_ubt == GRANT_UBT
    assert delivery.transfer.kind == "redeem"
    assert order.payments.get().provider == "voucher"
    assert Mail.objects.get().kind == "order"


def test_a_code_tops_a_key_up(pack: Product) -> None:
    key, _ = keys.issue(tenant_id=pack.tenant_id)
    redeem(pack, new_code(pack), key_id=key.pk)
    assert Wallet.objects.get().credits_ubt == GRANT_UBT


def test_a_code_credits_the_wallet_of_who_is_signed_in(shop: Tenant) -> None:
    product = new_product(shop, kind=Product.CREDIT)
    user = User.objects.create_user("anna@example.com")
    wallet = Wallet.objects.create(tenant=shop, owner=user)
    order = redeem(product, new_code(product), wallet_id=wallet.pk, user_id=user.pk)
    wallet.refresh_from_db()
    assert wallet.credits_ubt == GRANT_UBT
    assert (order.user_id, deliveries_of(order)) == (user.pk, [])


@pytest.mark.parametrize(("kind", "field"), [(Product.TOP_UP, "key"), (Product.CREDIT, "wallet")])
def test_a_code_for_what_is_there_does_not_become_a_key(
    shop: Tenant, kind: str, field: str
) -> None:
    product = new_product(shop, kind=kind)
    assert refusal(product, new_code(product)) == (field, "missing")
    assert RedemptionCode.objects.get().used_at is None


def test_redemption_code_used_twice(pack: Product) -> None:
    code = new_code(pack)
    redeem(pack, code)
    assert refusal(pack, code) == ("code", "used")


def test_a_form_that_is_sent_twice_leads_to_its_order(pack: Product) -> None:
    code, checkout_id = new_code(pack), uuid4()
    first = redeem(pack, code, checkout_id=checkout_id)
    assert redeem(pack, code, checkout_id=checkout_id) == first


def test_the_form_of_one_code_does_not_lead_to_the_order_of_another(pack: Product) -> None:
    checkout_id = uuid4()
    redeem(pack, new_code(pack), checkout_id=checkout_id)
    assert refusal(pack, new_code(pack), checkout_id=checkout_id) == ("checkout", "used")


@pytest.mark.parametrize(
    "change", [str.lower, lambda code: code.replace("-", " "), lambda code: f" {code}\n"]
)
def test_a_code_is_read_however_it_is_typed(pack: Product, change: Callable[[str], str]) -> None:
    assert redeem(pack, change(new_code(pack))).status == "paid"


@pytest.mark.parametrize("code", ["", "x", "A" * 20, "é" * 20, "\0", "2" * 10_000])
def test_what_is_no_code_is_unknown(pack: Product, code: str) -> None:
    assert refusal(pack, code) == ("code", "unknown")


def test_another_tenants_code_is_unknown(pack: Product) -> None:
    code, other = new_code(pack), open_shop("south")
    with tenant_scope(other.pk):
        assert refusal(new_product(other), code) == ("code", "unknown")


def test_a_code_outlives_a_change_of_peppers(pack: Product) -> None:
    code = new_code(pack)
    with override_settings(KEY_PEPPERS="1:" + "0" * 64):
        assert refusal(pack, code) == ("code", "unknown")
    with override_settings(KEY_PEPPERS=newer_peppers()):
        assert redeem(pack, code).status == "paid"


def newer_peppers() -> str:
    """Return the peppers of these tests, and one that is newer than all of them."""
    return f"{settings.KEY_PEPPERS},9999:{'ab' * 32}"


def test_an_ended_batch_is_refused(pack: Product) -> None:
    code = new_code(pack, ends_at=database_now() - timedelta(seconds=1))
    assert refusal(pack, code) == ("code", "over")


def test_revoked_codes_are_refused_and_used_ones_stay_used(pack: Product) -> None:
    batch = codes.make_batch(pack, count=3, actor="test")
    used, unused, _ = codes.export(batch, actor="test")
    redeem(pack, used)
    assert [codes.revoke(batch, actor="test") for _ in range(2)] == [2, 0]
    assert refusal(pack, unused) == ("code", "revoked")
    assert refusal(pack, used) == ("code", "used")


def test_a_code_that_is_revoked_while_it_is_redeemed_is_not_used(pack: Product) -> None:
    found = codes.find(new_code(pack), tenant_id=pack.tenant_id)
    assert found
    codes.revoke(found.batch, actor="test")
    assert not codes.claim(found, order_id=1, now=database_now())
    found.refresh_from_db()
    assert found.used_at is None


def test_a_code_gives_what_its_product_gave_then(pack: Product) -> None:
    code = new_code(pack)
    Product.objects.update(grant_ubt=1, is_active=False, valid_days=1)
    [delivery] = deliveries_of(redeem(pack, code))
    assert (delivery.wallet.credits_ubt, delivery.key.expires_at) == (GRANT_UBT, None)


def test_codes_are_exported_once_and_stored_nowhere(pack: Product) -> None:
    batch = codes.make_batch(pack, count=5, actor="test")
    exported = codes.export(batch, actor="anna")
    assert len(set(exported)) == batch.codes.count() == 5
    assert CodeBatch.objects.get().sealed_codes is None
    assert CodeBatch.objects.get().exported_by == "anna"
    with pytest.raises(StateInvalid):
        codes.export(batch, actor="anna")


def test_a_revoked_batch_is_not_exported(pack: Product) -> None:
    batch = codes.make_batch(pack, count=1, actor="test")
    codes.revoke(batch, actor="test")
    with pytest.raises(StateInvalid):
        codes.export(batch, actor="test")


@pytest.mark.parametrize("count", [0, -1, codes.MOST_CODES + 1])
def test_a_batch_has_a_sensible_size(pack: Product, count: int) -> None:
    with pytest.raises(FieldInvalid):
        codes.make_batch(pack, count=count, actor="test")


def test_forty_who_redeem_one_code_get_one_order(busy_shop: Tenant) -> None:
    product = new_product(busy_shop)
    code, barrier = new_code(product), Barrier(RACERS)

    def run(_racer: int) -> str:
        barrier.wait()
        with tenant_scope(busy_shop.pk):
            try:
                return redeem(product, code).status
            except OrderInvalid as error:
                return error.code

    with ThreadPoolExecutor(RACERS) as threads:
        answers = list(threads.map(run, range(RACERS)))
    assert sorted(answers) == ["paid", *["used"] * (RACERS - 1)]
    assert (Order.objects.count(), Transfer.objects.count(), Mail.objects.count()) == (1, 1, 1)
