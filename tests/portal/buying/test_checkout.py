"""The checkout: what is bought costs what the shop says, once, whatever is sent."""

import re
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from pytest_django import Settings

from billing.models import Order, Payment, Product
from billing.scoping import tenant_scope
from portal import throttle
from tests.billing.orders import making
from tests.portal.buying.buyer import Buyer, hidden, without_tokens
from tests.security.books import rows_written


def test_the_page_says_what_the_pack_costs(buyer: Buyer) -> None:
    page = buyer.client.get(f"/buy/{buyer.product.slug}/").text
    assert "¥5.00" in page
    assert '<option value="10" data-subtotal="¥50.00" data-discount="" data-total="¥50.00"' in page


def test_looking_at_the_page_writes_nothing(buyer: Buyer) -> None:
    before = rows_written()
    buyer.form()
    assert rows_written() == before


def test_the_form_leads_to_the_payment(buyer: Buyer) -> None:
    answer = buyer.send(buyer.form())
    (order,) = buyer.orders()
    assert answer.status_code == 303
    assert answer["location"] == f"/pay/demo/{buyer.payment(order).public_id}/"
    assert (order.total_minor, order.currency, order.email) == (
        500,
        "CNY",
        "lin.xiaoyu@example.com",
    )


def test_what_was_agreed_to_is_noted(buyer: Buyer) -> None:
    form = buyer.form()
    buyer.send(form)
    assert buyer.orders()[0].agreement_version == form["agreement_version"]


def test_an_agreement_that_changed_meanwhile_is_agreed_to_anew(buyer: Buyer) -> None:
    form = buyer.form()
    page = buyer.send({**form, "agreement_version": "1999-01-01"}).text
    assert hidden(page, "agreement_version") == form["agreement_version"]
    assert not re.search(r'name="agreed"[^>]* checked', page)


@pytest.mark.parametrize(
    "tampered",
    [
        {"price_minor": "1", "total": "0", "total_minor": "0", "amount": "0.01"},
        {"currency": "JPY", "grant_ubt": "999999999999"},
        {"product": "1", "product_id": "1", "tenant_id": "1", "key_id": "1"},
        {"status": "paid", "discount_minor": "900", "unit_minor": "-500"},
    ],
)
def test_a_form_can_not_change_what_things_cost(buyer: Buyer, tampered: dict[str, str]) -> None:
    buyer.send(buyer.form(quantity="2", **tampered))
    (order,) = buyer.orders()
    assert (order.total_minor, order.currency, order.status) == (1000, "CNY", Order.PENDING)
    assert buyer.payment(order).amount_minor == 1000


WRONG_QUANTITIES = ("0", "-1", "11", "1000000000", str(2**63), "1.5", "1e3", "abc", "", "٣٣", None)


def test_a_quantity_that_is_not_sold_is_refused(buyer: Buyer) -> None:
    form = buyer.form()
    for quantity in WRONG_QUANTITIES:
        answer = buyer.send({**form, "quantity": quantity})
        assert answer.status_code == 400, quantity
        assert 'id="quantity-note"' in answer.text, quantity
    assert not buyer.orders()


def test_an_incomplete_address_is_refused_where_it_stands(buyer: Buyer) -> None:
    form = buyer.form()
    for email in ("", "lin", "lin@example", "a b@example.com", "x" * 250 + "@a.io"):
        answer = buyer.send({**form, "email": email})
        assert answer.status_code == 400, email
        assert re.search(r'<input[^>]*name="email"[^>]*autofocus', answer.text), email
        assert 'id="email-note"' in answer.text, email
    assert not buyer.orders()


INCOMPLETE: tuple[dict[str, Any], ...] = (
    {"agreed": None},
    {"agreement_version": "1999-01-01"},
    {"agreement_version": None},
    {"checkout_id": "not-a-uuid"},
    {"checkout_id": None},
    {"payment": "01a20201-3af5-7013-87ca-2e7947d23374"},
    {"payment": None},
    {"to": "somebody"},
    {"to": "top_up", "key": ""},
    {"email": "nul\x00@example.com"},
    *({"quantity": quantity, "email": "nobody"} for quantity in ("5.0", " 5 ", "x", "", "1e1")),
)


def test_an_incomplete_form_is_refused(buyer: Buyer) -> None:
    form = buyer.form()
    found = [buyer.send({**form, **changes}).status_code for changes in INCOMPLETE]
    assert found == [400] * len(INCOMPLETE)
    assert not buyer.orders()


def test_a_way_to_pay_of_another_shop_is_none_here(buyer: Buyer, stranger: Buyer) -> None:
    answer = buyer.send(buyer.form(payment=str(stranger.instance.public_id)))
    assert answer.status_code == 400
    assert not buyer.orders()


def test_a_product_of_another_shop_is_not_here(buyer: Buyer, stranger: Buyer) -> None:
    slug = stranger.product.slug
    assert buyer.client.get(f"/buy/{slug}/").status_code == 404
    assert buyer.send(buyer.form(), slug).status_code == 404
    assert not stranger.orders()


