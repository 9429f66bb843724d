"""What the page of an order says once money has gone back, or is wanted back."""

from collections.abc import Callable

import pytest

from billing import orders
from billing.models import Order, Payment
from billing.payments import demo
from billing.scoping import tenant_scope
from tests.portal.buying.buyer import Buyer


@pytest.fixture
def order(buyer: Buyer) -> Order:
    """An order that was paid and delivered."""
    return buyer.bought()


def see_after(buyer: Buyer, order: Order, act: Callable[[Payment], None]) -> str:
    """Let something happen at the provider, and return the page that follows."""
    payment = buyer.payment(order)
    with tenant_scope(order.tenant_id):
        act(payment)
        orders.confirm(payment.pk)
    return buyer.client.get(buyer.path(order), headers={"accept-language": "en"}).text


def test_a_part_that_went_back_is_shown_beside_the_key(buyer: Buyer, order: Order) -> None:
    page = see_after(buyer, order, lambda paid: demo.give_back(paid, amount_minor=200))
    assert "Of that went back" in page
    assert "¥2.00" in page
    assert "/reveal/" in page


def test_a_disputed_order_is_frozen_and_says_so(buyer: Buyer, order: Order) -> None:
    page = see_after(buyer, order, demo.dispute)
    assert "This payment is disputed" in page
    assert "Your key is ready" not in page


def test_a_dispute_that_was_won_brings_the_key_back(buyer: Buyer, order: Order) -> None:
    see_after(buyer, order, demo.dispute)
    page = see_after(buyer, order, demo.win)
    assert "This payment is disputed" not in page
    assert "/reveal/" in page
