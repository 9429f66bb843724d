"""A delivered key: revealed by a button, saved, lapsed, replaced; its link tells nobody else."""

from datetime import timedelta

import pytest
from django.test import override_settings

from billing import keys
from billing.errors import LimitReached, NotFound, SealBroken, StateInvalid
from billing.ledger.clock import database_now
from billing.models import ApiKey, Delivery, Mail, Order, Product, Wallet
from billing.orders import deliveries, links
from billing.scoping import all_tenants, tenant_scope
from tests.billing.orders.making import BUYER, GRANT_UBT, bought, deliveries_of, open_shop


@pytest.fixture
def delivery(pack: Product) -> Delivery:
    """A key that was just bought."""
    return deliveries_of(bought(pack))[0]


def state_of(delivery: Delivery) -> str:
    return deliveries.state_of(Delivery.objects.get(pk=delivery.pk))


def let_pass(delivery: Delivery, *, days: int) -> None:
    """Let a delivery have been made so many days ago, and the job have run since."""
    found = Delivery.objects.get(pk=delivery.pk)
    assert found.sealed_until is not None
    Delivery.objects.filter(pk=delivery.pk).update(
        sealed_until=found.sealed_until - timedelta(days=days)
    )
    with all_tenants():
        deliveries.forget_lapsed()


def test_a_new_key_is_fresh_and_sealed_for_three_days(delivery: Delivery) -> None:
    assert state_of(delivery) == "fresh"
    assert delivery.sealed_until is not None
    left = delivery.sealed_until - database_now()
    assert timedelta(hours=71) < left <= timedelta(hours=72)


def test_the_row_does_not_show_the_key(delivery: Delivery) -> None:
    plaintext = deliveries.reveal(delivery)
    assert plaintext.encode() not in bytes(delivery.sealed_key or b"")


def test_a_key_can_be_revealed_until_its_buyer_has_saved_it(delivery: Delivery) -> None:
    first = deliveries.reveal(delivery)
    assert state_of(delivery) == "revealed"
    assert deliveries.reveal(delivery) == first
    assert Delivery.objects.get().reveal_count == 2
    assert deliveries.confirm_saved(delivery).sealed_key is None
    assert state_of(delivery) == "saved"
    with pytest.raises(NotFound):
        deliveries.reveal(delivery)


def test_the_first_look_is_remembered(delivery: Delivery) -> None:
    deliveries.reveal(delivery)
    seen = Delivery.objects.get().revealed_at
    deliveries.reveal(delivery)
    assert Delivery.objects.get().revealed_at == seen is not None


def test_a_key_that_nobody_saw_can_not_be_saved(delivery: Delivery) -> None:
    with pytest.raises(StateInvalid):
        deliveries.confirm_saved(delivery)
    assert state_of(delivery) == "fresh"


def test_saving_again_changes_nothing(delivery: Delivery) -> None:
    deliveries.reveal(delivery)
    first = deliveries.confirm_saved(delivery).saved_at
    assert deliveries.confirm_saved(delivery).saved_at == first


def test_a_sealed_key_is_forgotten_on_time(delivery: Delivery) -> None:
    assert delivery.sealed_until is not None
    with all_tenants():
        assert deliveries.forget_lapsed(delivery.sealed_until - timedelta(seconds=1)) == 0
        assert deliveries.forget_lapsed(delivery.sealed_until) == 1
        assert deliveries.forget_lapsed(delivery.sealed_until) == 0
    assert Delivery.objects.get().sealed_key is None


def test_a_key_whose_time_is_over_is_not_revealed_even_if_no_job_has_run(
    delivery: Delivery,
) -> None:
    Delivery.objects.update(sealed_until=database_now())
    with pytest.raises(NotFound):
        deliveries.reveal(delivery)
    assert state_of(delivery) == "lapsed"


def test_on_day_30_the_key_is_replaced_and_the_balance_intact(delivery: Delivery) -> None:
    old = delivery.key
    let_pass(delivery, days=30)
    assert state_of(delivery) == "lapsed"
    deliveries.replace_key(delivery)
    assert state_of(delivery) == "fresh"
    new = keys.find(deliveries.reveal(delivery))
    assert new is not None
    assert (new.pk != old.pk, new.wallet_id) == (True, old.wallet_id)
    assert Wallet.objects.get().available_ubt == GRANT_UBT
    old.refresh_from_db()
    assert (old.status, old.revoked_at is not None) == (ApiKey.DISABLED, True)


