"""What a gateway is told and asked, and what of its answers is believed."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from pytest_django import Settings

from billing.errors import PaymentAway
from billing.models import Payment, PaymentInstance, Tenant
from billing.payments import credentials
from billing.payments.epay_gateway import account_of
from tests.billing.orders import making
from tests.billing.payments.epay import accounts
from tests.billing.payments.epay.accounts import EPAY
from tests.fakes.epay import Canned, FakeEpay, md5_sign


def create(payment: Payment) -> str:
    return EPAY.create(
        payment, return_url="https://north.example/back/", notify_url=accounts.NOTIFY_URL
    ).address


def answer(gateway: FakeEpay, **changes: Any) -> None:
    """Let the gateway answer in JSON that no gateway's library would write."""
    said = {"code": 1, "trade_no": "1", "out_trade_no": uuid4().hex, "status": 1, "money": "5.00"}
    gateway.instead = Canned(json.dumps(said | changes).encode())


def test_anaccount_of_each_version_is_offered(instance: PaymentInstance) -> None:
    assert EPAY.is_offered(instance)


@pytest.mark.parametrize("name", ["url", "pid", "key"])
def test_anaccount_of_v1_without_a_secret_is_not_offered(
    v1: PaymentInstance, gateway: FakeEpay, name: str
) -> None:
    credentials.store(v1, accounts.v1_secrets(gateway, **{name: " "}))
    assert not EPAY.is_offered(v1)


@pytest.mark.parametrize("name", ["url", "pid", "private_key", "gateway_key"])
def test_anaccount_of_v2_without_a_secret_is_not_offered(
    v2: PaymentInstance, gateway: FakeEpay, name: str
) -> None:
    secrets = accounts.v2_secrets(gateway, key="k3y")
    credentials.store(v2, {key: secrets[key] for key in secrets if key != name})
    assert not EPAY.is_offered(v2)


@pytest.mark.parametrize(
    "change", [{"url": "pay.example"}, {"url": "ftp://x/"}, {"pid": "1 or 1"}, {"type": "a&b"}]
)
def test_an_account_with_senseless_secrets_is_not_offered(
    v1: PaymentInstance, gateway: FakeEpay, change: dict[str, str]
) -> None:
    credentials.store(v1, accounts.v1_secrets(gateway, **change))
    assert not EPAY.is_offered(v1)


def test_an_account_whose_secrets_are_lost_is_not_offered(
    v1: PaymentInstance, settings: Settings
) -> None:
    settings.SEALING_KEYS = f"1:{'00' * 32}"
    assert not EPAY.is_offered(v1)


def test_an_account_without_any_secrets_is_not_offered(shop: Tenant) -> None:
    assert not EPAY.is_offered(PaymentInstance.objects.create(tenant=shop, provider="epay"))


def test_a_shop_that_sells_in_another_currency_is_not_offered_it(instance: PaymentInstance) -> None:
    instance.tenant.currency = "USD"
    assert not EPAY.is_offered(instance)


def test_another_currency_is_never_asked_for(payment: Payment) -> None:
    payment.currency = "USD"
    with pytest.raises(PaymentAway, match="CNY"):
        create(payment)


def test_a_link_of_v1_says_what_is_to_be_paid(v1: PaymentInstance, shop: Tenant) -> None:
    order = making.order_of(making.new_product(shop, price_minor=1_234_505))
    payment = accounts.begun(order, v1)
    fields = dict(parse_qsl(urlsplit(payment.redirect_url).query))
    assert fields.pop("sign") == md5_sign("k3y", fields)
    assert fields == {
        "pid": "1001",
        "type": "alipay",
        "out_trade_no": payment.public_id.hex,
        "notify_url": accounts.NOTIFY_URL,
        "return_url": "https://north.example/orders/N1/secret/",
        "name": order.number,
        "money": "12345.05",
        "sign_type": "MD5",
    }


def test_without_a_type_it_is_not_sent(v1: PaymentInstance, gateway: FakeEpay) -> None:
    secrets = accounts.v1_secrets(gateway)
    del secrets["type"]
    credentials.store(v1, secrets)
    payment = accounts.opened(making.order_of(making.new_product(v1.tenant)), v1)
    assert "type" not in gateway.order(payment.public_id.hex).asked


