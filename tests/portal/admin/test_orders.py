"""Orders, payments and deliveries in the admin: found, asked for, mailed again; never edited."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from billing.models import Delivery, Mail, Member, Order, Payment, Product, Refund
from billing.orders import links
from billing.payments import demo
from billing.scoping import tenant_scope
from tests.billing.orders import making
from tests.cast import Shop, say
from tests.sales import Sale, sell

Browser = Callable[..., Client]


@pytest.fixture
def sale(north: Shop) -> Iterator[Sale]:
    """A sale at north, whose scope is open."""
    with tenant_scope(north.tenant.pk):
        yield sell(north.tenant, email="li@example.com")


def open_order(shop: Shop) -> tuple[Order, Payment]:
    """Place an order and begin to pay it."""
    order = making.order_of(making.new_product(shop.tenant))
    return order, making.begin(order)


def press(visitor: Client, row: Any, button: str, **form: Any) -> int:
    """Press the button of a row's page; 302 when it did something."""
    address = reverse(f"admin:billing_{row._meta.model_name}_{button}", args=[row.pk])
    return visitor.post(address, {"once": str(uuid4()), **form}).status_code


def shown(visitor: Client, row: Model) -> str:
    return visitor.get(reverse(f"admin:billing_{row._meta.model_name}_change", args=[row.pk])).text


def found(visitor: Client, text: str) -> int:
    """Return how many orders a search finds."""
    page: Any = visitor.get("/admin/billing/order/", {"q": text})
    assert page.status_code == 200
    return len(page.context_data["cl"].result_list)


def named(sale: Sale, what: str) -> str:
    """Return a text by which a buyer or a provider may name a sale."""
    return {
        "number": sale.order.number,
        "beginning of the number": sale.order.number[:7].lower(),
        "e-mail": "LI@example.com",
        "public id": str(sale.order.public_id),
        "payment's public id": str(sale.payment.public_id),
        "provider's reference": sale.payment.references.get().reference,
        "key id": sale.key.kid,
        "whole key": sale.plaintext,
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        "number",
        "beginning of the number",
        "e-mail",
        "public id",
        "payment's public id",
        "provider's reference",
        "key id",
        "whole key",
    ],
)
def test_an_order_is_found_by(sale: Sale, clerk: Client, what: str) -> None:
    assert found(clerk, named(sale, what)) == 1


@pytest.mark.parametrize("text", ["%", "_", "li@example", "'", "0" * 300])
def test_a_text_that_names_no_order_finds_none(sale: Sale, clerk: Client, text: str) -> None:
    assert found(clerk, text) == 0


def test_an_order_shows_what_was_bought_and_paid(sale: Sale, staff: Client) -> None:
    page = shown(staff, sale.order)
    assert all(text in page for text in ("¥58.00", "5,000,000", sale.key.masked, "Confirmed"))


@pytest.mark.parametrize("model", [Order, Payment, Delivery])
def test_no_page_shows_the_key_or_the_link(sale: Sale, staff: Client, model: type[Model]) -> None:
    pages = [staff.get(f"/admin/billing/{model._meta.model_name}/").text]
    pages += [shown(staff, row) for row in model._default_manager.all()]
    secrets = (sale.plaintext.partition("-")[2][12:40], links.token_of(sale.order))
    assert not [secret for secret in secrets for page in pages if secret in page]


def test_asking_the_provider_again_books_what_was_paid(
    north: Shop, sale: Sale, staff: Client
) -> None:
    order, payment = open_order(north)
    demo.pay(payment)
    assert press(staff, order, "ask_provider") == 302
    order.refresh_from_db()
    assert (order.status, order.delivery_status) == (Order.PAID, Order.DELIVERED)


def test_asking_for_a_payment_does_the_same(north: Shop, sale: Sale, staff: Client) -> None:
    order, payment = open_order(north)
    demo.pay(payment)
    assert press(staff, payment, "ask_provider") == 302
    order.refresh_from_db()
    assert order.status == Order.PAID


def test_asking_about_what_was_not_paid_changes_nothing(
    north: Shop, sale: Sale, staff: Client
) -> None:
    order, _payment = open_order(north)
    assert press(staff, order, "ask_provider") == 302
    order.refresh_from_db()
    assert order.status == Order.PENDING


