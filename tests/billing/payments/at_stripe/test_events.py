"""Events of Stripe: what is genuine, and whose payment it is about."""

import time
from dataclasses import replace
from typing import Any

import pytest
from stripe import WebhookSignature

from billing import orders
from billing.errors import CallbackRefused, NotFound
from billing.models import Delivery, Payment, PaymentEvent, PaymentInstance, Tenant
from billing.payments import Callback
from billing.payments.base import Heard
from billing.payments.stripe import StripeProvider
from billing.payments.stripe_events import verify
from billing.scoping import tenant_scope
from tests.billing.orders import making as selling
from tests.billing.payments.at_stripe.making import (
    SECRET,
    completed,
    new_account,
    session_of,
    told,
)
from tests.fakes.stripe import Event, FakeStripe, Json, signed


@pytest.fixture
def session(payment: Payment, fake: FakeStripe) -> Json:
    """A session that was paid."""
    return fake.pay(session_of(payment))


def hear(account: PaymentInstance, event: Event) -> Heard:
    return StripeProvider().hear(account, told(event))


def about(fake: FakeStripe, kind: str, **subject: Any) -> Event:
    return fake.event(kind, subject, secret=SECRET)


def refuses(account: PaymentInstance, callback: Callback) -> bool:
    with pytest.raises(CallbackRefused) as refused:
        StripeProvider().hear(account, callback)
    return "whsec" not in str(refused.value)


def test_a_genuine_event_names_our_payment(
    account: PaymentInstance, payment: Payment, session: Json, fake: FakeStripe
) -> None:
    heard = hear(account, completed(fake, session, event_id="evt_1"))
    assert heard == Heard("evt_1", "checkout.session.completed", payment.public_id, says_paid=True)


def test_a_signature_by_stripes_own_library_is_genuine(
    account: PaymentInstance, session: Json, fake: FakeStripe
) -> None:
    body = completed(fake, session).body
    header = WebhookSignature.generate_signature_header(body.decode(), SECRET)
    assert hear(account, Event(body, {"stripe-signature": header}))


def test_one_of_two_signatures_is_enough(
    account: PaymentInstance, session: Json, fake: FakeStripe
) -> None:
    event = completed(fake, session)
    moment, _, mac = event.headers["stripe-signature"].partition(",")
    header = f"{moment},v1={'0' * 64}, {mac},v0=old"
    assert hear(account, Event(event.body, {"stripe-signature": header}))


@pytest.mark.parametrize("secret", ["", " ", "whsec_of_south", SECRET[:-1], f"{SECRET} "])
def test_another_secret_is_refused(
    account: PaymentInstance, session: Json, fake: FakeStripe, secret: str
) -> None:
    assert refuses(account, told(completed(fake, session, secret=secret)))


@pytest.mark.parametrize("own", ["", "  "])
@pytest.mark.parametrize("used", ["", "  ", SECRET])
def test_an_account_without_a_secret_believes_nobody(
    shop: Tenant, session: Json, fake: FakeStripe, own: str, used: str
) -> None:
    account = new_account(shop, webhook_secret=own)
    event = completed(fake, session, secret=used)
    assert refuses(account, told(event))
    with pytest.raises(NotFound):
        orders.hear(account.public_id, told(event))


def test_an_empty_secret_never_verifies(session: Json, fake: FakeStripe) -> None:
    with pytest.raises(CallbackRefused, match="no secret"):
        verify(told(completed(fake, session, secret="")), "")


@pytest.mark.parametrize("age_s", [301, 100_000, -320, -100_000])
def test_another_time_is_refused(
    account: PaymentInstance, session: Json, fake: FakeStripe, age_s: int
) -> None:
    signed_at = int(time.time()) - age_s
    assert refuses(account, told(completed(fake, session, signed_at=signed_at)))


def test_an_event_that_is_replayed_in_time_is_noted_once(
    account: PaymentInstance, payment: Payment, session: Json, fake: FakeStripe
) -> None:
    event = completed(fake, session, signed_at=int(time.time()) - 200)
    for _ in range(3):
        orders.hear(account.public_id, told(event))
    assert PaymentEvent.objects.count() == Delivery.objects.count() == 1


def test_a_moment_ago_is_in_time(account: PaymentInstance, session: Json, fake: FakeStripe) -> None:
    assert hear(account, completed(fake, session, signed_at=int(time.time()) - 290))


def test_any_changed_byte_is_refused(
    account: PaymentInstance, session: Json, fake: FakeStripe
) -> None:
    callback = told(completed(fake, session))
    for place in range(0, len(callback.body), 7):
        body = bytearray(callback.body)
        body[place] ^= 1
        assert refuses(account, replace(callback, body=bytes(body)))
    assert refuses(account, replace(callback, body=callback.body + b" "))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v1={mac}",
        "t={moment}",
        "t={moment},v0={mac}",
        "t={moment},v1=",
        "t={moment},v1=é",
        "t=,v1={mac}",
        "t=-{moment},v1={mac}",
        "t=٣,v1={mac}",
        "t={moment}0,v1={mac}",
        "t={moment},t={moment},v1={mac}",
        "t={moment},v1={mac}" + "," * 3_000,
    ],
)
def test_an_odd_signature_is_refused(
    account: PaymentInstance, session: Json, fake: FakeStripe, header: str
) -> None:
    callback = told(completed(fake, session))
    moment, mac = callback.headers["stripe-signature"][2:].split(",v1=")
    odd = header.format(moment=moment, mac=mac)
    assert refuses(account, replace(callback, headers={"stripe-signature": odd}))