def test_a_base_address_may_have_a_path_and_no_slash(v1: PaymentInstance) -> None:
    credentials.store(v1, {"url": "https://pay.example/epay", "pid": "1", "key": "k"})
    payment = accounts.begun(making.order_of(making.new_product(v1.tenant)), v1)
    assert payment.redirect_url.startswith("https://pay.example/epay/submit.php?")


def test_the_same_payment_is_opened_once(payment: Payment, gateway: FakeEpay) -> None:
    again = accounts.EPAY.create(
        payment,
        return_url="https://north.example/orders/N1/secret/",
        notify_url=accounts.NOTIFY_URL,
    )
    assert again.address == payment.redirect_url
    accounts.visit(again.address)
    assert len(gateway.orders) == 1


def test_v2_leads_to_the_page_that_the_gateway_names(v2: PaymentInstance, shop: Tenant) -> None:
    payment = accounts.begun(making.order_of(making.new_product(shop)), v2)
    assert "/cashier/" in payment.redirect_url


@pytest.mark.parametrize(
    "says",
    [
        {"pay_type": "qrcode"},
        *({"pay_info": address} for address in ("", "javascript:alert(1)", "https://x/ y", None)),
        {"pay_info": "https://pay.example/" + "x" * 2000},
        {"pay_info": ["https://pay.example/"]},
        {"timestamp": "1700000000"},
        {"timestamp": None},
        {"sign_type": "MD5"},
        {"code": 1},
    ],
)
def test_v2_goes_nowhere_else(
    v2: PaymentInstance, shop: Tenant, gateway: FakeEpay, says: dict[str, Any]
) -> None:
    gateway.says = says
    with pytest.raises(PaymentAway):
        accounts.begun(making.order_of(making.new_product(shop)), v2)


def test_v2_believes_no_answer_that_was_tampered_with(
    v2: PaymentInstance, shop: Tenant, gateway: FakeEpay
) -> None:
    gateway.tampers = {"pay_info": "https://evil.example/"}
    with pytest.raises(PaymentAway, match="signed"):
        accounts.begun(making.order_of(making.new_product(shop)), v2)


def test_what_is_not_paid_yet_is_open(payment: Payment, gateway: FakeEpay) -> None:
    state = EPAY.fetch(payment)
    assert (state.status, state.payment) == ("open", payment.public_id)


def test_what_nobody_has_opened_is_open(instance: PaymentInstance, gateway: FakeEpay) -> None:
    payment = accounts.begun(making.order_of(making.new_product(instance.tenant)), instance)
    gateway.orders.clear()
    assert EPAY.fetch(payment).status == "open"


def test_what_is_paid_has_its_amount_and_reference(payment: Payment, gateway: FakeEpay) -> None:
    order = gateway.pay(payment.public_id.hex, money="9.9")
    state = EPAY.fetch(payment)
    assert (state.status, state.amount_minor, state.currency) == ("paid", 990, "CNY")
    assert (state.reference, state.payment) == (order.trade_no, payment.public_id)


def test_what_was_paid_and_went_back_is_told_apart(payment: Payment, gateway: FakeEpay) -> None:
    gateway.refund(payment.public_id.hex)
    state = EPAY.fetch(payment)
    assert (state.status, state.amount_minor, state.refunded_minor) == ("paid", 500, 500)


def test_what_went_back_in_part_is_known(v1_payment: Payment, gateway: FakeEpay) -> None:
    gateway.pay(v1_payment.public_id.hex)
    gateway.says = {"refundmoney": "1.50"}
    state = EPAY.fetch(v1_payment)
    assert (state.amount_minor, state.refunded_minor) == (500, 150)


def test_more_can_not_go_back_than_came(v1_payment: Payment, gateway: FakeEpay) -> None:
    gateway.pay(v1_payment.public_id.hex)
    gateway.says = {"refundmoney": "5.01"}
    with pytest.raises(PaymentAway):
        EPAY.fetch(v1_payment)


