"""From the checkout to a gateway elsewhere, and what the gateway says at an account's address."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from django.test import Client

from billing import orders
from billing.models import Order, PaymentInstance
from billing.scoping import tenant_scope
from tests.billing.payments.epay import accounts
from tests.cast import Shop
from tests.fakes.epay import FakeEpay, Placed
from tests.portal.buying.buyer import Buyer
from tests.portal.buying.notifying import events, send, state, target, tell


def test_a_form_leads_to_a_page_of_ours_that_leads_to_the_gateway(
    buyer: Buyer, account: PaymentInstance, gateway: FakeEpay
) -> None:
    path = send(buyer, account)
    page = buyer.client.get(path)
    assert path.endswith("/pay/")
    assert "form-action 'self'" in page["content-security-policy"]
    assert target(path, buyer).startswith(f"{gateway.url}submit.php?")
    assert "127.0.0.1" in page.text
    assert "k3y" not in page.text


def test_a_page_that_leads_nowhere_any_more_is_the_order(buyer: Buyer) -> None:
    order = buyer.order()
    assert buyer.client.get(f"{buyer.path(order)}pay/")["location"] == buyer.path(order)


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_paid_is_delivered_when_the_gateway_says_so(
    buyer: Buyer, gateway: FakeEpay, placed: Placed, method: str
) -> None:
    gateway.pay(placed.out_trade_no)
    answers = [
        tell(buyer.client, placed, gateway.notification(placed), method=method) for _ in range(3)
    ]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "success")] * 3
    assert state(buyer) == ("paid", "delivered", ["confirmed"])
    assert events(buyer) == [True]


def test_a_notification_before_the_money_is_asked_for_again(
    buyer: Buyer, gateway: FakeEpay, placed: Placed
) -> None:
    early = tell(buyer.client, placed, gateway.notification(placed))
    assert (early.status_code, early["retry-after"]) == (503, "30")
    assert (state(buyer)[0], events(buyer)) == ("pending", [False])
    gateway.pay(placed.out_trade_no)
    assert tell(buyer.client, placed, gateway.notification(placed)).text == "success"
    assert (state(buyer)[0], events(buyer)) == ("paid", [True])


@pytest.mark.parametrize("key", ["", "guessed"])
def test_a_forged_notification_is_refused_and_not_kept(
    buyer: Buyer, gateway: FakeEpay, placed: Placed, key: str
) -> None:
    gateway.pay(placed.out_trade_no)
    answer = tell(buyer.client, placed, gateway.notification(placed, forged_with=key))
    assert (answer.status_code, answer.text) == (400, "refused")
    assert (state(buyer)[0], events(buyer)) == ("pending", [])


def test_what_is_paid_less_waits_for_a_person(
    buyer: Buyer, gateway: FakeEpay, placed: Placed
) -> None:
    gateway.pay(placed.out_trade_no, money="0.01")
    assert tell(buyer.client, placed, gateway.notification(placed)).text == "success"
    assert state(buyer) == ("pending", "review", ["review"])


def test_a_genuine_word_about_nothing_of_ours_changes_nothing(
    buyer: Buyer, gateway: FakeEpay, placed: Placed
) -> None:
    told = gateway.notification(placed, out_trade_no="0" * 32)
    assert tell(buyer.client, placed, told).text == "success"
    assert (state(buyer)[0], events(buyer)) == ("pending", [True])


def test_an_account_of_one_shop_is_unknown_at_another(
    gateway: FakeEpay, placed: Placed, south: Shop, browser: Callable[..., Client]
) -> None:
    told = gateway.notification(placed)
    assert tell(browser(south.host), placed, told).status_code == 404


def test_a_second_account_can_not_speak_for_the_first(
    buyer: Buyer, gateway: FakeEpay, placed: Placed
) -> None:
    gateway.open_account("2002", key="other")
    with tenant_scope(buyer.shop.tenant.pk):
        secrets = accounts.v1_secrets(gateway, pid="2002", key="other")
        second = accounts.new_instance(buyer.shop.tenant, secrets)
    gateway.pay(placed.out_trade_no)
    told = gateway.notification(placed, forged_with="other", pid="2002")
    answer = buyer.client.get(f"/pay/{second.public_id}/notify/", told)
    assert answer.text == "success"
    assert state(buyer)[0] == "pending"


def test_the_return_of_a_browser_books_nothing_by_itself(
    buyer: Buyer, gateway: FakeEpay, placed: Placed
) -> None:
    back = urlsplit(str(placed.asked["return_url"])).path
    assert buyer.client.get(back, gateway.notification(placed), follow=True).status_code == 200
    assert state(buyer)[0] == "pending"


def test_an_account_that_is_switched_off_is_still_heard(
    buyer: Buyer, gateway: FakeEpay, account: PaymentInstance, placed: Placed
) -> None:
    with tenant_scope(buyer.shop.tenant.pk):
        PaymentInstance.objects.filter(pk=account.pk).update(is_enabled=False)
    gateway.pay(placed.out_trade_no)
    assert tell(buyer.client, placed, gateway.notification(placed)).text == "success"
    assert state(buyer)[0] == "paid"


def test_a_late_payment_of_an_expired_order_is_delivered(
    buyer: Buyer, gateway: FakeEpay, placed: Placed
) -> None:
    [order] = buyer.orders()
    with tenant_scope(buyer.shop.tenant.pk):
        orders.expire_unpaid(order.expires_at)
        assert Order.objects.get().status == "expired"
    gateway.pay(placed.out_trade_no)
    assert tell(buyer.client, placed, gateway.notification(placed)).text == "success"
    assert state(buyer)[:2] == ("paid", "delivered")
