"""The Stripe of these tests refuses what the real one refuses, or they would prove little."""

import time
from typing import Any

import pytest
import stripe

from billing.payments.stripe_client import API_VERSION
from tests.fakes.stripe import FakeStripe

PARAMS: dict[str, Any] = {
    "mode": "payment",
    "line_items": [
        {
            "quantity": 1,
            "price_data": {
                "currency": "cny",
                "unit_amount": 500,
                "product_data": {"name": "NO-1"},
            },
        }
    ],
    "allowed_payment_method_types": ["card"],
    "client_reference_id": "ours",
    "success_url": "https://north.example/",
}


def sessions(fake: FakeStripe, key: str = "sk_test_north") -> Any:
    client = stripe.StripeClient(key, stripe_version=API_VERSION, base_addresses={"api": fake.url})
    return client.v1.checkout.sessions


def create(fake: FakeStripe, *, key: str = "one", **changes: Any) -> Any:
    params = {**PARAMS, "expires_at": int(time.time()) + 3_600, **changes}
    return sessions(fake).create(params, {"idempotency_key": key})


@pytest.mark.parametrize(
    "changes",
    [
        {"payment_method_types": ["card"]},
        {"line_items": [{**PARAMS["line_items"][0], "price": {"sum": 1}}]},
        {"mode": "setup"},
        {"success_url": ""},
        {"client_reference_id": "x" * 201},
        {"expires_at": int(time.time()) + 1_700},
        {"expires_at": int(time.time()) + 90_000},
        {"allowed_payment_method_types": ["wechat_pay"]},
        {"allowed_payment_method_types": []},
        {"api_key_of_mine": "x"},
    ],
)
def test_wrong_parameters_are_refused(fake: FakeStripe, changes: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        create(fake, **changes)
    assert not fake.sessions


def test_a_wrong_key_is_refused(fake: FakeStripe) -> None:
    with pytest.raises(stripe.AuthenticationError):
        sessions(fake, "sk_test_south").create(PARAMS)


def test_the_same_question_has_the_same_answer(fake: FakeStripe) -> None:
    ends_at = int(time.time()) + 3_600
    first, again = (create(fake, expires_at=ends_at) for _ in range(2))
    assert first.id == again.id
    assert create(fake, key="two").id != first.id


def test_another_question_by_the_same_name_is_refused(fake: FakeStripe) -> None:
    create(fake)
    with pytest.raises(stripe.IdempotencyError):
        create(fake, success_url="https://other.example/")


def test_a_session_of_the_other_mode_is_not_found(fake: FakeStripe) -> None:
    session = create(fake)
    fake.keys["sk_live_north"] = True
    with pytest.raises(stripe.InvalidRequestError):
        sessions(fake, "sk_live_north").retrieve(session.id)


def test_an_intent_is_an_id_unless_it_is_asked_for(fake: FakeStripe) -> None:
    session = create(fake)
    intent = fake.pay(session.id)["payment_intent"]
    assert sessions(fake).retrieve(session.id).payment_intent == intent["id"]
