"""Payments that are opened as a code to scan, and what is done where a gateway gives none."""

from typing import Any

import pytest

from billing.errors import PaymentAway
from billing.models import Payment, PaymentInstance
from billing.payments import credentials
from tests.billing.orders import making
from tests.billing.payments.epay import accounts
from tests.billing.payments.epay.accounts import EPAY
from tests.fakes.epay import FakeEpay


@pytest.fixture
def v1_code(v1: PaymentInstance, gateway: FakeEpay) -> PaymentInstance:
    """The account of V1, whose buyers scan."""
    credentials.store(v1, accounts.v1_secrets(gateway, show="qr"))
    return v1


@pytest.fixture
def v2_code(v2: PaymentInstance, gateway: FakeEpay) -> PaymentInstance:
    """The account of V2, whose buyers scan."""
    credentials.store(v2, accounts.v2_secrets(gateway, show="qr"))
    return v2


def begun(instance: PaymentInstance) -> Payment:
    return accounts.begun(making.order_of(making.new_product(instance.tenant)), instance)


def code_of(payment: Payment, gateway: FakeEpay) -> str:
    """Return what the gateway has put into the code."""
    return f"{gateway.url}cashier/{gateway.order(payment.public_id.hex).trade_no}"


def test_v1_opens_a_code_and_a_page_of_the_same_payment(
    v1_code: PaymentInstance, gateway: FakeEpay
) -> None:
    payment = begun(v1_code)
    assert payment.qr_text == code_of(payment, gateway)
    assert "submit.php" in payment.redirect_url
    accounts.visit(payment.redirect_url)
    assert len(gateway.orders) == 1
    gateway.pay(payment.public_id.hex)
    assert EPAY.fetch(payment).status == "paid"


def test_v2_opens_a_code_and_a_page_of_the_same_payment(
    v2_code: PaymentInstance, gateway: FakeEpay
) -> None:
    payment = begun(v2_code)
    assert (payment.qr_text, payment.redirect_url) == (code_of(payment, gateway),) * 2
    assert len(gateway.orders) == 1


def test_where_a_gateway_has_a_page_only_it_is_the_page(
    v1_code: PaymentInstance, v2_code: PaymentInstance, gateway: FakeEpay
) -> None:
    gateway.gives = "payurl"
    for payment in (begun(v1_code), begun(v2_code)):
        assert (payment.qr_text, payment.redirect_url) == ("", code_of(payment, gateway))


@pytest.mark.parametrize(
    "says",
    [
        {"code": -1, "msg": "接口未开通"},
        *({"qrcode": text} for text in ("", "a b", "x" * 1001, None, ["x"], "二维码")),
    ],
)
def test_v1_falls_back_to_the_usual_page(
    v1_code: PaymentInstance, gateway: FakeEpay, says: dict[str, Any]
) -> None:
    gateway.says = says
    payment = begun(v1_code)
    assert (payment.qr_text, "submit.php" in payment.redirect_url) == ("", True)


def test_v1_goes_to_no_odd_address(v1_code: PaymentInstance, gateway: FakeEpay) -> None:
    gateway.gives, gateway.says = "payurl", {"payurl": "javascript:alert(1)"}
    with pytest.raises(PaymentAway):
        begun(v1_code)


def test_v2_does_without_a_code_that_is_none(v2_code: PaymentInstance, gateway: FakeEpay) -> None:
    gateway.gives, gateway.tampers = "payurl", {"pay_info": "https://evil.example/"}
    with pytest.raises(PaymentAway, match="signed"):
        begun(v2_code)
