"""Credit for the wallet of an account: bought by who is signed in, for the own wallet alone."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from billing import codes, orders
from billing.models import Order, Payment, PaymentInstance, Product, Wallet
from billing.orders import links
from billing.payments import demo
from billing.scoping import tenant_scope
from tests.billing.orders.making import new_product, new_trial
from tests.cast import Shop
from tests.portal.account.conftest import ANNA

UBT = 1_000_000
TOP_UP, REDEEM = "/account/top-up/", "/account/redeem/"


@pytest.fixture
def pack(north: Shop) -> Iterator[Product]:
    """Credit on sale at north, and a way to pay; the shop's scope is open."""
    with tenant_scope(north.tenant.pk):
        PaymentInstance.objects.create(tenant=north.tenant, provider="demo")
        yield new_product(
            north.tenant, slug="credit", kind="credit", price_minor=990, grant_ubt=70 * UBT
        )


def form_of(visitor: Client, **changes: Any) -> dict[str, Any]:
    """Return the form as the page of the account shows it, filled in."""
    page = visitor.get("/account/").text
    shown = page[page.index('id="credit"') :]
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', shown)) | changes


def test_credit_is_ordered_paid_and_put_into_the_wallet(anna: Client, pack: Product) -> None:
    answer = anna.post(TOP_UP, form_of(anna))
    payment = Payment.objects.get()
    assert answer["location"] == f"/pay/demo/{payment.public_id}/"
    demo.pay(payment)
    orders.confirm(payment.pk)
    page = anna.get("/account/").text
    assert "bought 70, used 0, held 0, left 70" in page
    order = Order.objects.get()
    assert (order.email, order.total_minor) == (ANNA, 990)
    assert order.number in page
    assert "Paid" in page


def test_the_order_of_credit_promises_no_key(anna: Client, pack: Product) -> None:
    anna.post(TOP_UP, form_of(anna))
    page = anna.get(links.path_of(Order.objects.get())).text
    assert "The balance of your account grows at once" in page
    assert "This page shows the key" not in page


def test_orders_of_others_are_not_shown(anna: Client, bert: Client, pack: Product) -> None:
    anna.post(TOP_UP, form_of(anna))
    number = Order.objects.get().number
    assert number in anna.get("/account/").text
    assert number not in bert.get("/account/").text


def test_whose_wallet_it_is_for_is_no_question_of_the_form(
    anna: Client, bert: Client, pack: Product
) -> None:
    theirs = Wallet.objects.get(owner__email=ANNA)
    forged = {"wallet": theirs.pk, "wallet_id": theirs.pk, "user": theirs.owner_id, "price": "1"}
    bert.post(TOP_UP, form_of(bert, **forged))
    line = Order.objects.get().lines.get()
    assert line.wallet is not None
    assert line.wallet.owner is not None
    assert line.wallet.owner.email == "bert@example.com"
    assert line.unit_minor == 990


@pytest.mark.parametrize(
    "changes",
    [{"product": "999999"}, {"payment": str(uuid4())}, {"agreement_version": "1999-01-01"}],
)
def test_a_form_that_was_tampered_with_orders_nothing(
    anna: Client, pack: Product, changes: dict[str, str]
) -> None:
    answer = anna.post(TOP_UP, form_of(anna, **changes), follow=True)
    assert 'class="error"' in answer.text or "Try once more" in answer.text
    assert not Order.objects.exists()


def test_the_pack_that_was_wanted_is_chosen(anna: Client, pack: Product, north: Shop) -> None:
    other = new_product(north.tenant, slug="more", kind="credit", price_minor=9_900)
    page = anna.get("/account/?pack=more").text
    assert re.search(rf'name="product" value="{other.pk}"\s+checked', page)


def test_a_wallet_that_is_paused_is_not_topped_up(anna: Client, pack: Product) -> None:
    sent = form_of(anna)
    Wallet.objects.filter(owner__email=ANNA).update(status=Wallet.FROZEN)
    assert anna.post(TOP_UP, sent).status_code == 400
    assert not Order.objects.exists()
    assert "The account is paused" in anna.get("/account/").text


def test_nobody_buys_credit_without_signing_in(
    anna: Client, pack: Product, browser: Any, north: Shop
) -> None:
    sent = form_of(anna)
    assert browser(north.host).post(TOP_UP, sent)["location"] == "/account/sign-in/"
    assert not Order.objects.exists()


@pytest.fixture
def code(pack: Product) -> str:
    """A code that is worth as much as the pack."""
    batch = codes.make_batch(pack, count=1, ends_at=None, note="", actor="test")
    return codes.export(batch, actor="test")[0]


def code_form(visitor: Client, code: str) -> dict[str, Any]:
    page = visitor.get("/account/").text
    shown = page[page.index('action="/account/redeem/"') :]
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', shown)) | {"code": code}


def test_a_code_is_redeemed_into_the_wallet_once(anna: Client, bert: Client, code: str) -> None:
    sent = code_form(anna, code)
    for _ in range(2):
        assert anna.post(REDEEM, sent)["location"] == "/account/"
    page = anna.get("/account/").text
    assert "bought 70, used 0, held 0, left 70" in page
    assert Order.objects.get().email == ANNA
    answer = bert.post(REDEEM, code_form(bert, code))
    assert answer.status_code == 400
    assert "This code was used already." in answer.text


def test_a_wrong_code_is_said_to_be_wrong(anna: Client, pack: Product) -> None:
    answer = anna.post(REDEEM, code_form(anna, "AAAAA-AAAAA-AAAAA-AAAAA"))
    assert answer.status_code == 400
    assert "This shop has no such code" in answer.text


def test_a_page_that_is_out_of_date_redeems_nothing(anna: Client, code: str) -> None:
    sent = code_form(anna, code) | {"agreement_version": "1999-01-01"}
    assert "out of date" in anna.post(REDEEM, sent, follow=True).text
    assert not Order.objects.exists()


def ordered(visitor: Client, slug: str) -> Order:
    """Order at the checkout that everybody has; return the order."""
    page = visitor.get(f"/buy/{slug}/").text
    fields = dict(re.findall(r'name="(checkout_id|agreement_version)" value="([^"]*)"', page))
    way = PaymentInstance.objects.get().public_id
    sent = {"to": "new", "quantity": "1", "payment": way, "agreed": "on", "email": ANNA}
    assert visitor.post(f"/buy/{slug}/", fields | sent).status_code == 303
    return Order.objects.latest("pk")


def test_a_key_that_is_bought_while_signed_in_is_listed(
    anna: Client, bert: Client, pack: Product, north: Shop
) -> None:
    new_product(north.tenant, slug="5m")
    assert f'value="{ANNA}"' in anna.get("/buy/5m/").text
    order = ordered(anna, "5m")
    assert order.number in anna.get("/account/").text
    assert order.number not in bert.get("/account/").text


def test_a_trial_is_listed_nowhere_because_its_link_is_the_mailboxes(
    anna: Client, bert: Client, pack: Product, north: Shop
) -> None:
    new_trial(north.tenant, slug="trial")
    order = ordered(bert, "trial")
    assert order.user is None
    assert order.number not in bert.get("/account/").text
