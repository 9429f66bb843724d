"""Money that goes back by Stripe: once for each refund, and never believed to have gone before."""

import json
from typing import Any

import pytest

from billing.errors import PaymentAway
from billing.models import Order, Payment, PaymentInstance, Refund, Tenant
from billing.payments import ProviderState, provider_of
from billing.payments.base import Outcome, Refunding, RefundState
from billing.payments.stripe import StripeProvider
from tests.billing.orders import making as selling
from tests.billing.payments.at_stripe.making import begin, new_account, session_of
from tests.fakes.stripe import FakeStripe, Json, Trouble

STRIPE = StripeProvider()


@pytest.fixture
def session(payment: Payment, fake: FakeStripe) -> Json:
    """A session that was paid."""
    return fake.pay(session_of(payment))


def new_refund(payment: Payment, amount_minor: int = 500) -> Refund:
    return Refund.objects.create(
        tenant=payment.tenant, payment=payment, amount_minor=amount_minor, actor="li"
    )


def named(refund: Refund, state: RefundState) -> Refund:
    refund.reference = state.reference
    return refund


def seen(payment: Payment) -> ProviderState:
    return provider_of("stripe").fetch(payment)


def away(refund: Refund) -> str:
    with pytest.raises(PaymentAway) as raised:
        STRIPE.refund(refund)
    return str(raised.value)


def test_stripe_gives_back_once_for_two_questions() -> None:
    assert isinstance(STRIPE, Refunding)
    assert STRIPE.repeats_refunds


def test_all_of_it_goes_back(payment: Payment, session: Json, fake: FakeStripe) -> None:
    state = STRIPE.refund(new_refund(payment))
    (made,) = fake.refunds.values()
    assert (made["amount"], made["payment_intent"]) == (500, session["payment_intent"]["id"])
    assert state == RefundState(Outcome.DONE, made["id"])


