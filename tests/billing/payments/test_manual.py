"""Payments by hand: a person says what has arrived, and the usual door does the rest."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing import orders, payments
from billing.errors import FieldInvalid, NotFound, StateInvalid
from billing.models import Mail, ManualReceipt, Order, Payment, PaymentInstance, Tenant
from tests.billing.orders import making


@pytest.fixture
def account(shop: Tenant) -> PaymentInstance:
    """A shop's bank account."""
    return PaymentInstance.objects.create(
        tenant=shop, provider="manual", instructions="IBAN CH93 0076 2011 6238 5295 7"
    )


@pytest.fixture
def order(shop: Tenant) -> Order:
    return making.order_of(making.new_product(shop))


@pytest.fixture
def payment(order: Order, account: PaymentInstance) -> Payment:
    """A transfer that is on its way."""
    return begun(order, account)


def begun(order: Order, account: PaymentInstance) -> Payment:
    return orders.begin_payment(order, instance_id=account.pk, return_url="", notify_url="")


def arrived(payment: Payment, amount_minor: int = making.PRICE_MINOR) -> Payment:
    return orders.money_arrived(payment.pk, amount_minor=amount_minor, note="line 7", actor="lin")


def test_it_is_offered_once_buyers_are_told_how_to_pay(account: PaymentInstance) -> None:
    assert payments.offered(account.tenant) == [account]
    PaymentInstance.objects.update(instructions=" \n")
    assert payments.offered(account.tenant) == []


def test_the_order_waits_three_days_and_its_buyer_is_mailed_once(
    payment: Payment, order: Order, account: PaymentInstance
) -> None:
    assert begun(order, account) == payment
    order.refresh_from_db()
    assert order.expires_at - timezone.now() > timedelta(days=2, hours=23)
    mail = Mail.objects.get(kind="transfer")
    assert (mail.subject_id, mail.recipient) == (order.pk, order.email)
    assert (payment.status, payment.redirect_url) == ("pending", "")


def test_nothing_is_paid_until_somebody_has_seen_the_money(payment: Payment) -> None:
    assert orders.confirm(payment.pk).status == "pending"


def test_money_that_arrives_is_booked_once(payment: Payment, order: Order) -> None:
    assert [arrived(payment).status for _ in range(2)] == ["confirmed"] * 2
    order.refresh_from_db()
    assert (order.status, len(making.deliveries_of(order))) == ("paid", 1)
    receipt = ManualReceipt.objects.get()
    assert (receipt.amount_minor, receipt.note, receipt.actor) == (500, "line 7", "lin")


def test_money_that_arrives_late_is_booked_as_well(payment: Payment, order: Order) -> None:
    Order.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    orders.expire_unpaid()
    assert arrived(payment).status == "confirmed"


@pytest.mark.parametrize("amount_minor", [499, 501])
def test_another_amount_is_left_to_a_person(
    payment: Payment, order: Order, amount_minor: int
) -> None:
    assert arrived(payment, amount_minor).status == "review"
    order.refresh_from_db()
    assert (order.status, order.delivery_status) == ("pending", "review")


def test_nobody_says_another_amount_afterwards(payment: Payment) -> None:
    arrived(payment)
    with pytest.raises(StateInvalid):
        arrived(payment, 499)
    assert ManualReceipt.objects.get().amount_minor == making.PRICE_MINOR


def test_no_money_is_none_that_arrives(payment: Payment) -> None:
    for amount_minor in (0, -500):
        with pytest.raises(FieldInvalid):
            arrived(payment, amount_minor)


def test_what_a_provider_takes_is_not_for_people_to_say(order: Order) -> None:
    with pytest.raises(NotFound):
        arrived(making.begin(order))
    assert not ManualReceipt.objects.exists()