def test_a_replaced_key_is_mailed_about(delivery: Delivery) -> None:
    let_pass(delivery, days=4)
    deliveries.replace_key(delivery)
    mail = Mail.objects.get(kind="key_replaced")
    assert (mail.subject_id, mail.recipient) == (delivery.pk, BUYER)


def test_pressing_replace_twice_replaces_once(delivery: Delivery) -> None:
    let_pass(delivery, days=4)
    deliveries.replace_key(delivery)
    deliveries.replace_key(delivery)
    assert Delivery.objects.get().replace_count == 1
    assert ApiKey.objects.count() == 2


def test_a_key_that_nobody_has_seen_is_not_replaced(delivery: Delivery) -> None:
    deliveries.replace_key(delivery)
    assert Delivery.objects.get().key == delivery.key


def test_a_saved_key_can_be_replaced(delivery: Delivery) -> None:
    deliveries.reveal(delivery)
    deliveries.confirm_saved(delivery)
    deliveries.replace_key(delivery)
    assert state_of(delivery) == "fresh"


def test_a_key_that_the_shop_has_revoked_is_not_replaced(delivery: Delivery) -> None:
    keys.revoke(kid=delivery.key.kid)
    let_pass(delivery, days=4)
    with pytest.raises(StateInvalid):
        deliveries.replace_key(delivery)


def test_a_key_is_not_replaced_for_ever(delivery: Delivery) -> None:
    deliveries.reveal(delivery)
    Delivery.objects.update(replace_count=deliveries.MOST_REPLACEMENTS)
    with pytest.raises(LimitReached):
        deliveries.replace_key(delivery)


def test_a_key_that_its_user_has_replaced_is_no_longer_shown(delivery: Delivery) -> None:
    new, _ = keys.replace(key=delivery.key, actor="user")
    assert state_of(delivery) == "replaced"
    assert Delivery.objects.get().key == new
    with pytest.raises(NotFound):
        deliveries.reveal(delivery)


def test_who_has_the_key_alone_does_not_use_up_the_replacements_of_its_buyer(
    delivery: Delivery,
) -> None:
    for _ in range(3):
        keys.replace(key=Delivery.objects.get().key, actor="thief")
    assert Delivery.objects.get().replace_count == 0
    deliveries.replace_key(delivery)
    assert Delivery.objects.get().replace_count == 1


def test_a_sealed_key_is_bound_to_its_delivery(delivery: Delivery, pack: Product) -> None:
    [other] = deliveries_of(bought(pack))
    Delivery.objects.filter(pk=other.pk).update(sealed_key=delivery.sealed_key)
    with pytest.raises(SealBroken):
        deliveries.reveal(other)


def test_another_tenant_can_not_reveal(delivery: Delivery) -> None:
    with tenant_scope(open_shop("south").pk), pytest.raises(Delivery.DoesNotExist):
        deliveries.reveal(delivery)


def test_a_link_leads_to_its_order(delivery: Delivery) -> None:
    order = delivery.line.order
    token = links.token_of(order)
    assert links.find(number=order.number, token=token) == order
    assert links.path_of(order) == f"/orders/{order.number}/{token}/"


def test_a_links_secret_has_at_least_128_bits(delivery: Delivery) -> None:
    token = links.token_of(delivery.line.order)
    assert len(token) * 6 >= 128
    assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("wrong", ["", "x", "ü", "A" * 27])
def test_a_wrong_link_leads_nowhere(delivery: Delivery, wrong: str) -> None:
    order = delivery.line.order
    assert links.find(number=order.number, token=wrong) is None
    assert links.find(number="NO-0000-000000", token=wrong) is None


def test_a_link_of_one_order_does_not_open_another(delivery: Delivery, pack: Product) -> None:
    token = links.token_of(delivery.line.order)
    assert links.find(number=bought(pack).number, token=token) is None


def test_another_shop_does_not_know_a_link(delivery: Delivery) -> None:
    order = delivery.line.order
    with tenant_scope(open_shop("south").pk):
        assert links.find(number=order.number, token=links.token_of(order)) is None


def test_raising_the_version_ends_all_links(delivery: Delivery) -> None:
    order = delivery.line.order
    token = links.token_of(order)
    Order.objects.update(link_version=2)
    assert links.find(number=order.number, token=token) is None


def test_a_link_can_not_be_derived_without_the_installations_secret(delivery: Delivery) -> None:
    order = delivery.line.order
    token = links.token_of(order)
    with override_settings(SECRET_KEY="x" * 50):
        assert links.token_of(order) != token
