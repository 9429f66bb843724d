"""Bugs that shops like ours have had, each tried on ours under its own name.

What is tried here goes through the pages, as it would come from outside.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from django.test import Client

from billing import orders
from billing.models import Delivery, Order, PaymentInstance, Tenant, Transfer
from billing.payments import demo
from billing.scoping import tenant_scope
from portal.tasks import mail_order_link
from tests.billing.orders import making
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


def test_a_double_delivery_by_two_concurrent_callbacks(busy_shop: Tenant) -> None:
    payment = making.begin(making.order_of(making.new_product(busy_shop)))
    demo.pay(payment)
    start = threading.Barrier(8)

    def call_back(_caller: int) -> str:
        start.wait()
        with tenant_scope(busy_shop.pk):
            return orders.confirm(payment.pk).status

    with ThreadPoolExecutor(8) as callers:
        assert set(callers.map(call_back, range(8))) == {"confirmed"}
    assert (Delivery.objects.count(), Transfer.objects.count()) == (1, 1)


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


def test_an_expiry_racing_with_the_payment(busy_shop: Tenant) -> None:
    order = making.order_of(making.new_product(busy_shop))
    payment = making.begin(order)
    demo.pay(payment)
    start = threading.Barrier(2)

    def expire() -> None:
        start.wait()
        with tenant_scope(busy_shop.pk):
            orders.expire_unpaid(order.expires_at)

    def confirm() -> None:
        start.wait()
        with tenant_scope(busy_shop.pk):
            orders.confirm(payment.pk)

    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(expire), both.submit(confirm)]:
            done.result()
    order.refresh_from_db()
    assert (order.status, order.delivery_status) == (Order.PAID, Order.DELIVERED)
