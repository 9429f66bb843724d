"""What the Stripe of these tests refuses, repeats and lists of refunds, disputes and events."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from billing.payments.stripe_client import API_VERSION
from tests.billing.payments.at_stripe.test_fake import create
from tests.fakes.stripe import FakeStripe, Json


def v1(fake: FakeStripe, key: str = "sk_test_north") -> Any:
    client = stripe.StripeClient(key, stripe_version=API_VERSION, base_addresses={"api": fake.url})
    return client.v1


@pytest.fixture
def intent(fake: FakeStripe) -> str:
    """The payment intent of 500 that was paid."""
    return str(fake.pay(create(fake).id)["payment_intent"]["id"])


def give_back(fake: FakeStripe, intent: str, *, name: str = "back", **params: Any) -> Any:
    return v1(fake).refunds.create(
        {"payment_intent": intent, **params}, {"idempotency_key": name, "max_network_retries": 0}
    )


def session_of(fake: FakeStripe) -> str:
    return next(iter(fake.sessions))


def test_what_is_left_goes_back_unless_a_sum_is_named(fake: FakeStripe, intent: str) -> None:
    first = give_back(fake, intent, amount=200, metadata={"refund": "r1"})
    rest = give_back(fake, intent, name="two")
    assert (first.amount, first.metadata["refund"], rest.amount) == (200, "r1", 300)


@pytest.mark.parametrize(
    "params", [{"amount": 501}, {"amount": 0}, {"of_mine": 1}, {"amount": 1, "charge": {"a": 1}}]
)
def test_wrong_refunds_are_refused(fake: FakeStripe, intent: str, params: Json) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        give_back(fake, intent, **params)
    assert not fake.refunds


def test_nothing_goes_back_of_what_nobody_paid(fake: FakeStripe) -> None:
    intent = fake.pay_later(create(fake).id)["payment_intent"]["id"]
    for unknown in (intent, "pi_of_nobody"):
        with pytest.raises(stripe.InvalidRequestError):
            give_back(fake, unknown)


def test_nothing_goes_back_twice_or_while_a_bank_has_it(fake: FakeStripe, intent: str) -> None:
    fake.dispute(session_of(fake))
    with pytest.raises(stripe.InvalidRequestError) as refused:
        give_back(fake, intent)
    assert refused.value.code == "charge_disputed"


def test_one_name_makes_one_refund(fake: FakeStripe, intent: str) -> None:
    first, again = (give_back(fake, intent, amount=200) for _ in range(2))
    assert first.id == again.id
    with pytest.raises(stripe.IdempotencyError):
        give_back(fake, intent, amount=300)


def test_a_refund_that_failed_leaves_the_money_to_be_given_back(
    fake: FakeStripe, intent: str
) -> None:
    fake.refunds_wait = True
    made = give_back(fake, intent)
    assert made.status == "pending"
    fake.end_refund(made.id, "failed", reason="declined")
    assert v1(fake).refunds.retrieve(made.id).failure_reason == "declined"
    assert give_back(fake, intent, name="two").amount == 500


@pytest.mark.parametrize(
    "ask",
    [
        lambda v1: v1.refunds.list({"of_mine": 1}),
        lambda v1: v1.disputes.list({"of_mine": 1}),
        lambda v1: v1.events.list({"of_mine": 1}),
        lambda v1: v1.payment_intents.list({"of_mine": 1}),
        lambda v1: v1.checkout.sessions.list({"of_mine": 1}),
        lambda v1: v1.refunds.list({"limit": 101}),
        lambda v1: v1.refunds.retrieve("re_of_nobody"),
        lambda v1: v1.disputes.retrieve("du_of_nobody"),
        lambda v1: v1.payment_intents.retrieve("pi_of_nobody"),
        lambda v1: v1.checkout.sessions.expire("cs_of_nobody"),
    ],
)
def test_what_stripe_does_not_know_is_refused(fake: FakeStripe, ask: Callable[[Any], Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        ask(v1(fake))


def test_lists_are_of_one_payment_and_one_mode(fake: FakeStripe, intent: str) -> None:
    give_back(fake, intent)
    case = fake.dispute(session_of(fake))
    fake.keys["sk_live_north"] = True
    for name, found in (("refunds", next(iter(fake.refunds))), ("disputes", case["id"])):
        listed = [getattr(v1(fake), name), getattr(v1(fake, "sk_live_north"), name)]
        assert [one.id for one in listed[0].list({"payment_intent": intent}).data] == [found]
        assert listed[0].list({"payment_intent": "pi_other"}).data == []
        assert listed[1].list().data == []


def test_only_an_open_session_expires(fake: FakeStripe) -> None:
    session = create(fake)
    assert v1(fake).checkout.sessions.expire(session.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError):
        v1(fake).checkout.sessions.expire(session.id)


def test_a_right_that_is_missing_is_told(fake: FakeStripe, intent: str) -> None:
    fake.lacking["sk_test_north"] = {"refunds_write"}
    assert v1(fake).refunds.list().data == []
    with pytest.raises(stripe.PermissionError):
        give_back(fake, intent)


def test_what_happens_is_kept_as_events(fake: FakeStripe, intent: str) -> None:
    give_back(fake, intent, amount=200)
    case = fake.dispute(session_of(fake))
    fake.end_dispute(case["id"], "lost")
    kinds = [event.type for event in v1(fake).events.list({"limit": 3}).data]
    assert kinds == ["charge.dispute.closed", "charge.dispute.created", "charge.refunded"]
    (refunded,) = v1(fake).events.list({"type": "charge.refunded"}).data
    assert refunded.data.object.amount_refunded == 200
