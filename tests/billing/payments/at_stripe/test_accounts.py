"""Ending sessions that nobody is to pay any more, and trying whether an account can be used."""

import pytest

from billing.errors import PaymentAway
from billing.models import Payment, PaymentInstance, Tenant
from billing.payments import base
from billing.payments.stripe import StripeProvider
from tests.billing.payments.at_stripe.making import SECRETS, begin, new_account, session_of
from tests.fakes.stripe import FakeStripe

STRIPE = StripeProvider()


def problem(account: PaymentInstance) -> str:
    with pytest.raises(PaymentAway) as raised:
        STRIPE.test(account)
    assert not [secret for secret in SECRETS.values() if secret in str(raised.value)]
    return str(raised.value)


def test_stripe_can_close_and_be_tested() -> None:
    assert isinstance(STRIPE, base.Closing)
    assert isinstance(STRIPE, base.Testing)


def test_a_session_that_is_closed_can_not_be_paid(payment: Payment, fake: FakeStripe) -> None:
    STRIPE.close(payment)
    assert fake.sessions[session_of(payment)]["status"] == "expired"
    assert STRIPE.fetch(payment).status == "expired"


@pytest.mark.parametrize("act", ["pay", "pay_later", "expire"])
def test_a_session_that_has_ended_is_left_alone(
    payment: Payment, fake: FakeStripe, act: str
) -> None:
    getattr(fake, act)(session_of(payment))
    fake.requests.clear()
    STRIPE.close(payment)
    assert [request.method for request in fake.requests] == ["GET"]


def test_a_payment_with_two_sessions_is_closed_twice(
    payment: Payment, account: PaymentInstance, fake: FakeStripe
) -> None:
    Payment.objects.update(status="created", redirect_url="")
    begin(payment.order, account, return_url="https://other.example/")
    STRIPE.close(payment)
    assert [session["status"] for session in fake.sessions.values()] == ["expired", "expired"]


def test_a_session_that_may_not_be_closed_is_told(payment: Payment, fake: FakeStripe) -> None:
    fake.lacking["sk_test_north"] = {"checkout_write"}
    with pytest.raises(PaymentAway):
        STRIPE.close(payment)


def test_a_usable_account_passes_and_nothing_is_changed(
    account: PaymentInstance, fake: FakeStripe
) -> None:
    STRIPE.test(account)
    assert {request.method for request in fake.requests} == {"GET"}


@pytest.mark.parametrize(
    ("right", "name"),
    [
        ("checkout", "Checkout Sessions"),
        ("payment_intents", "PaymentIntents"),
        ("refunds", "Charges and Refunds"),
        ("disputes", "Disputes"),
    ],
)
def test_the_right_that_is_missing_is_named(
    account: PaymentInstance, fake: FakeStripe, right: str, name: str
) -> None:
    fake.lacking["sk_test_north"] = {right}
    assert problem(account).startswith(f"The key may not read {name}.")


def test_a_key_that_stripe_does_not_know_fails(shop: Tenant, fake: FakeStripe) -> None:
    assert "401" in problem(new_account(shop, api_key="sk_test_of_nobody"))


@pytest.mark.parametrize(
    "wrong",
    [{"api_key": ""}, {"api_key": "pk_test_1"}, {"webhook_secret": ""}, {"webhook_secret": "we_1"}],
)
def test_secrets_that_are_none_are_found_without_asking(
    shop: Tenant, fake: FakeStripe, wrong: dict[str, str]
) -> None:
    assert problem(new_account(shop, **wrong))
    assert not fake.requests
