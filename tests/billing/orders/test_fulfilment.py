"""What is delivered: keys with a wallet each, top-ups, the mails, and books that stay clean."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from billing import keys, orders
from billing.errors import StateInvalid
from billing.ledger.clock import database_now
from billing.ledger.reconcile import reconcile, reconcile_touched
from billing.models import (
    ApiKey,
    Delivery,
    Mail,
    Order,
    Payment,
    PaymentEvent,
    Product,
    ReconcileFinding,
    Tenant,
    Transfer,
    Wallet,
)
from billing.orders import deliveries
from billing.payments import demo
from billing.scoping import all_tenants
from tests.billing.orders.making import (
    BUYER,
    GRANT_UBT,
    begin,
    bought,
    deliveries_of,
    new_product,
    new_trial,
    order_of,
)

DAY = timedelta(days=1)


def about(moment: datetime | None, expected: datetime) -> bool:
    return moment is not None and abs(moment - expected) < timedelta(minutes=5)


def key_that_ends(shop: Tenant, expires_at: datetime | None) -> ApiKey:
    key, _ = keys.issue(tenant_id=shop.pk, expires_at=expires_at)
    return key


def test_three_units_are_three_keys_on_three_wallets_by_three_transfers(pack: Product) -> None:
    order = bought(pack, quantity=3)
    found = deliveries_of(order)
    assert [delivery.index for delivery in found] == [0, 1, 2]
    assert len({delivery.wallet_id for delivery in found}) == 3
    assert len({delivery.key_id for delivery in found}) == 3
    assert {delivery.wallet.credits_ubt for delivery in found} == {GRANT_UBT}
    [line], [payment] = order.lines.all(), order.payments.all()
    assert [delivery.transfer.source_id for delivery in found] == [
        f"{payment.public_id}:{line.pk}:{index}" for index in range(3)
    ]


def test_a_purchase_is_a_transfer_of_the_payment(pack: Product) -> None:
    bought(pack)
    transfer = Transfer.objects.get()
    assert (transfer.kind, transfer.source) == ("purchase", "payment")
    assert len(transfer.source_id) <= 64


def test_the_key_works_as_the_product_says(shop: Tenant) -> None:
    product = new_product(
        shop, name="Video", allowed_models=["sora-2"], rpm=3, tpm=500, concurrency=2, valid_days=30
    )
    [delivery] = deliveries_of(bought(product))
    key = delivery.key
    assert (key.name, key.allowed_models) == ("Video", ["sora-2"])
    assert (key.rpm, key.tpm, key.concurrency) == (3, 500, 2)
    assert about(key.expires_at, database_now() + 30 * DAY)
    assert key.expires_at == delivery.wallet.expires_at


def test_a_bought_key_without_days_has_no_end(pack: Product) -> None:
    [delivery] = deliveries_of(bought(pack))
    assert delivery.key.expires_at is delivery.wallet.expires_at is None


def test_notices_of_a_guests_wallet_go_to_the_buyer(pack: Product) -> None:
    [delivery] = deliveries_of(bought(pack))
    assert (delivery.wallet.notify_email, delivery.wallet.owner) == (BUYER, None)


def test_the_revealed_key_is_the_key_that_was_bought(pack: Product) -> None:
    for delivery in deliveries_of(bought(pack, quantity=2)):
        assert keys.find(deliveries.reveal(delivery)) == delivery.key


@pytest.mark.parametrize(
    ("old_days", "product_days", "new_days"),
    [
        (None, 30, None),
        (5, None, None),
        (5, 30, 30),
        (90, 30, 90),
        (-3, 30, 30),
        (None, None, None),
    ],
)
def test_a_top_up_moves_the_end_by_r13(
    shop: Tenant, old_days: int | None, product_days: int | None, new_days: int | None
) -> None:
    now = database_now()
    key = key_that_ends(shop, now + old_days * DAY if old_days else None)
    bought(new_product(shop, valid_days=product_days), key_id=key.pk)
    key.refresh_from_db()
    if new_days is None:
        assert key.expires_at is key.wallet.expires_at is None
    else:
        assert about(key.expires_at, now + new_days * DAY)
        assert key.wallet.expires_at == key.expires_at


def test_a_top_up_credits_the_key_that_is_there(shop: Tenant, pack: Product) -> None:
    [first] = deliveries_of(bought(pack))
    [second] = deliveries_of(bought(pack, key_id=first.key_id))
    assert (second.key_id, second.wallet_id) == (first.key_id, first.wallet_id)
    assert second.wallet.credits_ubt == 2 * GRANT_UBT
    assert second.sealed_key is None
    assert deliveries.state_of(second) == "saved"
    assert ApiKey.objects.count() == 1


def test_a_key_that_was_replaced_before_the_payment_came_is_topped_up(pack: Product) -> None:
    [first] = deliveries_of(bought(pack))
    order = order_of(pack, key_id=first.key_id)
    new, _ = keys.replace(key=first.key, actor="test")
    demo.pay(begin(order))
    orders.confirm(order.payments.get().pk)
    [second] = deliveries_of(order)
    assert (second.key, second.wallet.credits_ubt) == (new, 2 * GRANT_UBT)


@pytest.mark.parametrize("end", ["revoke", "freeze"])
def test_a_top_up_of_what_has_ended_meanwhile_is_left_to_a_person(pack: Product, end: str) -> None:
    [first] = deliveries_of(bought(pack))
    order = order_of(pack, key_id=first.key_id)
    if end == "revoke":
        keys.revoke(kid=first.key.kid)
    else:
        Wallet.objects.update(status=Wallet.FROZEN)
    demo.pay(begin(order))
    assert orders.confirm(order.payments.get().pk).status == "confirmed"
    order.refresh_from_db()
    assert (order.status, order.delivery_status) == ("paid", "review")
    assert not deliveries_of(order)
    assert Transfer.objects.count() == 1


def test_a_paid_order_that_can_not_be_delivered_is_paid_and_left_to_a_person(
    shop: Tenant, pack: Product
) -> None:
    order = order_of(pack, quantity=2)
    Tenant.objects.filter(pk=shop.pk).update(key_prefix="WRONG")
    demo.pay(begin(order))
    assert orders.confirm(order.payments.get().pk).status == "confirmed"
    order.refresh_from_db()
    assert (order.status, order.delivery_status) == ("paid", "review")
    assert not Wallet.objects.exists()
    Tenant.objects.filter(pk=shop.pk).update(key_prefix="ak-")
    assert orders.deliver(order).delivery_status == "delivered"
    assert len(deliveries_of(order)) == 2


def test_what_was_left_to_a_person_is_delivered_when_it_can_be(pack: Product) -> None:
    [first] = deliveries_of(bought(pack))
    order = order_of(pack, key_id=first.key_id)
    Wallet.objects.update(status=Wallet.FROZEN)
    demo.pay(begin(order))
    orders.confirm(order.payments.get().pk)
    assert orders.deliver(order).delivery_status == "review"
    Wallet.objects.update(status=Wallet.ACTIVE)
    assert orders.deliver(order).delivery_status == "delivered"
    assert deliveries_of(order)[0].wallet.credits_ubt == 2 * GRANT_UBT
    with pytest.raises(StateInvalid):
        orders.deliver(order)


def mails() -> list[tuple[str, int, str, str]]:
    rows = Mail.objects.order_by("pk")
    return list(rows.values_list("kind", "subject_id", "recipient", "language"))


def test_a_delivery_is_mailed_once(pack: Product) -> None:
    order = bought(pack, quantity=3, language="zh-hans")
    orders.confirm(order.payments.get().pk)
    assert mails() == [("order", order.pk, BUYER, "zh-hans")]


def test_every_kind_of_product_has_its_mail(shop: Tenant, pack: Product) -> None:
    [first] = deliveries_of(bought(pack))
    bought(pack, key_id=first.key_id)
    order_of(new_trial(shop))
    assert [kind for kind, *_ in mails()] == ["order", "top_up", "trial"]


def test_the_books_are_clean_after_purchases(busy_shop: Tenant) -> None:
    pack = new_product(busy_shop, valid_days=30)
    [first, *_] = deliveries_of(bought(pack, quantity=3))
    bought(new_product(busy_shop, kind=Product.TOP_UP), key_id=first.key_id)
    order_of(new_trial(busy_shop))
    with all_tenants():
        report = reconcile()
    assert report.wallet_count == 4
    assert not report.findings


@pytest.mark.parametrize(
    ("change", "invariants"),
    [
        (lambda: Wallet.objects.update(credits_ubt=GRANT_UBT + 1), ["I1"]),
        (lambda: Order.objects.get().lines.update(grant_ubt=1), ["I5 amount", "I5 payment"]),
        (lambda: Order.objects.get().lines.update(quantity=2), ["I5 count", "I5 payment"]),
        (lambda: Order.objects.update(delivery_status="none"), ["I5 order"]),
        (lambda: Payment.objects.update(confirmed_at=None), ["I5 transfer"]),
        (lambda: Payment.objects.update(public_id=uuid4()), ["I5 payment", "I5 transfer"]),
    ],
)
def test_a_purchase_that_does_not_add_up_is_found(
    busy_shop: Tenant, change: Callable[[], int], invariants: list[str]
) -> None:
    bought(new_product(busy_shop))
    change()
    with all_tenants():
        for compare in (reconcile, reconcile_touched, reconcile):
            assert [found.invariant for found in compare().findings] == invariants
        assert ReconcileFinding.objects.count() == len(invariants)


def test_a_delivery_that_names_another_wallet_is_found(busy_shop: Tenant) -> None:
    product = new_product(busy_shop)
    bought(product)
    [second] = deliveries_of(bought(product))
    other = Delivery.objects.exclude(pk=second.pk).get()
    Delivery.objects.filter(pk=second.pk).update(wallet_id=other.wallet_id)
    with all_tenants():
        assert [found.invariant for found in reconcile().findings] == ["I5 wallet"]


def test_an_event_that_nobody_has_acted_on_is_found(busy_shop: Tenant) -> None:
    payment = begin(order_of(new_product(busy_shop)))
    assert payment.instance
    event = PaymentEvent.objects.create(
        tenant=busy_shop, instance=payment.instance, payment=payment, event_id="evt_1", kind="paid"
    )
    with all_tenants():
        assert reconcile().is_clean
        PaymentEvent.objects.update(created_at=event.created_at - timedelta(minutes=11))
        for compare in (reconcile, reconcile_touched):
            assert [found.invariant for found in compare().findings] == ["I12"]
