"""From an order to a page of Stripe's, and from there to what was bought."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from billing import orders
from billing.errors import PaymentAway
from billing.models import Delivery, Order, Payment, PaymentInstance, Tenant, Transfer
from billing.payments import Standing, offered, provider_of
from billing.payments.stripe import LIVES_AT_LEAST
from tests.billing.orders import making as selling
from tests.billing.payments.at_stripe.making import (
    RETURN_URL,
    begin,
    completed,
    new_account,
    session_of,
    told,
)
from tests.fakes.stripe import FakeStripe, Trouble


def status_of(order: Order) -> tuple[str, str]:
    order.refresh_from_db()
    return order.status, order.delivery_status


def standing(payment: Payment) -> Standing:
    return provider_of("stripe").fetch(payment).status


def test_the_buyer_is_led_to_stripe(payment: Payment, fake: FakeStripe) -> None:
    session = fake.sessions[session_of(payment)]
    assert (payment.status, payment.redirect_url) == ("pending", session["url"])
    assert (session["amount_total"], session["currency"]) == (payment.amount_minor, "cny")


def test_what_is_paid_is_delivered_once(order: Order, payment: Payment, fake: FakeStripe) -> None:
    assert orders.confirm(payment.pk).status == "pending"
    fake.pay(session_of(payment))
    for _ in range(3):
        assert orders.confirm(payment.pk).status == "confirmed"
    assert status_of(order) == ("paid", "delivered")
    assert Transfer.objects.count() == Delivery.objects.count() == 1


def test_an_event_brings_what_was_paid(
    order: Order, payment: Payment, account: PaymentInstance, fake: FakeStripe
) -> None:
    event = completed(fake, fake.pay(session_of(payment)))
    for _ in range(3):
        assert orders.hear(account.public_id, told(event)) == ""
    assert status_of(order) == ("paid", "delivered")
    assert account.events.get().handled_at is not None
    assert Delivery.objects.count() == 1


def test_an_event_that_lies_about_a_payment_brings_nothing(
    order: Order, payment: Payment, account: PaymentInstance, fake: FakeStripe
) -> None:
    lie = {**fake.sessions[session_of(payment)], "payment_status": "paid", "status": "complete"}
    with pytest.raises(PaymentAway):
        orders.hear(account.public_id, told(completed(fake, lie)))
    assert status_of(order) == ("pending", "none")


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_total": 499},
        {"amount_total": 50_000},
        {"currency": "usd"},
        {"client_reference_id": "0" * 31 + "1"},
        {"client_reference_id": None},
    ],
)
def test_what_was_not_agreed_goes_to_review(
    order: Order, payment: Payment, fake: FakeStripe, changes: dict[str, object]
) -> None:
    fake.pay(session_of(payment), **changes)
    assert orders.confirm(payment.pk).status == "review"
    assert status_of(order) == ("pending", "review")
    assert not Transfer.objects.exists()


def test_what_was_paid_and_given_back_is_not_delivered(
    order: Order, payment: Payment, fake: FakeStripe
) -> None:
    fake.pay(session_of(payment))
    fake.refund(session_of(payment))
    assert orders.confirm(payment.pk).status == "refunded"
    assert order.lines.get().deliveries.count() == Transfer.objects.count() == 0


def test_a_payment_that_takes_its_time_is_open_until_it_arrives(
    payment: Payment, fake: FakeStripe
) -> None:
    fake.pay_later(session_of(payment))
    assert standing(payment) == "open"
    fake.pay(session_of(payment))
    assert standing(payment) == "paid"


def test_a_payment_that_takes_its_time_can_fail_and_be_tried_again(
    order: Order, payment: Payment, account: PaymentInstance, fake: FakeStripe
) -> None:
    fake.fail(session_of(payment))
    assert orders.confirm(payment.pk).status == "failed"
    second = begin(order, account)
    assert session_of(second) != session_of(payment)
    fake.pay(session_of(second))
    assert orders.confirm(second.pk).status == "confirmed"


def test_a_session_whose_time_is_over_ends_the_payment(payment: Payment, fake: FakeStripe) -> None:
    fake.expire(session_of(payment))
    assert orders.confirm(payment.pk).status == "expired"


def test_an_order_that_has_expired_and_is_paid_late_is_delivered(
    order: Order, payment: Payment, fake: FakeStripe
) -> None:
    orders.expire_unpaid(order.expires_at + timedelta(seconds=1))
    fake.pay(session_of(payment))
    assert orders.confirm(payment.pk).status == "confirmed"
    assert status_of(order) == ("paid", "delivered")


def test_asking_twice_makes_one_session(payment: Payment, fake: FakeStripe) -> None:
    again = provider_of("stripe").create(payment, return_url=RETURN_URL, notify_url="")
    assert again.address == payment.redirect_url
    assert list(fake.sessions) == [session_of(payment)]


def test_a_crash_before_anything_was_noted_is_healed(
    order: Order, payment: Payment, account: PaymentInstance, fake: FakeStripe
) -> None:
    payment.references.all().delete()
    Payment.objects.update(status="created", redirect_url="")
    assert standing(payment) == "open"
    assert begin(order, account).redirect_url == payment.redirect_url
    assert list(fake.sessions) == [session_of(payment)]


def test_whichever_of_two_sessions_is_paid_is_found(
    order: Order, payment: Payment, account: PaymentInstance, fake: FakeStripe
) -> None:
    Payment.objects.update(status="created", redirect_url="")
    begin(order, account, return_url="https://other.example/")
    first, second = fake.sessions
    fake.expire(second)
    assert standing(payment) == "open"
    fake.pay(first)
    assert orders.confirm(payment.pk).status == "confirmed"


def test_a_session_ends_with_its_order(order: Order, payment: Payment, fake: FakeStripe) -> None:
    ends_at = fake.sessions[session_of(payment)]["expires_at"]
    assert ends_at == int(order.expires_at.timestamp())


def test_a_session_lives_half_an_hour_however_old_its_order_is(
    order: Order, account: PaymentInstance, fake: FakeStripe
) -> None:
    order.expires_at = timezone.now() + timedelta(seconds=5)
    order.save()
    payment = begin(order, account)
    ends_at = fake.sessions[session_of(payment)]["expires_at"]
    assert ends_at == int((order.expires_at + LIVES_AT_LEAST).timestamp())


@pytest.mark.parametrize("age_h", [0, 1, 22.4, 22.6, 24, 60])
def test_an_order_that_waits_for_days_can_be_paid_at_any_time(
    order: Order, account: PaymentInstance, fake: FakeStripe, age_h: float
) -> None:
    order.expires_at = timezone.now() + timedelta(days=3)
    order.save()
    fake.troubles.append(Trouble(status=400))
    with pytest.raises(PaymentAway):
        begin(order, account)
    Payment.objects.update(created_at=timezone.now() - timedelta(hours=age_h))
    session = fake.sessions[session_of(begin(order, account))]
    left = timedelta(seconds=session["expires_at"] - time.time())
    assert timedelta(minutes=30) < left < timedelta(hours=24)


def test_stripe_learns_nothing_about_goods_and_buyers(
    order: Order, payment: Payment, fake: FakeStripe
) -> None:
    form = fake.requests[0].form
    assert form["line_items[0][price_data][product_data][name]"] == order.number
    line = order.lines.get()
    assert not {order.email, line.product.slug, str(line.grant_ubt)} & set(form.values())


@pytest.mark.parametrize(
    ("currency", "minor", "expected"),
    [("JPY", 500, 500), ("KRW", 500, 500), ("UGX", 5, 500), ("MGA", 500, 5), ("KWD", 500, 500)],
)
def test_sums_are_told_in_stripes_units(
    shop: Tenant, fake: FakeStripe, currency: str, minor: int, expected: int
) -> None:
    Tenant.objects.update(currency=currency)
    order = selling.order_of(selling.new_product(shop, price_minor=minor))
    payment = begin(order, new_account(shop))
    assert fake.sessions[session_of(payment)]["amount_total"] == expected
    fake.pay(session_of(payment))
    assert orders.confirm(payment.pk).status == "confirmed"


def test_only_an_account_with_its_secrets_is_offered(shop: Tenant) -> None:
    for missing in ({"api_key": ""}, {"webhook_secret": " "}, {"api_key": "pk_test_1"}):
        new_account(shop, **missing)
    PaymentInstance.objects.create(tenant=shop, provider="stripe")
    PaymentInstance.objects.create(tenant=shop, provider="stripe", sealed_secrets=b"broken")
    assert offered(shop) == []
    account = new_account(shop)
    assert offered(shop) == [account]