def test_a_callback_without_a_signature_is_refused(
    account: PaymentInstance, session: Json, fake: FakeStripe
) -> None:
    callback = told(completed(fake, session))
    assert refuses(account, replace(callback, headers={}))
    assert refuses(account, replace(callback, method="GET"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * 300_000,
        b'{"object": "event", "id": "evt_1", "livemode": false}',
        b'{"object": "event", "type": "x", "livemode": false}',
        b'{"object": "event", "type": "x", "id": 7, "livemode": false}',
        b'{"object": "event", "type": "x", "id": "evt_1"}',
        b'{"object": "event", "type": "x", "id": "evt_1", "livemode": true}',
        b'{"object": "v2.core.event", "type": "x", "id": "evt_1", "livemode": false}',
    ],
)
def test_what_is_signed_and_no_event_of_this_mode_is_refused(
    account: PaymentInstance, body: bytes
) -> None:
    assert refuses(account, told(signed(body, secret=SECRET)))


def test_a_live_account_hears_live_events_only(
    shop: Tenant, session: Json, fake: FakeStripe
) -> None:
    account = new_account(shop, api_key="rk_live_north")
    assert hear(account, completed(fake, session, is_live=True))
    assert refuses(account, told(completed(fake, session)))


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("completed", "paid", True),
        ("completed", "unpaid", False),
        ("async_payment_succeeded", "paid", True),
        ("async_payment_failed", "unpaid", False),
        ("expired", "unpaid", False),
    ],
)
def test_only_money_that_is_there_is_called_paid(
    account: PaymentInstance,
    session: Json,
    fake: FakeStripe,
    kind: str,
    status: str,
    expected: bool,
) -> None:
    subject = {**session, "payment_status": status}
    event = fake.event(f"checkout.session.{kind}", subject, secret=SECRET)
    assert hear(account, event).says_paid is expected


def test_events_about_charges_name_the_payment_by_their_metadata(
    account: PaymentInstance, payment: Payment, session: Json, fake: FakeStripe
) -> None:
    charge = about(fake, "charge.refunded", metadata=session["metadata"])
    assert hear(account, charge).payment == payment.public_id
    assert not hear(account, charge).says_paid


@pytest.mark.parametrize("kind", ["refund.created", "refund.failed", "charge.dispute.created"])
def test_events_without_metadata_name_the_payment_by_its_intent(
    account: PaymentInstance, payment: Payment, fake: FakeStripe, kind: str
) -> None:
    heard = hear(account, about(fake, kind, payment_intent="pi_7", charge="ch_7", metadata={}))
    assert (heard.payment, heard.reference, heard.says_paid) == (None, "pi_7", False)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"charge": "ch_7"}, "ch_7"),
        ({"charge": "ch_7", "payment_intent": None}, "ch_7"),
        ({"charge": 7, "payment_intent": {"id": "pi_7"}}, ""),
        ({"payment_intent": "p" * 129}, ""),
        ({"payment_intent": ""}, ""),
        ({}, ""),
    ],
)
def test_what_names_no_payment_is_not_taken_for_a_name(
    account: PaymentInstance, fake: FakeStripe, subject: Json, expected: str
) -> None:
    assert hear(account, about(fake, "charge.dispute.created", **subject)).reference == expected


@pytest.mark.parametrize("kind", ["charge.refunded", "charge.dispute.created", "refund.updated"])
def test_events_about_nothing_of_ours_are_heard_and_change_nothing(
    account: PaymentInstance, payment: Payment, fake: FakeStripe, kind: str
) -> None:
    fake.requests.clear()
    event = about(fake, kind, payment_intent="pi_of_other_business", metadata={})
    assert orders.hear(account.public_id, told(event)) == ""
    assert account.events.get().handled_at is not None
    assert not fake.requests


@pytest.mark.parametrize(
    "subject",
    [
        {},
        {"metadata": None},
        {"metadata": {"payment": 7}},
        {"metadata": {"payment": "of somebody else"}},
        {"client_reference_id": "customer-7"},
        {"client_reference_id": "0" * 33},
    ],
)
def test_events_about_other_business_of_the_account_are_about_no_payment(
    account: PaymentInstance, fake: FakeStripe, subject: Json
) -> None:
    for kind in ("charge.refunded", "checkout.session.completed"):
        assert hear(account, about(fake, kind, **subject)).payment is None


def test_events_come_in_any_order_and_often(
    account: PaymentInstance, payment: Payment, session: Json, fake: FakeStripe
) -> None:
    kinds = ("async_payment_succeeded", "completed", "expired")
    events = [about(fake, f"checkout.session.{kind}", **session) for kind in kinds]
    for event in (*events, *reversed(events)):
        orders.hear(account.public_id, told(event))
    assert PaymentEvent.objects.filter(handled_at__isnull=False).count() == 3
    assert Delivery.objects.count() == 1


def test_an_event_of_one_account_can_not_confirm_a_payment_of_another(
    payment: Payment, session: Json, fake: FakeStripe
) -> None:
    other = selling.open_shop("south")
    with tenant_scope(other.pk):
        account = new_account(other, webhook_secret="whsec_of_south")
        event = completed(fake, session, secret="whsec_of_south")
        assert orders.hear(account.public_id, told(event)) == ""
        assert account.events.get().payment is None
    payment.refresh_from_db()
    assert payment.status == "pending"
