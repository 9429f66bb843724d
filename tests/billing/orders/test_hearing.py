"""What providers say by themselves after a payment, from the signed word to the books."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from billing import orders
from billing.errors import CallbackRefused, PaymentAway
from billing.ledger.clock import database_now
from billing.models import Order, Payment, PaymentEvent, PaymentInstance, Product, Wallet
from billing.orders.refunding import poll_refunds
from billing.scoping import all_tenants
from tests.billing.orders.making import (
    GRANT_UBT,
    bought,
    deliveries_of,
    left_ubt,
    order_of,
    payment_of,
    states_of,
)
from tests.billing.payments.at_stripe import making
from tests.fakes.stripe import FakeStripe, Json, Trouble


@pytest.fixture
def fake(settings: Settings) -> Iterator[FakeStripe]:
    """Stripe, as far as this installation knows."""
    with FakeStripe() as running:
        settings.STRIPE_API = running.url
        yield running


@pytest.fixture
def account(pack: Product, fake: FakeStripe) -> PaymentInstance:
    """The shop's account at Stripe."""
    return making.new_account(pack.tenant)


@pytest.fixture
def order(pack: Product, account: PaymentInstance, fake: FakeStripe) -> Order:
    """An order that was paid at Stripe and delivered."""
    order = order_of(pack)
    payment = making.begin(order, account)
    hear(account, fake, "checkout.session.completed", fake.pay(making.session_of(payment)))
    assert states_of(order) == ("paid", "delivered", "confirmed")
    return order


def hear(account: PaymentInstance, fake: FakeStripe, kind: str, subject: Json, **more: Any) -> str:
    """Let Stripe tell of something."""
    event = fake.event(kind, subject, **{"secret": making.SECRET, **more})
    return orders.hear(account.public_id, making.told(event))


def session_of(order: Order) -> str:
    return making.session_of(payment_of(order))


def wallet_of(order: Order) -> Wallet:
    return deliveries_of(order)[0].wallet


def test_a_dispute_without_our_name_is_found_by_stripes(
    order: Order, account: PaymentInstance, fake: FakeStripe
) -> None:
    case = fake.dispute(session_of(order))
    hear(account, fake, "charge.dispute.created", case)
    assert (states_of(order)[2], wallet_of(order).status) == ("disputed", "frozen")
    hear(account, fake, "charge.dispute.closed", fake.end_dispute(case["id"], "won"))
    assert (states_of(order)[2], wallet_of(order).status) == ("confirmed", "active")
    assert left_ubt(order) == [GRANT_UBT]


def test_a_refund_on_stripes_pages_is_booked_when_stripe_tells_of_it(
    order: Order, account: PaymentInstance, fake: FakeStripe
) -> None:
    hear(account, fake, "refund.created", fake.refund(session_of(order), 200))
    assert states_of(order) == ("partly_refunded", "delivered", "partly_refunded")
    assert left_ubt(order) == [GRANT_UBT * 3 // 5]


def test_a_refund_that_takes_its_time_is_done_when_stripe_tells_so(
    order: Order, account: PaymentInstance, fake: FakeStripe
) -> None:
    fake.refunds_wait = True
    payment = payment_of(order)
    refund = orders.refund(payment.pk, refund_id=uuid4(), amount_minor=100, actor="anna", reason="")
    assert (refund.status, states_of(order)[2]) == ("pending", "confirmed")
    ended = fake.end_refund(refund.reference, "succeeded")
    hear(account, fake, "refund.updated", ended)
    refund.refresh_from_db()
    assert (refund.status, states_of(order)[2]) == ("done", "partly_refunded")
    with all_tenants():
        assert poll_refunds() == 0


def test_what_is_not_genuine_is_counted_and_not_kept(
    order: Order, account: PaymentInstance, fake: FakeStripe
) -> None:
    for _ in range(3):
        with pytest.raises(CallbackRefused):
            hear(account, fake, "refund.created", {}, secret="whsec_of_somebody")
    account.refresh_from_db()
    assert (account.refused_count, account.refused_at is None) == (3, False)
    assert PaymentEvent.objects.count() == 1


def test_an_event_that_could_not_be_acted_on_is_when_it_comes_again(
    order: Order, account: PaymentInstance, fake: FakeStripe
) -> None:
    refund = fake.refund(session_of(order), 100)
    fake.troubles += [Trouble(status=500)] * 2
    with pytest.raises(PaymentAway):
        hear(account, fake, "refund.created", refund, event_id="evt_x")
    assert PaymentEvent.objects.get(event_id="evt_x").handled_at is None
    hear(account, fake, "refund.created", refund, event_id="evt_x")
    assert PaymentEvent.objects.get(event_id="evt_x").handled_at is not None
    assert states_of(order)[2] == "partly_refunded"


def test_what_is_said_to_be_paid_after_its_order_has_ended_is_asked_for_again(
    pack: Product, account: PaymentInstance, fake: FakeStripe
) -> None:
    order = order_of(pack)
    payment = making.begin(order, account)
    orders.cancel(order)
    said = {"client_reference_id": payment.public_id.hex, "payment_status": "paid"}
    with pytest.raises(PaymentAway):
        hear(account, fake, "checkout.session.completed", said)
    assert PaymentEvent.objects.get().handled_at is None
    fake.pay(making.session_of(payment))
    with all_tenants():
        orders.poll_open(database_now() + timedelta(minutes=2))
    assert states_of(order) == ("paid", "delivered", "confirmed")


def test_a_dispute_about_a_payment_in_review_is_found_by_stripes_name(
    pack: Product, account: PaymentInstance, fake: FakeStripe
) -> None:
    order = order_of(pack)
    payment = making.begin(order, account)
    Payment.objects.update(amount_minor=1)
    hear(account, fake, "checkout.session.completed", fake.pay(making.session_of(payment)))
    hear(account, fake, "charge.dispute.created", fake.dispute(making.session_of(payment)))
    payment.refresh_from_db()
    assert (payment.status, payment.disputes.get().status) == ("review", "open")


def test_an_event_about_no_payment_of_ours_waits_for_nothing(
    pack: Product, account: PaymentInstance, fake: FakeStripe
) -> None:
    bought(pack)
    hear(account, fake, "charge.dispute.created", {"payment_intent": "pi_of_somebody"})
    event = PaymentEvent.objects.get()
    assert (event.payment, event.handled_at is None) == (None, False)
    assert set(Payment.objects.values_list("status", flat=True)) == {"confirmed"}
