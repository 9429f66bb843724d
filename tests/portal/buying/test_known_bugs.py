"""Bugs that shops like ours have had, each tried on ours under its own name.

What is tried here goes through the pages, as it would come from outside. Double delivery, expiry
racing with payment, coupons and codes used twice, and refund after spend stand with the services,
in tests/billing/orders.
"""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.test import Client

from billing.models import PaymentInstance
from billing.scoping import tenant_scope
from portal.tasks import mail_order_link
from tests.billing.payments.at_stripe.making import SECRET, new_account
from tests.cast import Shop
from tests.fakes.epay import Canned, FakeEpay, Placed
from tests.fakes.stripe import signed
from tests.portal.buying.buyer import EMAIL, KEY, Answer, Buyer
from tests.portal.buying.notifying import FORM, events, state, tell

SESSION_PAID = (
    '{"id": "evt_1", "object": "event", "type": "checkout.session.completed", "livemode": false,'
    ' "data": {"object": {"payment_status": "paid", "client_reference_id": "%s"}}}'
)


def say_at_stripe(
    buyer: Buyer, account: PaymentInstance, payment: object, *, secret: str
) -> Answer:
    """Tell the shop, at its account at Stripe, that a payment was made."""
    event = signed((SESSION_PAID % payment).encode(), secret=secret)
    return buyer.client.post(
        f"/pay/{account.public_id}/notify/",
        event.body,
        content_type="application/json",
        headers=event.headers,
    )


def stripe_account(buyer: Buyer, **secrets: str) -> PaymentInstance:
    with tenant_scope(buyer.shop.tenant.pk):
        return new_account(buyer.shop.tenant, **secrets)


def test_an_empty_webhook_secret_accepted(buyer: Buyer, placed: Placed) -> None:
    unset, usual = stripe_account(buyer, webhook_secret=""), stripe_account(buyer)
    answers = [
        say_at_stripe(buyer, account, placed.out_trade_no, secret="").status_code
        for account in (unset, usual)
    ]
    assert answers == [404, 400]
    assert events(buyer) == []


def test_an_order_of_provider_a_confirmed_through_the_webhook_of_b(
    buyer: Buyer, placed: Placed
) -> None:
    answer = say_at_stripe(buyer, stripe_account(buyer), placed.out_trade_no, secret=SECRET)
    assert answer.status_code == 200
    assert state(buyer)[0] == "pending"


def test_the_order_number_taken_from_the_url_instead_of_the_signed_body(
    buyer: Buyer, account: PaymentInstance, gateway: FakeEpay, placed: Placed
) -> None:
    told = urlencode(gateway.notification(placed, out_trade_no="0" * 32))
    address = f"/pay/{account.public_id}/notify/?out_trade_no={placed.out_trade_no}"
    gateway.pay(placed.out_trade_no)
    assert buyer.client.post(address, told, content_type=FORM).status_code == 400
    assert state(buyer)[0] == "pending"


@pytest.mark.parametrize("field", ["money[]", "money[0]", "out_trade_no[]"])
def test_an_amount_list_parsed_as_one(
    buyer: Buyer, gateway: FakeEpay, placed: Placed, field: str
) -> None:
    told = gateway.notification(placed) | {field: "x"}
    assert tell(buyer.client, placed, told).status_code == 400
    assert state(buyer)[0] == "pending"


def test_a_paid_amount_never_compared(buyer: Buyer, gateway: FakeEpay, placed: Placed) -> None:
    gateway.pay(placed.out_trade_no, money="0.01")
    told = gateway.notification(placed, money="5.00")
    assert tell(buyer.client, placed, told).text == "success"
    assert state(buyer) == ("pending", "review", ["review"])


def test_fulfilment_on_the_browsers_return(buyer: Buyer, gateway: FakeEpay, placed: Placed) -> None:
    back = str(placed.asked["return_url"]).removeprefix("http://north.example")
    buyer.client.get(back, gateway.notification(placed), follow=True)
    assert state(buyer)[:2] == ("pending", "none")


def test_success_answered_before_the_credit(
    buyer: Buyer, gateway: FakeEpay, placed: Placed
) -> None:
    gateway.pay(placed.out_trade_no)
    gateway.instead = Canned(b"gateway time-out")
    answer = tell(buyer.client, placed, gateway.notification(placed))
    assert (answer.status_code, "success" in answer.text) == (503, False)
    assert events(buyer) == [False]


def test_a_duplicate_callback_answered_as_an_error(
    buyer: Buyer, gateway: FakeEpay, placed: Placed
) -> None:
    gateway.pay(placed.out_trade_no)
    told = gateway.notification(placed)
    assert [tell(buyer.client, placed, told).text for _ in range(3)] == ["success"] * 3


def test_keys_revealed_by_e_mail_alone(buyer: Buyer) -> None:
    order = buyer.bought()
    form = {"number": order.number, "email": EMAIL}
    page = buyer.client.post("/orders/", form, follow=True)
    assert not KEY.search(page.text)
    assert buyer.path(order) not in page.text
    assert not mail_order_link(tenant_id=order.tenant_id, number="", mailbox=order.mailbox_hash)


@pytest.mark.usefixtures("fresh_throttles")
def test_trust_in_x_forwarded_for(buyer: Buyer) -> None:
    form = {"number": "NO-0000-AAAAAA", "email": EMAIL}
    statuses = [
        buyer.client.post(
            "/orders/", form, headers={"x-forwarded-for": f"203.0.113.{n}"}
        ).status_code
        for n in range(21)
    ]
    assert statuses[-1] == 429


@pytest.mark.parametrize("change", [{"trade_status": "TRADE_CLOSED"}, {"pid": "1002"}])
def test_the_trade_status_or_the_pid_unchecked(
    buyer: Buyer, gateway: FakeEpay, placed: Placed, change: dict[str, str]
) -> None:
    gateway.pay(placed.out_trade_no)
    told = gateway.notification(placed, **change)
    assert tell(buyer.client, placed, told).status_code == 400
    assert state(buyer)[0] == "pending"


def test_a_key_in_a_query_string(north: Shop, browser: Callable[..., Client]) -> None:
    visitor = browser(north.host)
    visitor.get("/usage/", {"key": north.plaintext})
    assert visitor.get("/usage/key/")["location"] == "/usage/?ended=1"
    assert visitor.get("/api/v1/key", {"key": north.plaintext}).status_code == 401
