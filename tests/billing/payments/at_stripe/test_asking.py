"""Questions to Stripe: what travels, and what becomes of answers that are none."""

import gzip
import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import stripe
from pytest_django import Settings

from billing import orders
from billing.errors import PaymentAway
from billing.models import Order, Payment, PaymentInstance, Tenant
from billing.payments import credentials, provider_of, stripe_client
from tests.billing.orders import making
from tests.billing.payments.at_stripe.making import (
    SECRETS,
    begin,
    new_account,
    session_of,
)
from tests.fakes.stripe import FakeStripe, Trouble

NO_RETRY = {"Stripe-Should-Retry": "false"}


def away(payment: Payment) -> str:
    """Ask for a payment in vain; return what the logs are told."""
    with pytest.raises(PaymentAway) as raised:
        provider_of("stripe").fetch(payment)
    return str(raised.value)


def test_a_question_carries_key_version_and_a_name_of_its_own(
    payment: Payment, fake: FakeStripe
) -> None:
    headers = fake.requests[0].headers
    assert headers["Authorization"] == f"Bearer {SECRETS['api_key']}"
    assert headers["Stripe-Version"] == stripe_client.API_VERSION
    assert headers["Idempotency-Key"].startswith(payment.public_id.hex)


def test_the_question_says_how_the_buyer_may_pay(payment: Payment, fake: FakeStripe) -> None:
    form = fake.requests[0].form
    methods = [form[f"allowed_payment_method_types[{place}]"] for place in range(3)]
    assert methods == ["card", "alipay", "wechat_pay"]
    assert form["payment_method_options[wechat_pay][client]"] == "web"
    assert form["adaptive_pricing[enabled]"] == "false"
    assert form["payment_intent_data[metadata][payment]"] == payment.public_id.hex


@pytest.mark.parametrize(("language", "expected"), [("en", "auto"), ("zh-hans", "zh")])
def test_the_page_speaks_the_language_of_the_order(
    order: Order, account: PaymentInstance, fake: FakeStripe, language: str, expected: str
) -> None:
    order.language = language
    order.save()
    begin(order, account)
    assert fake.requests[0].form["locale"] == expected


def test_an_account_may_say_how_its_buyers_pay(
    shop: Tenant, order: Order, fake: FakeStripe
) -> None:
    begin(order, new_account(shop, methods=" alipay, link "))
    form = fake.requests[0].form
    named = [value for name, value in form.items() if name.startswith("allowed_")]
    assert named == ["alipay", "link"]
    assert not [name for name in form if "wechat" in name]


def test_the_version_is_the_one_that_the_library_knows() -> None:
    assert stripe.api_version == stripe_client.API_VERSION


def test_the_library_tells_stripe_nothing_about_this_machine(
    payment: Payment, fake: FakeStripe
) -> None:
    provider_of("stripe").fetch(payment)
    told = json.loads(fake.requests[-1].headers["X-Stripe-Client-User-Agent"])
    assert not {"platform", "telemetry_id", "uname"} & set(told)
    assert "X-Stripe-Client-Telemetry" not in fake.requests[-1].headers


def test_every_account_asks_with_its_own_key(
    order: Order, payment: Payment, shop: Tenant, fake: FakeStripe
) -> None:
    fake.keys["sk_live_north"] = True
    second = begin(order, new_account(shop, api_key="sk_live_north"))
    for asked in (payment, second):
        assert provider_of("stripe").fetch(asked).reference == session_of(asked)
    assert [fake.sessions[session_of(one)]["livemode"] for one in (payment, second)] == [
        False,
        True,
    ]


def test_a_wrong_key_is_named_by_no_message(
    payment: Payment, account: PaymentInstance, fake: FakeStripe
) -> None:
    credentials.store(account, {**SECRETS, "api_key": "sk_test_of_somebody"})
    payment.refresh_from_db()
    said = away(payment)
    assert "AuthenticationError, status 401, req_fake1" in said
    assert "of_somebody" not in said


