"""What a key's holder may do: top up, replace, name, be alerted; and what others may not."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from billing import keys, orders
from billing.models import ApiKey, Mail, Order, Payment, PaymentInstance, Product, Wallet
from billing.payments import demo
from tests.billing.orders.making import new_product
from tests.billing.reports.making import second_key
from tests.cast import Shop
from tests.portal.usage.conftest import BASE_TOKEN
from tests.portal.usage.test_page import page

TOP_UP, REPLACE = "/usage/key/top-up/", "/usage/key/replace/"
NAME, ALERT = "/usage/key/name/", "/usage/key/alert/"


@pytest.fixture
def pack(key: ApiKey, north: Shop) -> Product:
    """A pack on sale, and a way to pay."""
    PaymentInstance.objects.create(tenant=north.tenant, provider="demo")
    return new_product(north.tenant, slug="5m", price_minor=5_800, grant_ubt=70 * BASE_TOKEN)


def form_of(visitor: Client, **changes: Any) -> dict[str, Any]:
    """Return the top-up form as the page shows it, filled in."""
    shown = page(visitor)
    shown = shown[shown.index('id="topup"') :]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', shown))
    return fields | {"email": "buyer@example.com"} | changes


def test_a_top_up_is_ordered_paid_and_credited(visitor: Client, key: ApiKey, pack: Product) -> None:
    answer = visitor.post(TOP_UP, form_of(visitor))
    assert answer.status_code == 303
    payment = Payment.objects.get()
    assert answer["location"] == f"/pay/demo/{payment.public_id}/"
    assert payment.amount_minor == 5_800
    assert "waiting for the payment<" in page(visitor)
    demo.pay(payment)
    orders.confirm(payment.pk)
    shown = page(visitor)
    assert "bought 1,070, used 140, held 20, left 910" in shown
    assert f"{Order.objects.get().number}</span></a>" in shown


def test_many_orders_take_no_more_questions_than_one(
    visitor: Client, pack: Product, django_assert_max_num_queries: Any
) -> None:
    for paid in (True, False):
        for _ in range(4):
            visitor.post(TOP_UP, form_of(visitor))
            if paid:
                demo.pay(Payment.objects.latest("pk"))
                orders.confirm(Payment.objects.latest("pk").pk)
    with django_assert_max_num_queries(50):
        assert page(visitor).count("waiting for the payment") == 4


def test_a_form_that_is_sent_twice_is_one_order(visitor: Client, pack: Product) -> None:
    form = form_of(visitor)
    visitor.post(TOP_UP, form)
    visitor.post(TOP_UP, form)
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"product": "999999"},
        {"product": "x"},
        {"product": ""},
        {"payment": str(uuid4())},
        {"checkout_id": "x"},
        {"email": "nobody"},
        {"agreement_version": ""},
        {"agreement_version": "1999-01-01"},
    ],
)
def test_a_form_that_was_tampered_with_orders_nothing(
    visitor: Client, pack: Product, changes: dict[str, str]
) -> None:
    answer = visitor.post(TOP_UP, form_of(visitor, **changes), follow=True)
    assert 'class="error"' in answer.text or "Try once more" in answer.text
    assert not Order.objects.exists()
    assert visitor.post(TOP_UP, form_of(visitor)).status_code == 303


def test_what_is_sent_as_price_counts_for_nothing(visitor: Client, pack: Product) -> None:
    forged = {"price_minor": "1", "quantity": "99", "key": "1", "key_id": "1"}
    visitor.post(TOP_UP, form_of(visitor, **forged))
    assert Order.objects.get().total_minor == 5_800


def test_a_known_address_is_used_and_never_shown(
    visitor: Client, key: ApiKey, pack: Product
) -> None:
    Wallet.objects.update(notify_email="lihua@example.com")
    shown = page(visitor)
    assert "lihua@example.com" not in shown
    assert "l***a@example.com" in shown
    visitor.post(TOP_UP, form_of(visitor, email=""))
    assert Order.objects.get().email == "lihua@example.com"


def test_an_order_that_delivered_a_key_is_not_linked(
    north: Shop, visitor: Client, key: ApiKey, pack: Product
) -> None:
    visitor.post(TOP_UP, form_of(visitor))
    assert re.search(r'href="/orders/[^"/]+/[\w-]{20,}/"', page(visitor))
    keys.replace(key=key, actor="test")
    assert not re.search(r'href="/orders/[^"/]+/[\w-]{20,}/"', page(visitor))


def test_nothing_on_sale_is_said(visitor: Client) -> None:
    assert "The shop sells nothing for this key at the moment." in page(visitor)


def replacing(key: ApiKey, overlap_s: int = 0) -> dict[str, Any]:
    return {"kid": key.kid, "overlap_s": overlap_s}


def test_a_replacement_is_shown_once_and_the_visit_goes_on(
    visitor: Client, key: ApiKey, north: Shop
) -> None:
    answer = visitor.post(REPLACE, replacing(key))
    [plaintext] = re.findall(r"data-revealed-key>([^<]+)<", answer.text)
    assert keys.find(plaintext) is not None
    assert "no-store" in answer["cache-control"]
    assert answer["referrer-policy"] == "no-referrer"
    shown = page(visitor)
    assert plaintext not in shown
    assert plaintext[-4:] in shown
    assert "bought 1,000, used 140, held 20, left 840" in shown
    assert "gpt-4" in shown
    old = ApiKey.objects.get(pk=key.pk)
    assert old.revoked_at is not None


def test_a_replacement_is_told_to_the_buyer(visitor: Client, key: ApiKey) -> None:
    Wallet.objects.update(notify_email="li@example.com")
    visitor.post(REPLACE, replacing(key))
    mail = Mail.objects.get()
    new = ApiKey.objects.get(replaced_at=None)
    assert (mail.kind, mail.recipient, mail.subject_id) == ("key_rotated", "li@example.com", new.pk)


def test_an_overlap_lets_the_old_key_live_on(visitor: Client, key: ApiKey) -> None:
    visitor.post(REPLACE, replacing(key, 3_600))
    old = ApiKey.objects.get(pk=key.pk)
    assert old.revoked_at is None
    assert old.expires_at and old.expires_at > timezone.now() + timedelta(minutes=59)


def test_sending_the_form_again_replaces_nothing(visitor: Client, key: ApiKey) -> None:
    visitor.post(REPLACE, replacing(key))
    answer = visitor.post(REPLACE, replacing(key), follow=True)
    assert "Nothing was replaced" in answer.text
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("form", [{}, {"kid": "x"}, {"overlap_s": "-1"}, {"overlap_s": "999999"}])
def test_a_replacement_of_wrong_form_does_nothing(
    visitor: Client, key: ApiKey, form: dict[str, str]
) -> None:
    answer = visitor.post(REPLACE, {**replacing(key), **form} if form else {}, follow=True)
    assert answer.status_code == 200
    assert ApiKey.objects.count() == 1


def test_who_holds_a_key_that_was_replaced_can_change_nothing(
    visitor: Client, key: ApiKey, pack: Product
) -> None:
    form = form_of(visitor)
    keys.replace(key=key, overlap_s=3_600, actor="owner")
    assert visitor.post(REPLACE, replacing(key)).status_code == 303
    assert visitor.post(NAME, {"name": "taken"}).status_code == 303
    assert visitor.post(ALERT, {"below": "5", "email": "thief@example.com"}).status_code == 303
    assert visitor.post(TOP_UP, form).status_code == 400
    assert ApiKey.objects.count() == 2
    assert not ApiKey.objects.filter(name="taken").exists()
    assert not Wallet.objects.exclude(notify_email="").exists()


def test_a_paused_key_can_not_be_replaced(visitor: Client, key: ApiKey) -> None:
    Wallet.objects.update(status="frozen")
    answer = visitor.post(REPLACE, replacing(key), follow=True)
    assert "Nothing was replaced" in answer.text


def test_an_accounts_key_is_not_its_holders_to_change(
    visitor: Client, key: ApiKey, pack: Product
) -> None:
    form = form_of(visitor)
    second_key(key)
    assert visitor.post(NAME, {"name": "taken"}).status_code == 303
    assert visitor.post(REPLACE, replacing(key)).status_code == 303
    assert visitor.post(TOP_UP, form).status_code == 400
    assert not ApiKey.objects.filter(name="taken").exists()


def test_a_name_is_saved(visitor: Client, key: ApiKey) -> None:
    answer = visitor.post(NAME, {"name": " 笔记本 "}, follow=True)
    assert "Saved." in answer.text
    assert ApiKey.objects.get().name == "笔记本"


@pytest.mark.parametrize("name", ["x" * 33, "a\u2028b", "\x00"])
def test_a_name_of_wrong_form_is_refused_beside_its_field(
    visitor: Client, key: ApiKey, name: str
) -> None:
    answer = visitor.post(NAME, {"name": name})
    assert answer.status_code == 400
    assert 'id="own-name-note"' in answer.text
    assert ApiKey.objects.get().name == "north key"


def test_an_alert_is_saved_and_taken_back(visitor: Client, key: ApiKey) -> None:
    Wallet.objects.update(alerted_at=timezone.now())
    visitor.post(ALERT, {"below": "500,000", "email": "li@example.com"})
    wallet = Wallet.objects.get()
    assert (wallet.notify_email, wallet.alert_below_ubt) == ("li@example.com", 5 * 10**11)
    assert wallet.alerted_at is None
    visitor.post(ALERT, {"below": "", "email": ""})
    wallet = Wallet.objects.get()
    assert (wallet.notify_email, wallet.alert_below_ubt) == ("li@example.com", None)


@pytest.mark.parametrize(
    "form",
    [
        {"below": "many", "email": "li@example.com"},
        {"below": "-5", "email": "li@example.com"},
        {"below": "1.5", "email": "li@example.com"},
        {"below": "9" * 40, "email": "li@example.com"},
        {"below": "٣", "email": "li@example.com"},
        {"below": "5", "email": ""},
        {"below": "5", "email": "nobody"},
        {"below": "5", "email": "a@example.com\nBcc: b@example.com"},
    ],
)
def test_an_alert_of_wrong_form_is_refused(
    visitor: Client, key: ApiKey, form: dict[str, str]
) -> None:
    answer = visitor.post(ALERT, form)
    assert answer.status_code == 400
    assert 'class="error"' in answer.text
    assert Wallet.objects.get().alert_below_ubt is None


@pytest.mark.parametrize("path", [TOP_UP, REPLACE, NAME, ALERT])
def test_nothing_happens_by_get_or_without_a_visit(visitor: Client, key: ApiKey, path: str) -> None:
    assert visitor.get(path).status_code == 405
    visitor.post("/usage/leave/")
    assert visitor.post(path, {"name": "x"})["location"] == "/usage/?ended=1"


def test_a_form_from_elsewhere_is_refused(key: ApiKey, north: Shop) -> None:
    stranger = Client(headers={"host": north.host}, enforce_csrf_checks=True)
    assert stranger.post("/usage/", {"key": north.plaintext}).status_code == 403
