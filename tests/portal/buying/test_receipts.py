"""Receipts to print: behind an order's link, and by the key on the usage page."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from billing import codes, orders
from billing.ledger import transfers
from billing.models import Order, Receipt, Refund, Tenant, Wallet
from billing.orders import receipts as papers
from billing.scoping import tenant_scope
from tests.portal.buying.buyer import EMAIL, Buyer

ENGLISH = {"accept-language": "en"}


def receipt_of(buyer: Buyer, order: Order) -> Receipt:
    """Return the receipt of what was paid."""
    with tenant_scope(buyer.shop.tenant.pk):
        return papers.issue(order.payments.get())


def give_back(buyer: Buyer, order: Order, amount_minor: int) -> Receipt:
    """Give money back for an order and take base tokens back; return the counter-receipt."""
    first = receipt_of(buyer, order)
    with tenant_scope(buyer.shop.tenant.pk):
        refund = Refund.objects.create(
            tenant_id=order.tenant_id, payment=first.payment, amount_minor=amount_minor
        )
        delivery = buyer.delivery(order)
        transfers.debit(
            wallet_id=delivery.wallet_id,
            kind="refund",
            amount_ubt=1_000_000,
            source="refund",
            source_id=f"{delivery.transfer_id}:{refund.public_id}",
        )
        counter = papers.counter(first, amount_minor, refund=refund)
    assert counter
    return counter


def words(answer: Any) -> str:
    """Return what is read on a page."""
    assert answer.status_code == 200
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def read(buyer: Buyer, order: Order, receipt: Receipt) -> str:
    """Return what a receipt says behind the link of an order."""
    return words(
        buyer.client.get(f"{buyer.path(order)}receipts/{receipt.number}/", headers=ENGLISH)
    )


@pytest.fixture
def visitor(buyer: Buyer, browser: Callable[..., Client]) -> Client:
    """Someone who has shown the shop's key, which the shop has given away."""
    visitor = browser(buyer.shop.host)
    visitor.post("/usage/", {"key": buyer.shop.plaintext})
    return visitor


def topped_up(buyer: Buyer) -> Order:
    """Buy more for the shop's key."""
    return buyer.bought(key_id=buyer.shop.key.pk)


def test_a_receipt_says_who_sold_what_to_whom_for_how_much(buyer: Buyer) -> None:
    seller = "North Ltd.\n1 High Street\nTax number 42"
    Tenant.objects.filter(pk=buyer.shop.tenant.pk).update(seller=seller)
    order = buyer.bought(quantity=2)
    receipt = receipt_of(buyer, order)
    said = read(buyer, order, receipt)
    for part in (receipt.number, "Tax number 42", EMAIL, order.number, "not a tax invoice"):
        assert part in said
    assert "new key, never expires 2 × ¥5.00 2 ¥5.00 ¥10.00" in said
    assert f"{receipt.created_at.year}-" in said
    assert "(UTC+08:00)" in said


def test_what_was_taken_off_stands_on_the_receipt(buyer: Buyer) -> None:
    order = buyer.bought()
    with tenant_scope(order.tenant_id):
        Order.objects.filter(pk=order.pk).update(discount_minor=50)
    assert "Discount −¥0.50" in read(buyer, order, receipt_of(buyer, order))


def test_a_counter_receipt_and_what_it_cancels_name_each_other(buyer: Buyer) -> None:
    order = buyer.bought()
    first = receipt_of(buyer, order)
    counter = give_back(buyer, order, 200)
    said = read(buyer, order, counter)
    assert f"Takes back ¥2.00 of receipt {first.number}, which was for ¥5.00." in said
    assert f"¥2.00 of it went back: counter-receipt {counter.number}" in read(buyer, order, first)


def test_a_receipt_of_which_nothing_is_left_is_cancelled(buyer: Buyer) -> None:
    order = buyer.bought()
    give_back(buyer, order, 500)
    said = read(buyer, order, receipt_of(buyer, order))
    assert "This receipt is cancelled, all of it" in said


