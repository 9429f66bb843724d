"""Coupons, steps and sale windows on the pages of the shop, and the page that takes codes."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import codes, keys
from billing.models import ApiKey, Coupon, Order, PriceStep, Product, Wallet
from billing.scoping import tenant_scope
from portal import code_entry
from tests.cast import Shop
from tests.portal.buying.buyer import EMAIL, Answer, Buyer, hidden

HOUR = timedelta(hours=1)


def new_coupon(buyer: Buyer, **changes: Any) -> Coupon:
    shop = buyer.shop.tenant
    with tenant_scope(shop.pk):
        return Coupon.objects.create(tenant=shop, **{"code": "SPRING", "percent": 20, **changes})


def new_code(buyer: Buyer) -> str:
    with tenant_scope(buyer.shop.tenant.pk):
        batch = codes.make_batch(buyer.product, count=1, actor="test")
        return codes.export(batch, actor="test")[0]


def change_product(buyer: Buyer, **changes: Any) -> None:
    with tenant_scope(buyer.shop.tenant.pk):
        Product.objects.filter(pk=buyer.product.pk).update(**changes)


def redeem(buyer: Buyer, text: str, **changes: Any) -> Answer:
    """Send the form of the redeem page as it is offered, filled in."""
    page = buyer.client.get("/redeem/").text
    form = {name: hidden(page, name) for name in ("checkout_id", "agreement_version")}
    filled = {"code": text, "to": "new", "email": EMAIL, "agreed": "on"}
    return buyer.client.post("/redeem/", {**form, **filled, **changes})


def only_order(buyer: Buyer) -> Order:
    [order] = buyer.orders()
    return order


def test_a_coupon_is_shown_before_it_is_used(buyer: Buyer) -> None:
    new_coupon(buyer)
    form = buyer.form(coupon="spring", quantity="2", email="typed@example.com", apply="1")
    page = buyer.send(form).text
    assert "¥8.00" in page
    assert "SPRING" in page
    assert "typed@example.com" in page
    assert form["checkout_id"] == hidden(page, "checkout_id")
    assert not buyer.orders()


def test_a_coupon_makes_the_order_cheaper(buyer: Buyer) -> None:
    new_coupon(buyer)
    buyer.send(buyer.form(coupon="spring"))
    assert (only_order(buyer).total_minor, only_order(buyer).discount_minor) == (400, 100)


@pytest.mark.parametrize("pressed", [{}, {"apply": "1"}])
def test_a_wrong_coupon_is_told_beside_its_field(buyer: Buyer, pressed: dict[str, str]) -> None:
    answer = buyer.send(buyer.form(coupon="AUTUMN", **pressed))
    assert answer.status_code == 400
    assert 'id="coupon-note"' in answer.text
    assert not buyer.orders()


def test_who_guesses_coupons_is_turned_away(buyer: Buyer) -> None:
    new_coupon(buyer)
    form = buyer.form(apply="1")
    for number in range(code_entry.WRONG_CODES_PER_VISITOR):
        buyer.send({**form, "coupon": f"GUESS{number}"})
    assert buyer.send({**form, "coupon": "SPRING"}).status_code == 400
    assert redeem(buyer, new_code(buyer)).status_code == 400
    assert not buyer.orders()


def test_a_form_that_lacks_something_is_no_way_to_guess_coupons(buyer: Buyer) -> None:
    new_coupon(buyer)
    form = buyer.form(agreed=None)
    assert "data-discounted" in buyer.send({**form, "coupon": "SPRING"}).text
    for number in range(code_entry.WRONG_CODES_PER_VISITOR):
        assert 'id="coupon-note"' in buyer.send({**form, "coupon": f"GUESS{number}"}).text
    assert "data-discounted" not in buyer.send({**form, "coupon": "SPRING"}).text


def test_a_code_is_redeemed_after_the_agreement_has_changed(buyer: Buyer) -> None:
    code = new_code(buyer)
    page = redeem(buyer, code, agreement_version="1999-01-01").text
    assert "1999-01-01" not in page
    assert code in page
    assert redeem(buyer, code).status_code == 303


def test_an_order_that_a_coupon_made_free_shows_its_key(buyer: Buyer) -> None:
    new_coupon(buyer, percent=100)
    answer = buyer.send(buyer.form(coupon="SPRING"))
    order = only_order(buyer)
    assert (order.status, answer.headers["Location"]) == ("paid", buyer.path(order))
    assert buyer.reveal(order).startswith("ak-")


def test_price_steps_stand_on_the_page(buyer: Buyer) -> None:
    with tenant_scope(buyer.shop.tenant.pk):
        PriceStep.objects.create(
            tenant=buyer.shop.tenant, product=buyer.product, min_quantity=5, unit_minor=400
        )
    page = buyer.client.get(f"/buy/{buyer.product.slug}/").text
    assert "¥4.00" in page
    assert '<option value="5" data-subtotal="¥20.00"' in page


def test_what_is_sold_later_is_announced_but_not_sold(buyer: Buyer) -> None:
    form = buyer.form()
    change_product(buyer, starts_at=timezone.now() + HOUR)
    assert f"/buy/{buyer.product.slug}/" not in buyer.client.get("/").text
    assert 'aria-disabled="true"' in buyer.client.get("/").text
    assert buyer.client.get(f"/buy/{buyer.product.slug}/").status_code == 404
    assert buyer.send(form).status_code == 400
    assert not buyer.orders()


def test_what_is_over_is_not_shown(buyer: Buyer) -> None:
    change_product(buyer, ends_at=timezone.now() - HOUR)
    assert f"/buy/{buyer.product.slug}/" not in buyer.client.get("/").text


def test_credit_is_sold_to_who_signs_in(buyer: Buyer) -> None:
    change_product(buyer, kind=Product.CREDIT)
    answer = buyer.client.get(f"/buy/{buyer.product.slug}/")
    assert answer.headers["Location"] == f"/account/sign-in/?pack={buyer.product.slug}"


def test_a_code_leads_to_a_new_key(buyer: Buyer) -> None:
    answer = redeem(buyer, new_code(buyer))
    order = only_order(buyer)
    assert (answer.status_code, answer.headers["Location"]) == (303, buyer.path(order))
    assert buyer.reveal(order).startswith("ak-")


def test_a_code_tops_up_the_key_that_is_pasted(buyer: Buyer, north: Shop) -> None:
    with tenant_scope(north.tenant.pk):
        key, plaintext = keys.issue(tenant_id=north.tenant.pk)
    redeem(buyer, new_code(buyer), to="top_up", key=plaintext)
    assert credits_of(key) == buyer.product.grant_ubt


def test_the_key_of_another_shop_is_not_topped_up(buyer: Buyer, south: Shop) -> None:
    with tenant_scope(south.tenant.pk):
        _, plaintext = keys.issue(tenant_id=south.tenant.pk)
    assert redeem(buyer, new_code(buyer), to="top_up", key=plaintext).status_code == 400
    assert not buyer.orders()


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"code": "ABCDE"}, "code-note"),
        ({"email": ""}, "email-note"),
        ({"to": "top_up"}, "key-note"),
        ({"agreed": ""}, "agreed-note"),
        ({"to": "own"}, "error"),
        ({"to": "account"}, "error"),
        ({"agreement_version": "1"}, "alert"),
        ({"checkout_id": "x"}, "alert"),
    ],
)
def test_a_form_that_is_wrong_uses_no_code_up(
    buyer: Buyer, wrong: dict[str, str], place: str
) -> None:
    answer = redeem(buyer, new_code(buyer), **wrong)
    assert answer.status_code == 400
    assert place in answer.text
    assert not buyer.orders()


def test_the_usage_page_takes_a_code_for_its_key(buyer: Buyer, north: Shop) -> None:
    with tenant_scope(north.tenant.pk):
        key, plaintext = keys.issue(tenant_id=north.tenant.pk, notify_email=EMAIL)
    buyer.client.post("/usage/", {"key": plaintext})
    page = buyer.client.get("/usage/key/").text
    form = page[page.index("/usage/key/redeem/") :]
    sent = {name: hidden(form, name) for name in ("checkout_id", "agreement_version")}
    assert buyer.client.post("/usage/key/redeem/", {**sent, "code": "x"}).status_code == 400
    code = new_code(buyer)
    answer = buyer.client.post("/usage/key/redeem/", {**sent, "code": code}, follow=True)
    assert (answer.status_code, credits_of(key)) == (200, buyer.product.grant_ubt)
    assert buyer.client.post("/usage/key/redeem/", {**sent, "code": code}).status_code == 303
    assert credits_of(key) == buyer.product.grant_ubt


def credits_of(key: ApiKey) -> int:
    with tenant_scope(key.tenant_id):
        return Wallet.objects.get(pk=key.wallet_id).credits_ubt