def test_stripe_is_told_our_names_of_payment_and_refund(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    refund = new_refund(payment)
    STRIPE.refund(refund)
    (made,) = fake.refunds.values()
    assert made["metadata"] == session["metadata"] | {"refund": refund.public_id.hex}


def test_parts_go_back_until_nothing_is_left(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    outcomes = [STRIPE.refund(new_refund(payment, minor)).outcome for minor in (200, 300, 1)]
    assert outcomes == [Outcome.DONE, Outcome.DONE, Outcome.FAILED]
    assert seen(payment).refunded_minor == 500


def test_more_than_was_paid_does_not_go_back(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    state = STRIPE.refund(new_refund(payment, 501))
    assert (state.outcome, fake.refunds) == (Outcome.FAILED, {})
    assert "status 400" in state.failure


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_refund_whose_answer_was_lost_is_made_once(
    payment: Payment, session: Json, fake: FakeStripe, is_forgotten: bool
) -> None:
    refund = new_refund(payment, 200)
    lost = Trouble(status=500, headers={"Stripe-Should-Retry": "false"})
    fake.troubles += [None, None, lost]
    assert "status 500" in away(refund)
    if is_forgotten:
        fake.api.forget()
    (made,) = fake.refunds
    for _ in range(2):
        assert STRIPE.refund(refund).reference == made
    assert len(fake.refunds) == 1


def test_two_refunds_of_the_same_amount_are_two(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    for _ in range(2):
        STRIPE.refund(new_refund(payment, 100))
    assert len(fake.refunds) == 2


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("pending", Outcome.OPEN),
        ("requires_action", Outcome.OPEN),
        ("succeeded", Outcome.DONE),
        ("failed", Outcome.FAILED),
        ("canceled", Outcome.FAILED),
    ],
)
def test_a_refund_that_takes_its_time_is_asked_for(
    payment: Payment, session: Json, fake: FakeStripe, ending: str, expected: Outcome
) -> None:
    fake.refunds_wait, refund = True, new_refund(payment)
    named(refund, STRIPE.refund(refund))
    assert STRIPE.fetch_refund(refund).outcome == Outcome.OPEN
    fake.end_refund(refund.reference, ending)
    assert STRIPE.fetch_refund(refund).outcome == expected


def test_a_refund_that_fails_says_why(payment: Payment, session: Json, fake: FakeStripe) -> None:
    fake.refunds_wait, refund = True, new_refund(payment)
    named(refund, STRIPE.refund(refund))
    fake.end_refund(refund.reference, "failed", reason="lost_or_stolen_card")
    assert STRIPE.fetch_refund(refund).failure == "lost_or_stolen_card"


def test_a_refund_without_a_name_can_not_be_asked_for(payment: Payment) -> None:
    with pytest.raises(PaymentAway):
        STRIPE.fetch_refund(new_refund(payment))


def test_what_was_paid_is_told_apart_from_what_went_back(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    fake.refund(session["id"], 120)
    fake.refund(session["id"], 30)
    state = seen(payment)
    assert (state.status, state.amount_minor, state.refunded_minor) == ("paid", 500, 150)


def test_what_has_not_gone_yet_has_not_gone(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    fake.refunds_wait = True
    pending = fake.refund(session["id"], 120)
    assert seen(payment).refunded_minor == 0
    fake.end_refund(pending["id"], "succeeded")
    assert seen(payment).refunded_minor == 120


def test_refunds_are_asked_for_only_where_there_are_some(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    fake.requests.clear()
    seen(payment)
    assert [request.path for request in fake.requests] == [f"/v1/checkout/sessions/{session['id']}"]


def test_events_may_call_a_payment_by_its_intent_or_its_charge(
    payment: Payment, session: Json
) -> None:
    intent = session["payment_intent"]
    assert seen(payment).also_known_as == (intent["id"], intent["latest_charge"]["id"])


def test_other_names_are_not_taken_for_sessions(
    payment: Payment, session: Json, account: PaymentInstance
) -> None:
    for name in seen(payment).also_known_as:
        payment.references.create(tenant=payment.tenant, instance=account, reference=name)
    assert seen(payment).reference == session["id"]


def test_who_pays_both_sessions_has_paid_too_much(
    order: Order, payment: Payment, account: PaymentInstance, fake: FakeStripe
) -> None:
    Payment.objects.update(status="created", redirect_url="")
    begin(order, account, return_url="https://other.example/")
    for session_id in tuple(fake.sessions):
        fake.pay(session_id)
    assert seen(payment).amount_minor == 1_000
    assert STRIPE.refund(new_refund(payment)).outcome == Outcome.FAILED
    assert not fake.refunds


def test_a_key_without_the_right_gives_nothing_back(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    fake.lacking["sk_test_north"] = {"refunds_write"}
    state = STRIPE.refund(new_refund(payment))
    assert state.outcome == Outcome.FAILED
    assert "PermissionError" in state.failure


def test_nobody_knows_while_stripe_is_away(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    for missing in ("refunds", "checkout"):
        fake.lacking["sk_test_north"] = {missing}
        assert "PermissionError" in away(new_refund(payment))


@pytest.mark.parametrize(
    "changes",
    [{"amount": 499}, {"amount": None}, {"status": "gone"}, {"status": None}, {"id": 7}],
)
def test_a_refund_that_makes_no_sense_is_no_answer(
    payment: Payment, session: Json, fake: FakeStripe, changes: dict[str, Any]
) -> None:
    refund = new_refund(payment)
    named(refund, STRIPE.refund(refund))
    odd = fake.refunds[refund.reference] | changes
    fake.troubles.append(Trouble(body=json.dumps(odd).encode()))
    with pytest.raises(PaymentAway):
        STRIPE.fetch_refund(refund)


def test_refunds_are_counted_in_stripes_units(shop: Tenant, fake: FakeStripe) -> None:
    Tenant.objects.update(currency="UGX")
    order = selling.order_of(selling.new_product(shop))
    payment = begin(order, new_account(shop))
    fake.pay(session_of(payment))
    assert STRIPE.refund(new_refund(payment, 7)).outcome == Outcome.DONE
    assert seen(payment).refunded_minor == 7
    assert [made["amount"] for made in fake.refunds.values()] == [700]