def test_what_is_off_sale_can_not_be_bought(buyer: Buyer) -> None:
    form = buyer.form()
    with tenant_scope(buyer.shop.tenant.pk):
        Product.objects.update(is_active=False)
    assert buyer.send(form).status_code == 404
    assert not buyer.orders()


def test_a_form_that_is_sent_twice_is_one_order(buyer: Buyer) -> None:
    form = buyer.form()
    first, second = buyer.send(form), buyer.send(form)
    assert first["location"] == second["location"]
    assert len(buyer.orders()) == 1


def test_going_back_and_sending_it_again_after_paying_leads_to_the_key(buyer: Buyer) -> None:
    form = buyer.form()
    buyer.send(form)
    (order,) = buyer.orders()
    buyer.pay(order)
    buyer.confirmed(order)
    assert buyer.send(form)["location"] == buyer.path(order)
    assert [one.status for one in buyer.orders()] == [Order.PAID]
    assert buyer.payments(order) == [Payment.CONFIRMED]


def test_a_form_from_elsewhere_is_refused(buyer: Buyer) -> None:
    careful = Client(headers={"host": buyer.shop.host}, enforce_csrf_checks=True)
    assert careful.post(f"/buy/{buyer.product.slug}/", buyer.form()).status_code == 403
    assert not buyer.orders()


def test_no_cache_keeps_the_form(buyer: Buyer) -> None:
    assert "no-store" in buyer.client.get(f"/buy/{buyer.product.slug}/")["cache-control"]


def test_one_network_can_not_flood_the_shop_with_orders(buyer: Buyer) -> None:
    sent = buyer.form()
    buyer.send(sent)
    for _ in range(59):
        throttle.allow("checkout", f"{buyer.shop.tenant.pk} 127.0.0.1", limit=60, per_s=600)
    assert buyer.send(buyer.form()).status_code == 429
    assert len(buyer.orders()) == 1
    assert buyer.send(sent).status_code == 303


def test_without_a_way_to_pay_there_is_no_button(buyer: Buyer, settings: Settings) -> None:
    settings.DEMO_PAYMENTS = False
    page = buyer.client.get(f"/buy/{buyer.product.slug}/").text
    assert "data-pay" not in page
    assert buyer.send(buyer.form()).status_code == 400


def test_a_pasted_key_is_topped_up(buyer: Buyer) -> None:
    buyer.send(buyer.form(to="top_up", key=f" {buyer.shop.plaintext}\n", quantity="3"))
    (order,) = buyer.orders()
    with tenant_scope(buyer.shop.tenant.pk):
        line = order.lines.get()
    assert (line.key_id, line.quantity, order.total_minor) == (buyer.shop.key.pk, 1, 500)


def test_a_key_of_another_shop_is_as_unknown_as_any(buyer: Buyer, stranger: Buyer) -> None:
    form = buyer.form(to="top_up")
    theirs = buyer.send({**form, "key": stranger.shop.plaintext})
    invented = buyer.send({**form, "key": "ak-" + "x" * 48})
    assert theirs.status_code == invented.status_code == 400
    assert without_tokens(theirs.text) == without_tokens(invented.text)


def test_a_key_is_never_shown_again(buyer: Buyer) -> None:
    answer = buyer.send(buyer.form(to="top_up", key=buyer.shop.plaintext, email="lin"))
    assert answer.status_code == 400
    assert buyer.shop.plaintext not in answer.text


def test_keys_can_not_be_tried_for_long(buyer: Buyer) -> None:
    form = buyer.form(to="top_up")
    for _ in range(20):
        buyer.send({**form, "key": "ak-" + "x" * 48})
    assert buyer.send({**form, "key": buyer.shop.plaintext}).status_code == 400
    assert not buyer.orders()


def test_a_top_up_pack_asks_for_a_key_and_nothing_else(buyer: Buyer) -> None:
    with tenant_scope(buyer.shop.tenant.pk):
        making.new_product(buyer.shop.tenant, slug="more", kind=Product.TOP_UP)
    page = buyer.client.get("/buy/more/").text
    assert 'name="key"' in page
    assert 'name="quantity"' not in page
    assert buyer.send(buyer.form("more", key=""), "more").status_code == 400


def test_no_form_tells_what_the_next_one_will_be(buyer: Buyer) -> None:
    assert UUID(buyer.form()["checkout_id"]).version == 4


@pytest.mark.parametrize(("language", "words"), [("zh-CN", "怎么付"), ("en", "How to pay")])
def test_both_languages_are_spoken(buyer: Buyer, language: str, words: str) -> None:
    path = f"/buy/{buyer.product.slug}/"
    assert words in buyer.client.get(path, headers={"accept-language": language}).text


def test_an_order_is_mailed_about_in_the_language_it_was_placed_in(buyer: Buyer) -> None:
    form = buyer.form()
    buyer.client.post(
        f"/buy/{buyer.product.slug}/", form, headers={"accept-language": "en-GB,en;q=0.9"}
    )
    assert buyer.orders()[0].language == "en"