def test_a_provider_that_is_away_is_said_in_words(
    north: Shop, sale: Sale, staff: Client, settings: Any
) -> None:
    order, _payment = open_order(north)
    settings.DEMO_PAYMENTS = False
    address = reverse("admin:billing_order_ask_provider", args=[order.pk])
    answer = staff.post(address)
    assert "gives no usable answer" in answer.text


def test_an_open_order_can_be_cancelled_once(north: Shop, sale: Sale, staff: Client) -> None:
    order, payment = open_order(north)
    assert press(staff, order, "cancel") == 302
    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.status, payment.status) == (Order.CANCELLED, Payment.CANCELLED)


def test_a_paid_order_can_not_be_cancelled(sale: Sale, staff: Client) -> None:
    assert press(staff, sale.order, "cancel") == 200
    sale.order.refresh_from_db()
    assert sale.order.status == Order.PAID


def test_buttons_that_make_no_sense_are_not_offered(north: Shop, sale: Sale, staff: Client) -> None:
    order, _payment = open_order(north)
    assert "/cancel" in shown(staff, order)
    page = shown(staff, sale.order)
    assert not [
        part for part in ("/cancel", "/ask", "/deliver/") if f"{sale.order.pk}{part}" in page
    ]


def test_the_mail_of_an_order_is_sent_again_once_for_each_press(sale: Sale, staff: Client) -> None:
    once = str(uuid4())
    assert [press(staff, sale.order, "mail_again", once=once) for _ in range(2)] == [302, 302]
    mail = Mail.objects.get()
    assert (mail.kind, mail.recipient) == ("order", "li@example.com")


def test_an_unpaid_order_gets_the_mail_with_its_link(north: Shop, staff: Client) -> None:
    with tenant_scope(north.tenant.pk):
        order, _payment = open_order(north)
        press(staff, order, "mail_again")
        assert Mail.objects.get().kind == "order_link"


def test_deeds_are_kept_with_who_did_them(north: Shop, sale: Sale, staff: Client) -> None:
    press(staff, sale.order, "mail_again")
    entry = LogEntry.objects.get()
    assert (entry.user_id, entry.object_id) == (north.owner.pk, str(sale.order.pk))


@pytest.mark.parametrize("button", ["ask_provider", "deliver_again", "mail_again", "cancel"])
def test_a_link_does_nothing_by_itself(sale: Sale, staff: Client, button: str) -> None:
    address = reverse(f"admin:billing_order_{button}", args=[sale.order.pk])
    assert staff.get(address).status_code == 200
    assert not Mail.objects.exists()


@pytest.mark.parametrize("role", ["support", "viewer"])
def test_who_only_looks_has_no_buttons(sale: Sale, staff: Client, role: str) -> None:
    Member.objects.update(role=role)
    assert press(staff, sale.order, "mail_again") == 403
    assert "/mail" not in shown(staff, sale.order).partition('id="main"')[2].partition("<form")[0]


def test_another_shops_order_is_not_there(sale: Sale, south: Shop, browser: Browser) -> None:
    visitor = browser(south.host, south.owner)
    assert press(visitor, sale.order, "cancel") == 404
    assert press(visitor, sale.payment, "ask_provider") == 404


def test_an_order_that_could_not_be_delivered_is_delivered_by_hand(
    north: Shop, sale: Sale, staff: Client
) -> None:
    wallet = sale.wallet
    top_up = making.new_product(north.tenant, kind=Product.TOP_UP)
    order = making.order_of(top_up, key_id=sale.key.pk)
    payment = making.begin(order)
    type(wallet).objects.filter(pk=wallet.pk).update(status="frozen")
    demo.pay(payment)
    press(staff, order, "ask_provider")
    press(staff, order, "deliver_again")
    assert not making.deliveries_of(order)
    type(wallet).objects.filter(pk=wallet.pk).update(status="active")
    press(staff, order, "deliver_again")
    order.refresh_from_db()
    assert order.delivery_status == Order.DELIVERED


def test_refunds_are_shown_in_money(north: Shop, sale: Sale, staff: Client) -> None:
    say(north, sale.payment)
    assert "¥1.00" in staff.get("/admin/billing/refund/").text
    assert "¥1.00" in shown(staff, Refund.objects.get())