@pytest.mark.parametrize(
    ("money", "minor"), [("5", 500), ("5.0", 500), ("0.01", 1), (5.25, 525), (7, 700)]
)
def test_amounts_are_read_exactly(
    v1_payment: Payment, gateway: FakeEpay, money: object, minor: int
) -> None:
    gateway.says = {"money": money}
    assert EPAY.fetch(v1_payment).amount_minor == minor


@pytest.mark.parametrize(
    "money",
    [
        *("9.999", "1e3", "-5.00", "+5", "", " 5", "5.", ".5", "1,000.00", "NaN", "٥", "0x5"),
        *(None, True, ["5.00"], {"0": "5.00"}, 1e30, 0.001, "9" * 10),
    ],
)
def test_what_is_no_exact_amount_is_no_answer(
    v1_payment: Payment, gateway: FakeEpay, money: object
) -> None:
    gateway.pay(v1_payment.public_id.hex)
    gateway.says = {"money": money}
    with pytest.raises(PaymentAway):
        EPAY.fetch(v1_payment)


@pytest.mark.parametrize(
    "says",
    [
        *({"status": status} for status in (3, "", None, [1], "paid")),
        *({"out_trade_no": number} for number in (None, "", "T1", ["x"])),
        *({"trade_no": number} for number in (None, "", "x" * 65, "a b", 1.5e99)),
        {"pid": 2002},
    ],
)
def test_an_answer_about_something_else_is_none(
    v1_payment: Payment, gateway: FakeEpay, says: dict[str, Any]
) -> None:
    gateway.pay(v1_payment.public_id.hex)
    gateway.says = says
    with pytest.raises(PaymentAway):
        EPAY.fetch(v1_payment)


def test_v2_believes_no_state_that_was_tampered_with(
    v2: PaymentInstance, shop: Tenant, gateway: FakeEpay
) -> None:
    payment = accounts.opened(making.order_of(making.new_product(shop)), v2)
    gateway.tampers = {"status": 1}
    with pytest.raises(PaymentAway, match="signed"):
        EPAY.fetch(payment)


def test_a_state_says_of_which_payment_it_is(v1: PaymentInstance, gateway: FakeEpay) -> None:
    payment = accounts.begun(making.order_of(making.new_product(v1.tenant)), v1)
    answer(gateway)
    assert EPAY.fetch(payment).payment not in (None, payment.public_id)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"1", b"null", b'{"code":1', b"[" * 100_000, b"\xff\xfe\xff"),
    ],
)
def test_what_is_no_json_object_is_no_answer(
    v1_payment: Payment, gateway: FakeEpay, body: bytes
) -> None:
    gateway.instead = Canned(body)
    with pytest.raises(PaymentAway):
        EPAY.fetch(v1_payment)


def test_an_answer_that_says_two_things_says_nothing(
    v1_payment: Payment, gateway: FakeEpay
) -> None:
    answer(gateway)
    assert gateway.instead
    twice = gateway.instead.body.replace(b'"status": 1', b'"status": 0, "status": 1')
    gateway.instead = Canned(twice)
    with pytest.raises(PaymentAway, match="JSON"):
        EPAY.fetch(v1_payment)


def test_a_byte_order_mark_does_no_harm(v1: PaymentInstance, gateway: FakeEpay) -> None:
    payment = accounts.begun(making.order_of(making.new_product(v1.tenant)), v1)
    answer(gateway)
    assert gateway.instead
    gateway.instead = Canned(b"\xef\xbb\xbf" + gateway.instead.body)
    assert EPAY.fetch(payment).status == "paid"


def test_a_wrong_key_is_said_without_saying_the_key(v1: PaymentInstance, gateway: FakeEpay) -> None:
    payment = accounts.opened(making.order_of(making.new_product(v1.tenant)), v1)
    gateway.instead = Canned('{"code":-3,"msg":"密钥 k3y 错误"}'.encode())
    with pytest.raises(PaymentAway, match="密钥") as away:
        EPAY.fetch(payment)
    assert "k3y" not in str(away.value)


def test_no_account_shows_its_secrets(instance: PaymentInstance) -> None:
    secrets = credentials.read(instance)
    told = {secrets.pop("url"), secrets.pop("pid"), secrets.pop("type")}
    shown = repr(account_of(instance))
    assert all(text in shown for text in told)
    assert secrets
    assert not any(secret in shown for secret in secrets.values())
