"""What a buyer's bank makes of a payment, as Stripe tells it."""

from typing import Any

import pytest

from billing.errors import PaymentAway
from billing.models import Payment
from billing.payments.base import DisputeState, Outcome
from billing.payments.stripe import StripeProvider
from tests.billing.payments.at_stripe.making import session_of
from tests.fakes.stripe import FakeStripe, Json


@pytest.fixture
def session(payment: Payment, fake: FakeStripe) -> Json:
    """A session that was paid."""
    return fake.pay(session_of(payment))


def seen(payment: Payment) -> tuple[DisputeState, ...]:
    return StripeProvider().fetch(payment).disputes


def test_a_payment_that_nobody_disputes_has_no_cases(payment: Payment, session: Json) -> None:
    assert seen(payment) == ()


def test_a_case_has_a_name_a_sum_and_a_reason(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    case = fake.dispute(session["id"], amount=400, reason="product_not_received")
    assert seen(payment) == (DisputeState(case["id"], Outcome.OPEN, 400, "product_not_received"),)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("needs_response", Outcome.OPEN),
        ("under_review", Outcome.OPEN),
        ("appeal_needs_response", Outcome.OPEN),
        ("appeal_under_review", Outcome.OPEN),
        ("won", Outcome.WON),
        ("lost", Outcome.LOST),
    ],
)
def test_a_case_is_open_until_it_is_won_or_lost(
    payment: Payment, session: Json, fake: FakeStripe, status: str, expected: Outcome
) -> None:
    fake.end_dispute(fake.dispute(session["id"])["id"], status)
    assert [case.outcome for case in seen(payment)] == [expected]


@pytest.mark.parametrize("status", ["needs_response", "under_review", "closed"])
def test_an_inquiry_is_no_case(
    payment: Payment, session: Json, fake: FakeStripe, status: str
) -> None:
    fake.dispute(session["id"], status=f"warning_{status}")
    assert seen(payment) == ()


def test_what_was_settled_before_it_became_a_case_is_lost_if_it_took_money(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    settled = fake.dispute(session["id"], status="prevented")
    fake.dispute(session["id"], status="prevented")["balance_transactions"].clear()
    assert [(case.reference, case.outcome) for case in seen(payment)] == [
        (settled["id"], Outcome.LOST)
    ]


@pytest.mark.parametrize("facts", [{"amount": 501}, {"amount": 70, "currency": "usd"}])
def test_a_case_is_about_no_more_than_was_paid(
    payment: Payment, session: Json, fake: FakeStripe, facts: dict[str, Any]
) -> None:
    fake.dispute(session["id"], **facts)
    assert [case.amount_minor for case in seen(payment)] == [500]


@pytest.mark.parametrize(
    "facts", [{"status": "new"}, {"status": None}, {"amount": 0}, {"amount": "5"}, {"id": ""}]
)
def test_a_case_that_makes_no_sense_books_nothing(
    payment: Payment, session: Json, fake: FakeStripe, facts: dict[str, Any]
) -> None:
    case = fake.dispute(session["id"])
    case |= facts
    with pytest.raises(PaymentAway):
        seen(payment)


def test_a_key_that_may_not_read_cases_books_nothing_once_there_is_one(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    fake.lacking["sk_test_north"] = {"disputes"}
    assert seen(payment) == ()
    fake.dispute(session["id"])
    with pytest.raises(PaymentAway, match="PermissionError"):
        seen(payment)