def test_an_order_links_its_receipts_and_the_agreement(buyer: Buyer) -> None:
    order = buyer.bought()
    page = buyer.see(order)
    assert f'href="{buyer.path(order)}receipts/{receipt_of(buyer, order).number}/"' in page
    assert 'href="/agreement/versions/2026-05-01/"' in page


def test_an_orders_link_opens_no_other_orders_receipt(buyer: Buyer) -> None:
    mine, other = buyer.bought(), buyer.bought()
    number = receipt_of(buyer, other).number
    assert buyer.client.get(f"{buyer.path(mine)}receipts/{number}/").status_code == 404


def test_no_cache_keeps_a_receipt(buyer: Buyer) -> None:
    order = buyer.bought()
    path = f"{buyer.path(order)}receipts/{receipt_of(buyer, order).number}/"
    assert buyer.client.get(path)["cache-control"] == "private, no-store"


def test_the_usage_page_has_the_papers_of_sales_and_returns(buyer: Buyer, visitor: Client) -> None:
    order = topped_up(buyer)
    counter = give_back(buyer, order, 200)
    page = visitor.get("/usage/key/", headers=ENGLISH)
    assert "¥5.00" in words(page)
    assert "−¥2.00" in words(page)
    for receipt in (receipt_of(buyer, order), counter):
        assert f'href="/usage/key/receipts/{receipt.number}/"' in page.text


def test_a_redeemed_code_is_called_one_and_has_no_receipt(buyer: Buyer, visitor: Client) -> None:
    with tenant_scope(buyer.shop.tenant.pk):
        (code,) = codes.export(codes.make_batch(buyer.product, count=1, actor="x"), actor="x")
        orders.redeem(
            tenant_id=buyer.shop.tenant.pk,
            checkout_id=uuid4(),
            code=code,
            email=EMAIL,
            agreement_version="1",
            language="en",
            key_id=buyer.shop.key.pk,
        )
    page = words(visitor.get("/usage/key/", headers=ENGLISH))
    assert "Code redeemed" in page
    assert "Receipt" not in page


def test_a_key_opens_the_receipt_with_the_address_masked(buyer: Buyer, visitor: Client) -> None:
    receipt = receipt_of(buyer, topped_up(buyer))
    said = words(visitor.get(f"/usage/key/receipts/{receipt.number}/", headers=ENGLISH))
    assert receipt.number in said
    assert "l***u@example.com" in said
    assert EMAIL not in said


def test_the_order_of_a_top_up_tells_who_holds_the_key_no_address(
    buyer: Buyer, visitor: Client
) -> None:
    order = topped_up(buyer)
    assert buyer.path(order) in visitor.get("/usage/key/").text
    assert "l***u@example.com" in read(buyer, order, receipt_of(buyer, order))


def test_a_key_opens_no_receipt_of_another_wallet(buyer: Buyer, visitor: Client) -> None:
    number = receipt_of(buyer, buyer.bought()).number
    assert visitor.get(f"/usage/key/receipts/{number}/").status_code == 404


def test_one_key_of_several_does_not_tell_what_all_have_cost(
    buyer: Buyer, browser: Callable[..., Client]
) -> None:
    order = buyer.bought(quantity=2)
    receipt = receipt_of(buyer, order)
    visitor = browser(buyer.shop.host)
    assert visitor.post("/usage/", {"key": buyer.reveal(order)}).status_code == 303
    assert visitor.get(f"/usage/key/receipts/{receipt.number}/").status_code == 404
    assert receipt.number not in visitor.get("/usage/key/").text


def test_a_key_of_an_accounts_wallet_opens_no_receipt(buyer: Buyer, visitor: Client) -> None:
    receipt = receipt_of(buyer, topped_up(buyer))
    with tenant_scope(buyer.shop.tenant.pk):
        Wallet.objects.filter(pk=buyer.shop.key.wallet_id).update(owner=buyer.shop.owner)
    assert visitor.get(f"/usage/key/receipts/{receipt.number}/").status_code == 404


@pytest.mark.parametrize("number", ["NO-2026-999999", "%00"])
def test_a_number_that_is_none_is_not_found(buyer: Buyer, number: str) -> None:
    order = buyer.bought()
    assert buyer.client.get(f"{buyer.path(order)}receipts/{number}/").status_code == 404
