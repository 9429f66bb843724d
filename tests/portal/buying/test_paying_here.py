"""Paying on the order's page itself: a code that a phone scans, or a transfer by hand."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import segno
from django.utils import timezone

from billing import orders
from billing.models import Order, Payment, PaymentInstance
from billing.payments import credentials
from billing.scoping import tenant_scope
from tests.billing.payments.epay import accounts
from tests.fakes.epay import FakeEpay
from tests.portal.buying.buyer import Buyer

SCANNED = "weixin://wxpay/bizpayurl?pr=Zm9vYmFy"


@pytest.fixture
def transfers(buyer: Buyer) -> PaymentInstance:
    """A way to pay by hand."""
    with tenant_scope(buyer.shop.tenant.pk):
        return PaymentInstance.objects.create(
            tenant=buyer.shop.tenant, provider="manual", instructions="Bank <7>\nIBAN CH93 0076"
        )


@pytest.fixture
def ordered(buyer: Buyer) -> Callable[[PaymentInstance], Order]:
    """Order the pack in a browser, by a way to pay."""

    def order_by(instance: PaymentInstance) -> Order:
        answer = buyer.send(buyer.form(payment=str(instance.public_id)))
        order = buyer.orders()[-1]
        assert answer["location"] == buyer.path(order)
        return order

    return order_by


@pytest.fixture
def scanned(buyer: Buyer, gateway: FakeEpay, ordered: Callable[[PaymentInstance], Order]) -> Order:
    """An order that is to be paid by a code."""
    gateway.says = {"qrcode": SCANNED}
    with tenant_scope(buyer.shop.tenant.pk):
        account = accounts.new_instance(buyer.shop.tenant, accounts.v1_secrets(gateway))
        credentials.store(account, accounts.v1_secrets(gateway, show="qr"))
    return ordered(account)


def english(buyer: Buyer, order: Order) -> str:
    return buyer.client.get(buyer.path(order), headers={"accept-language": "en"}).text


def test_the_page_shows_the_code_and_waits(buyer: Buyer, scanned: Order) -> None:
    page = english(buyer, scanned)
    assert f'src="{buyer.path(scanned)}pay.svg"' in page
    assert "data-live=" in page
    assert "Open the payment page instead" in page
    assert SCANNED not in page


def test_the_code_is_what_the_gateway_gave(buyer: Buyer, scanned: Order) -> None:
    answer = buyer.client.get(f"{buyer.path(scanned)}pay.svg")
    assert answer["content-type"] == "image/svg+xml"
    assert segno.make(SCANNED, error="m", micro=False).svg_inline(
        border=2, omitsize=True, svgclass=None, lineclass=None
    ) in answer.text.replace(' xmlns="http://www.w3.org/2000/svg"', "")


def test_the_code_is_gone_once_it_was_paid(buyer: Buyer, scanned: Order, gateway: FakeEpay) -> None:
    gateway.pay(buyer.payment(scanned).public_id.hex)
    assert "/reveal/" in buyer.see(scanned)
    assert buyer.client.get(f"{buyer.path(scanned)}pay.svg").status_code == 404


def test_another_way_to_pay_has_no_code(buyer: Buyer, stranger: Buyer, scanned: Order) -> None:
    assert stranger.client.get(f"{buyer.path(scanned)}pay.svg").status_code == 404
    other = buyer.order()
    assert buyer.client.get(f"{buyer.path(other)}pay.svg").status_code == 404


def test_who_transfers_is_told_the_sum_the_purpose_and_where_to(
    buyer: Buyer, transfers: PaymentInstance, ordered: Callable[[PaymentInstance], Order]
) -> None:
    page = english(buyer, order := ordered(transfers))
    assert ">5.00</span>" in page
    assert f'<span id="transfer-purpose">{order.number}</span>' in page
    assert "Bank &lt;7&gt;\nIBAN CH93 0076</pre>" in page
    assert "Waiting for your transfer" in page
    assert "data-live=" in page


def test_a_transfer_is_looked_for_and_delivered(
    buyer: Buyer, transfers: PaymentInstance, ordered: Callable[[PaymentInstance], Order]
) -> None:
    payment = buyer.payment(order := ordered(transfers))
    with tenant_scope(order.tenant_id):
        orders.money_arrived(payment.pk, amount_minor=500, note="", actor="staff")
    assert "/reveal/" in buyer.see(order)


def test_after_three_days_nobody_is_told_to_transfer(
    buyer: Buyer, transfers: PaymentInstance, ordered: Callable[[PaymentInstance], Order]
) -> None:
    order = ordered(transfers)
    with tenant_scope(order.tenant_id):
        orders.expire_unpaid(timezone.now() + timedelta(days=3, seconds=1))
    assert buyer.payment(order).status == Payment.EXPIRED
    assert "IBAN" not in english(buyer, order)
