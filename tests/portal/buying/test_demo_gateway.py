"""The demo payment page: its buttons do what they say to the provider's books, and nothing else."""

import pytest
from django.test import Client
from pytest_django import Settings

from billing.models import DemoCharge, Order
from billing.scoping import tenant_scope
from tests.portal.buying.buyer import Buyer
from tests.security.books import rows_written


@pytest.fixture
def order(buyer: Buyer) -> Order:
    """An order with an open payment."""
    return buyer.order()


def page_of(buyer: Buyer, order: Order) -> str:
    """Return the address of the payment page."""
    return f"/pay/demo/{buyer.payment(order).public_id}/"


def test_it_says_what_is_to_be_paid_and_changes_nothing(buyer: Buyer, order: Order) -> None:
    address = page_of(buyer, order)
    before = rows_written()
    page = buyer.client.get(address).text
    assert "¥5.00" in page
    assert order.number in page
    assert rows_written() == before


@pytest.mark.parametrize(("deed", "status"), [("pay", "paid"), ("fail", "failed")])
def test_a_button_writes_the_providers_books_alone(
    buyer: Buyer, order: Order, deed: str, status: str
) -> None:
    answer = buyer.client.post(page_of(buyer, order), {"deed": deed})
    back = f"/pay/{buyer.payment(order).public_id}/return/"
    assert (answer.status_code, answer["location"]) == (303, back)
    with tenant_scope(order.tenant_id):
        assert DemoCharge.objects.get().status == status
    assert buyer.orders()[0].status == Order.PENDING


def test_later_is_in_a_minute(buyer: Buyer, order: Order) -> None:
    buyer.client.post(page_of(buyer, order), {"deed": "later"})
    with tenant_scope(order.tenant_id):
        charge = DemoCharge.objects.get()
    assert charge.status == DemoCharge.OPEN
    assert charge.pays_at is not None


def test_an_unknown_button_does_nothing(buyer: Buyer, order: Order) -> None:
    assert buyer.client.post(page_of(buyer, order), {"deed": "steal"}).status_code == 200
    with tenant_scope(order.tenant_id):
        assert DemoCharge.objects.get().status == DemoCharge.OPEN


def test_what_was_paid_can_not_be_paid_again(buyer: Buyer, order: Order) -> None:
    buyer.pay(order)
    buyer.confirmed(order)
    assert 'value="pay"' not in buyer.client.get(page_of(buyer, order)).text


def test_a_bank_may_take_back_what_was_paid(buyer: Buyer, order: Order) -> None:
    buyer.pay(order)
    buyer.confirmed(order)
    for deed in ("dispute", "win"):
        assert f'value="{deed}"' in buyer.client.get(page_of(buyer, order)).text
        buyer.client.post(page_of(buyer, order), {"deed": deed})
    with tenant_scope(order.tenant_id):
        assert DemoCharge.objects.get().dispute == "won"


def test_it_is_not_there_where_demo_payments_are_off(
    buyer: Buyer, order: Order, settings: Settings
) -> None:
    settings.DEMO_PAYMENTS = False
    assert buyer.client.get(page_of(buyer, order)).status_code == 404
    assert buyer.client.post(page_of(buyer, order), {"deed": "pay"}).status_code == 404


def test_a_payment_of_another_shop_is_not_there(
    buyer: Buyer, stranger: Buyer, order: Order
) -> None:
    address = page_of(buyer, order)
    assert stranger.client.get(address).status_code == 404
    assert stranger.client.post(address, {"deed": "pay"}).status_code == 404
    with tenant_scope(order.tenant_id):
        assert DemoCharge.objects.get().status == DemoCharge.OPEN


def test_a_button_of_another_site_is_refused(buyer: Buyer, order: Order) -> None:
    careful = Client(headers={"host": buyer.shop.host}, enforce_csrf_checks=True)
    assert careful.post(page_of(buyer, order), {"deed": "pay"}).status_code == 403
