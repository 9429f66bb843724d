"""An order that waits for its payment: the provider is asked, browsers are not believed."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.test import RequestFactory
from django.utils import timezone
from pytest_django import Settings

from billing import orders
from billing.models import Delivery, DemoCharge, Order, Payment, PaymentInstance
from billing.orders import links
from billing.payments import demo
from billing.scoping import all_tenants, tenant_scope
from portal import paying
from tests.portal.buying.buyer import KEY, Buyer


@pytest.fixture
def order(buyer: Buyer) -> Order:
    """An order with an open payment."""
    return buyer.order()


def test_the_page_waits_and_says_for_what(buyer: Buyer, order: Order) -> None:
    page = buyer.see(order)
    assert "data-live=" in page
    assert f'href="/pay/demo/{buyer.payment(order).public_id}/"' in page
    assert "¥5.00" in page


def test_the_page_shows_the_key_once_the_provider_has_the_money(buyer: Buyer, order: Order) -> None:
    buyer.pay(order)
    assert "/reveal/" in buyer.see(order)


@pytest.mark.parametrize("query", ["?paid=1", "?status=success&trade_status=TRADE_SUCCESS"])
def test_coming_back_with_a_claim_pays_nothing(buyer: Buyer, order: Order, query: str) -> None:
    assert "data-live=" in buyer.client.get(buyer.path(order) + query).text
    assert buyer.orders()[0].status == Order.PENDING


def test_the_status_is_told_to_the_script(buyer: Buyer, order: Order) -> None:
    asked = f"{buyer.path(order)}status/"
    waiting = {"status": "pending", "delivery": "none", "payment": "pending"}
    assert buyer.client.get(asked).json() == waiting
    buyer.pay(order)
    buyer.confirmed(order)
    paid = {"status": "paid", "delivery": "delivered", "payment": "confirmed"}
    assert buyer.client.get(asked).json() == paid


def test_a_storm_of_looks_asks_the_provider_every_two_seconds(buyer: Buyer, order: Order) -> None:
    asked_at = set()
    for _ in range(40):
        buyer.client.get(f"{buyer.path(order)}status/")
        asked_at.add(buyer.payment(order).checked_at)
    times = sorted(at for at in asked_at if at)
    assert len(times) < 10
    assert all(later - earlier > timedelta(seconds=1.9) for earlier, later in pairwise(times))


def test_a_failed_payment_says_so_and_can_be_tried_again(buyer: Buyer, order: Order) -> None:
    with tenant_scope(order.tenant_id):
        demo.fail(buyer.payment(order))
    assert "data-live=" not in buyer.see(order)
    answer = buyer.do("pay", order, payment=str(buyer.instance.public_id))
    assert answer["location"] == f"/pay/demo/{buyer.payment(order).public_id}/"
    assert buyer.payments(order) == [Payment.FAILED, Payment.PENDING]


def test_another_try_needs_a_way_to_pay_of_this_shop(
    buyer: Buyer, stranger: Buyer, order: Order
) -> None:
    for chosen in (str(stranger.instance.public_id), "nonsense", ""):
        assert buyer.do("pay", order, payment=chosen)["location"] == buyer.path(order)
    assert len(buyer.payments(order)) == 1


def test_a_provider_that_is_away_leaves_the_order_as_it_is(
    buyer: Buyer, order: Order, settings: Settings
) -> None:
    settings.DEMO_PAYMENTS = False
    assert "data-live=" in buyer.see(order)
    assert buyer.orders()[0].status == Order.PENDING


def test_a_payment_that_did_not_open_can_be_tried_again(buyer: Buyer, order: Order) -> None:
    with tenant_scope(order.tenant_id):
        Payment.objects.update(redirect_url="", status=Payment.CREATED)
    assert 'action="' + buyer.path(order) + 'pay/"' in buyer.see(order)
    buyer.do("pay", order, payment=str(buyer.instance.public_id))
    assert buyer.payments(order) == [Payment.PENDING]


def test_a_way_to_pay_that_is_switched_off_meanwhile_leads_to_the_order(
    buyer: Buyer, order: Order
) -> None:
    request = RequestFactory(headers={"host": buyer.shop.host}).post("/")
    with tenant_scope(order.tenant_id):
        PaymentInstance.objects.update(is_enabled=False)
        assert paying.start(request, order, buyer.instance).url == links.path_of(order)


def test_who_pays_the_first_try_after_beginning_another_gets_the_key(
    buyer: Buyer, order: Order
) -> None:
    first = buyer.payment(order)
    with tenant_scope(order.tenant_id):
        other = PaymentInstance.objects.create(tenant=buyer.shop.tenant, provider="demo")
    buyer.do("pay", order, payment=str(other.public_id))
    assert buyer.payments(order) == [Payment.PENDING] * 2
    with tenant_scope(order.tenant_id):
        demo.pay(first)
    assert "/reveal/" in buyer.see(order)


def test_after_a_while_the_page_says_that_it_still_waits(buyer: Buyer, order: Order) -> None:
    with tenant_scope(order.tenant_id):
        Payment.objects.update(created_at=timezone.now() - timedelta(minutes=4))
    page = buyer.client.get(buyer.path(order), headers={"accept-language": "en"}).text
    assert "Waiting for 4 minutes" in page


def test_an_expired_order_says_that_nothing_was_charged(buyer: Buyer, order: Order) -> None:
    expire(order)
    page = buyer.client.get(buyer.path(order), headers={"accept-language": "en"}).text
    assert "This order has expired" in page
    assert f'href="/buy/{buyer.product.slug}/"' in page


def test_an_expired_order_that_is_paid_late_is_delivered(buyer: Buyer, order: Order) -> None:
    expire(order)
    buyer.pay(order)
    assert "/reveal/" in buyer.see(order)
    assert KEY.fullmatch(buyer.reveal(order))


def test_an_expired_order_takes_no_new_payment(buyer: Buyer, order: Order) -> None:
    expire(order)
    answer = buyer.do("pay", order, payment=str(buyer.instance.public_id))
    assert answer["location"] == buyer.path(order)
    assert buyer.payments(order) == [Payment.EXPIRED]


def test_a_paid_order_takes_no_new_payment(buyer: Buyer, order: Order) -> None:
    buyer.pay(order)
    buyer.confirmed(order)
    answer = buyer.do("pay", order, payment=str(buyer.instance.public_id))
    assert answer["location"] == buyer.path(order)
    assert buyer.payments(order) == [Payment.CONFIRMED]


def test_a_payment_of_another_sum_is_left_to_a_person(buyer: Buyer, order: Order) -> None:
    buyer.pay(order)
    with tenant_scope(order.tenant_id):
        DemoCharge.objects.update(amount_minor=1)
    page = buyer.client.get(buyer.path(order), headers={"accept-language": "en"}).text
    assert "Your payment is being checked" in page
    with all_tenants():
        assert not Delivery.objects.exists()


def test_a_cancelled_order_says_so(buyer: Buyer, order: Order) -> None:
    with tenant_scope(order.tenant_id):
        orders.cancel(order)
    page = buyer.client.get(buyer.path(order), headers={"accept-language": "en"}).text
    assert "This order was cancelled" in page


def test_a_refunded_order_says_so(buyer: Buyer) -> None:
    order = buyer.bought()
    with tenant_scope(order.tenant_id):
        Order.objects.update(status=Order.REFUNDED)
    page = buyer.client.get(buyer.path(order), headers={"accept-language": "en"}).text
    assert "This order was refunded" in page
    assert "/reveal/" not in page


def expire(order: Order) -> None:
    """Let the time of an order pass, and the job see it."""
    with all_tenants():
        Order.objects.filter(pk=order.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
        assert orders.expire_unpaid() == 1
