"""Refunds and disputes from the shop to Stripe's books and back, as the services book them."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from billing import orders
from billing.models import Order, Payment, PaymentInstance, Refund
from billing.scoping import all_tenants
from tests.billing.payments.at_stripe.making import SECRET, session_of, told
from tests.fakes.stripe import FakeStripe, Json, Trouble


@pytest.fixture
def session(payment: Payment, fake: FakeStripe) -> Json:
    """A session that was paid and delivered."""
    session = fake.pay(session_of(payment))
    orders.confirm(payment.pk)
    return session


def give_back(payment: Payment, amount_minor: int, *, refund_id: UUID | None = None) -> Refund:
    return orders.refund(
        payment.pk,
        refund_id=refund_id or uuid4(),
        amount_minor=amount_minor,
        actor="li",
        reason="asked for",
    )


def hear_all(account: PaymentInstance, fake: FakeStripe) -> None:
    """Deliver every event, the last ones first and each twice."""
    for event in [*fake.events, *fake.events]:
        subject = event["data"]["object"]
        sent = fake.event(event["type"], subject, secret=SECRET, event_id=event["id"])
        orders.hear(account.public_id, told(sent))


def statuses(order: Order, payment: Payment) -> tuple[str, str]:
    order.refresh_from_db()
    payment.refresh_from_db()
    return order.status, payment.status


def test_the_shop_gives_back_a_part_and_then_the_rest(
    order: Order, payment: Payment, session: Json, fake: FakeStripe
) -> None:
    assert give_back(payment, 200).status == "done"
    assert statuses(order, payment) == ("partly_refunded", "partly_refunded")
    assert give_back(payment, 300).status == "done"
    assert statuses(order, payment) == ("refunded", "refunded")
    assert [refund["amount"] for refund in fake.refunds.values()] == [200, 300]


def test_events_about_a_refund_of_the_shop_book_nothing_twice(
    order: Order, payment: Payment, account: PaymentInstance, session: Json, fake: FakeStripe
) -> None:
    give_back(payment, 200)
    hear_all(account, fake)
    assert statuses(order, payment) == ("partly_refunded", "partly_refunded")
    assert payment.refunds.count() == 1


@pytest.mark.parametrize(("ending", "status"), [("succeeded", "done"), ("failed", "failed")])
def test_an_event_ends_a_refund_that_took_its_time(
    payment: Payment,
    account: PaymentInstance,
    session: Json,
    fake: FakeStripe,
    ending: str,
    status: str,
) -> None:
    fake.refunds_wait = True
    refund = give_back(payment, 500)
    assert refund.status == "pending"
    fake.end_refund(refund.reference, ending)
    hear_all(account, fake)
    assert payment.refunds.get().status == status


def test_a_form_that_is_sent_again_after_a_lost_answer_gives_back_once(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    refund_id = uuid4()
    lost = Trouble(status=500, headers={"Stripe-Should-Retry": "false"})
    fake.troubles += [None, None, lost]
    assert give_back(payment, 200, refund_id=refund_id).status == "pending"
    give_back(payment, 200, refund_id=refund_id)
    orders.confirm(payment.pk)
    assert [refund["amount"] for refund in fake.refunds.values()] == [200]
    assert payment.refunds.get().amount_minor == 200


def test_a_refund_on_stripes_own_pages_is_booked_once(
    order: Order, payment: Payment, account: PaymentInstance, session: Json, fake: FakeStripe
) -> None:
    fake.refund(session["id"], 200)
    hear_all(account, fake)
    assert statuses(order, payment) == ("partly_refunded", "partly_refunded")
    refund = payment.refunds.get()
    assert (refund.origin, refund.amount_minor, refund.status) == ("provider", 200, "done")


@pytest.mark.parametrize(
    ("ending", "expected"), [("won", "confirmed"), ("lost", "refunded"), ("", "disputed")]
)
def test_events_tell_how_a_dispute_goes(
    payment: Payment,
    account: PaymentInstance,
    session: Json,
    fake: FakeStripe,
    ending: str,
    expected: str,
) -> None:
    case = fake.dispute(session["id"])
    if ending:
        fake.end_dispute(case["id"], ending)
    hear_all(account, fake)
    payment.refresh_from_db()
    assert payment.status == expected
    assert payment.disputes.get().reference == case["id"]


def test_a_dispute_that_is_told_step_by_step_ends_as_the_bank_says(
    payment: Payment, account: PaymentInstance, session: Json, fake: FakeStripe
) -> None:
    case = fake.dispute(session["id"])
    for status in ("needs_response", "under_review", "won"):
        fake.end_dispute(case["id"], status)
        hear_all(account, fake)
    payment.refresh_from_db()
    assert (payment.status, payment.disputes.get().status) == ("confirmed", "won")


@pytest.mark.parametrize(("is_paid", "expected"), [(False, "expired"), (True, "confirmed")])
def test_what_was_given_up_is_closed_unless_somebody_was_faster(
    order: Order, payment: Payment, fake: FakeStripe, is_paid: bool, expected: str
) -> None:
    orders.expire_unpaid(order.expires_at + timedelta(seconds=1))
    if is_paid:
        fake.pay(session_of(payment))
    with all_tenants():
        orders.poll_open()
    assert fake.sessions[session_of(payment)]["status"] == ("complete" if is_paid else "expired")
    assert statuses(order, payment)[1] == expected
