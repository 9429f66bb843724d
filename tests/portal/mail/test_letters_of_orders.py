"""What single mails about buying and giving back say, beyond what all mails have in common."""

import re
from typing import Any

import structlog

from billing.models import Delivery, Mail, Order, OrderLine, Receipt, Tenant, Wallet
from billing.orders import deliveries, links
from tests.portal.mail.reading import forms, read
from tests.sales import Sale


def mails_keys(sale: Sale) -> None:
    """Let the shop mail keys."""
    Tenant.objects.update(mails_keys=True)
    sale.order.tenant.mails_keys = True


def test_an_order_tells_its_discount_and_where_its_receipt_is(sale: Sale) -> None:
    Order.objects.update(discount_minor=500)
    text, _seen = forms(sale, "order")
    number = Receipt.objects.get().number
    assert "Discount: −¥5.00" in text
    assert f"http://north.example{links.path_of(sale.order)}receipts/{number}/" in text


def test_a_shop_that_mails_keys_puts_them_into_the_mail(sale: Sale) -> None:
    mails_keys(sale)
    with structlog.testing.capture_logs() as logged:
        text, seen = forms(sale, "order")
    assert f"Key: {sale.plaintext}" in text
    assert sale.plaintext in seen.words
    assert {"event": "keys_mailed", "deliveries": [str(sale.delivery.public_id)]}.items() <= (
        logged[0].items()
    )
    assert sale.plaintext not in str(logged)


def test_a_mailed_key_is_in_no_row_and_counts_as_not_revealed(sale: Sale) -> None:
    mails_keys(sale)
    forms(sale, "order")
    assert sale.plaintext not in str(list(Mail.objects.values()))
    delivery = Delivery.objects.get()
    assert (delivery.reveal_count, deliveries.state_of(delivery)) == (0, deliveries.FRESH)


def test_a_key_that_is_saved_or_replaced_is_mailed_no_more(sale: Sale) -> None:
    mails_keys(sale)
    deliveries.reveal(sale.delivery)
    deliveries.replace_key(sale.delivery)
    text, _seen = forms(sale, "order")
    assert not re.search(r"ak-tg1\w{45}", text)
    assert "Open the order to get the key" in text


def test_a_shop_that_does_not_mail_keys_mails_a_link(sale: Sale) -> None:
    text, _seen = forms(sale, "order")
    assert not re.search(r"ak-tg1\w{45}", text)


def test_credit_of_an_account_names_no_key(sale: Sale) -> None:
    OrderLine.objects.update(kind=OrderLine.CREDIT, wallet=sale.wallet)
    text, seen = read(sale, "top_up", sale.order.pk)
    assert "Your account is topped up" in text
    assert "http://north.example/account/" in seen.links
    assert sale.key.masked not in text


def test_a_refund_tells_what_went_back_and_what_was_taken_back(sale: Sale) -> None:
    text, _seen = forms(sale, "refund")
    counter = Receipt.objects.get(cancels__isnull=False)
    assert "Refunded: ¥29.00" in text
    assert "Base tokens taken back: 2,500,000" in text
    assert f"receipts/{counter.number}/" in text


def test_a_refund_tells_what_had_been_used_already(sale: Sale) -> None:
    Wallet.objects.update(debt_ubt=7_000_000)
    text, _seen = forms(sale, "refund")
    assert "Of these already used: 7, which the next top-up pays first" in text


def test_a_dispute_leads_the_shop_to_the_payment(sale: Sale) -> None:
    text, _seen = forms(sale, "dispute")
    assert f"http://north.example/admin/billing/payment/{sale.payment.pk}/change/" in text
    assert "1 wallet is frozen" in text
    assert links.token_of(sale.order) not in text


def test_a_transfer_tells_the_shops_instructions_line_by_line(sale: Sale) -> None:
    text, seen = forms(sale, "transfer")
    assert "\nIBAN 0042\n<北辰>\n" in text
    assert "IBAN 0042 <北辰>" in seen.words
    assert f"Payment purpose: {sale.order.number}" in text


def test_a_link_to_sign_in_works_once_and_says_for_how_long(sale: Sale, settings: Any) -> None:
    settings.PASSWORD_RESET_TIMEOUT = 600
    text, _seen = forms(sale, "sign_in")
    assert "http://north.example/account/sign-in/" in text
    assert "The link works once, for 10 minutes." in text