def test_an_account_that_lost_its_secrets_can_not_ask(
    payment: Payment, account: PaymentInstance
) -> None:
    credentials.store(account, {})
    payment.refresh_from_db()
    assert "secrets" in away(payment)


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(body=b""),
        Trouble(body=b"no JSON"),
        Trouble(body=b"[]"),
        Trouble(body=b"7"),
        Trouble(body=b"null"),
        Trouble(body=b"{}"),
        Trouble(body=b'{"object": 7}'),
        Trouble(body=b'{"object": "checkout.session", "id": "cs_test_1"}'),
        Trouble(body=b"[" * 100_000),
        Trouble(status=302, headers={"Location": "http://127.0.0.1:9/"}),
        Trouble(status=404, body=b'{"error": {"message": "secret", "code": "resource_missing"}}'),
        Trouble(status=429, body=b'{"error": {"message": "secret"}}', headers=NO_RETRY),
        Trouble(status=500, body=b"<html>secret</html>", headers=NO_RETRY),
    ],
)
def test_an_answer_that_is_none_books_nothing(
    payment: Payment, fake: FakeStripe, trouble: Trouble
) -> None:
    fake.pay(session_of(payment))
    fake.troubles.append(trouble)
    assert "secret" not in away(payment)
    assert orders.confirm(payment.pk).status == "confirmed"


def session_with(fake: FakeStripe, payment: Payment, **changes: Any) -> Trouble:
    fake.pay(session_of(payment))
    return Trouble(body=json.dumps(fake.sessions[session_of(payment)] | changes).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"livemode": True},
        {"livemode": None},
        {"id": ""},
        {"id": "x" * 129},
        {"amount_total": "500"},
        {"amount_total": True},
        {"amount_total": 500.0},
        {"amount_total": None},
        {"currency": None},
        {"payment_status": "no_payment_required"},
        {"status": "open"},
        {"status": None},
    ],
)
def test_a_session_that_makes_no_sense_books_nothing(
    payment: Payment, fake: FakeStripe, changes: dict[str, object]
) -> None:
    fake.troubles.append(session_with(fake, payment, **changes))
    assert away(payment)


def test_too_much_is_not_read(payment: Payment, fake: FakeStripe) -> None:
    fake.troubles.append(session_with(fake, payment, padding="x" * 300_000))
    assert "APIConnectionError" in away(payment)


def test_what_is_packed_is_not_unpacked(payment: Payment, fake: FakeStripe) -> None:
    bomb = gzip.compress(b" " * 1_000_000)
    fake.troubles.append(Trouble(body=bomb, headers={"Content-Encoding": "gzip"}))
    assert "APIConnectionError" in away(payment)


@pytest.mark.parametrize(
    "trouble", [Trouble(is_silent=True), Trouble(is_slow=True, body=b" " * 200)]
)
def test_an_answer_that_does_not_come_is_waited_for_no_longer(
    payment: Payment, fake: FakeStripe, monkeypatch: pytest.MonkeyPatch, trouble: Trouble
) -> None:
    monkeypatch.setattr(stripe_client, "WHOLE_S", 0.3)
    fake.troubles.append(trouble)
    began_at, before = time.monotonic(), len(fake.requests)
    assert "APIConnectionError" in away(payment)
    assert time.monotonic() - began_at < 5
    assert len(fake.requests) == before + 1


def test_a_question_is_asked_again_once(payment: Payment, fake: FakeStripe) -> None:
    fake.troubles.append(Trouble(status=503))
    before = len(fake.requests)
    assert provider_of("stripe").fetch(payment).status == "open"
    assert len(fake.requests) == before + 2


def test_a_session_is_created_once_although_its_answer_was_lost(
    order: Order, account: PaymentInstance, fake: FakeStripe
) -> None:
    fake.troubles.append(Trouble(status=500))
    payment = begin(order, account)
    assert list(fake.sessions) == [session_of(payment)]


@pytest.mark.parametrize("is_new", [True, False])
def test_a_session_of_another_payment_leads_no_buyer_there(
    payment: Payment, account: PaymentInstance, fake: FakeStripe, is_new: bool
) -> None:
    second = making.order_of(making.new_product(payment.tenant))
    opened = Payment.objects.create(
        tenant=payment.tenant,
        order=second,
        instance=account,
        provider="stripe",
        amount_minor=second.total_minor,
        currency=second.currency,
    )
    claimed = {"id": "cs_1"} if is_new else {"client_reference_id": opened.public_id.hex}
    fake.troubles.append(session_with(fake, payment, **claimed))
    with pytest.raises(PaymentAway, match="another payment"):
        begin(second, account)
    assert not opened.references.exists()


def test_nobody_at_the_address_is_away(payment: Payment, settings: Settings) -> None:
    settings.STRIPE_API = "http://127.0.0.1:9"
    assert "APIConnectionError" in away(payment)


def test_the_library_writes_no_questions_into_the_log(
    order: Order, account: PaymentInstance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    begin(order, account)
    assert not [record for record in caplog.records if record.name == "stripe"]


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, django; django.setup(); import billing.orders, billing.payments;"
        "sys.exit('stripe' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path.cwd(), check=False, timeout=60)
    assert done.returncode == 0
