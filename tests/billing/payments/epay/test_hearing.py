"""Notifications: the gateway's own are heard, and nobody else's, whatever was done to them."""

import random
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from billing.errors import CallbackRefused
from billing.models import Payment, PaymentInstance
from billing.payments import credentials
from billing.payments.base import Callback
from tests.billing.orders import making
from tests.billing.payments.epay import accounts
from tests.billing.payments.epay.accounts import EPAY, callback
from tests.fakes.epay import FakeEpay, Fields, Placed, joined, key_pair, md5_sign, rsa_sign


@pytest.fixture
def paid(payment: Payment, gateway: FakeEpay) -> Placed:
    """A payment that its buyer has made, in the gateway's books."""
    return gateway.pay(payment.public_id.hex)


@pytest.fixture
def v1_paid(v1_payment: Payment, gateway: FakeEpay) -> Placed:
    return gateway.pay(v1_payment.public_id.hex)


@pytest.fixture
def v2_paid(v2: PaymentInstance, gateway: FakeEpay) -> Placed:
    payment = accounts.opened(making.order_of(making.new_product(v2.tenant)), v2)
    return gateway.pay(payment.public_id.hex)


def refused(instance: PaymentInstance, fields: Fields | str, *, method: str = "GET") -> None:
    told = callback(fields, method=method) if isinstance(fields, dict) else query(fields)
    with pytest.raises(CallbackRefused):
        EPAY.hear(instance, told)


def query(text: str) -> Callback:
    return Callback("GET", text, {}, b"")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_notification_names_the_payment(
    payment: Payment, paid: Placed, gateway: FakeEpay, method: str
) -> None:
    assert payment.instance
    fields = gateway.notification(paid)
    heard = EPAY.hear(payment.instance, callback(fields, method=method))
    assert (heard.payment, heard.kind) == (payment.public_id, "TRADE_SUCCESS")
    assert (heard.event_id, heard.answer) == (f"{paid.trade_no}:TRADE_SUCCESS", "success")


def test_the_same_event_has_the_same_name(
    instance: PaymentInstance, paid: Placed, gateway: FakeEpay
) -> None:
    repeated = [gateway.notification(paid), gateway.notification(paid, name="another name")]
    names = {EPAY.hear(instance, callback(fields)).event_id for fields in repeated}
    assert len(names) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_change_of_a_field_is_noticed(
    instance: PaymentInstance, paid: Placed, gateway: FakeEpay, method: str
) -> None:
    fields = gateway.notification(paid)
    for name in fields:
        refused(instance, {**fields, name: f"{fields[name]}1"}, method=method)
        refused(instance, {**fields, name: ""}, method=method)


def test_every_missing_field_is_noticed(
    instance: PaymentInstance, paid: Placed, gateway: FakeEpay
) -> None:
    fields = gateway.notification(paid)
    for name in fields:
        refused(instance, {key: fields[key] for key in fields if key != name})


def test_every_field_that_comes_twice_is_noticed(
    instance: PaymentInstance, paid: Placed, gateway: FakeEpay
) -> None:
    fields = gateway.notification(paid)
    for name in fields:
        refused(instance, urlencode([*fields.items(), (name, fields[name])]))
        refused(instance, urlencode([(name, "1"), *fields.items()]))


def test_every_field_that_is_a_list_is_noticed(
    instance: PaymentInstance, paid: Placed, gateway: FakeEpay
) -> None:
    fields = gateway.notification(paid)
    for name in fields:
        refused(instance, urlencode({**fields, f"{name}[]": "1"}))
        refused(
            instance, urlencode([(f"{name}[0]" if n == name else n, fields[n]) for n in fields])
        )


def test_an_added_field_is_noticed(
    instance: PaymentInstance, paid: Placed, gateway: FakeEpay
) -> None:
    refused(instance, {**gateway.notification(paid), "param": "x"})


@pytest.mark.parametrize("key", ["", " ", "None", "0", "another", "1001"])
def test_a_wrong_key_forges_nothing(
    instance: PaymentInstance, paid: Placed, gateway: FakeEpay, key: str
) -> None:
    refused(instance, gateway.notification(paid, forged_with=key))


def test_v2_takes_no_signature_of_v1(
    v2: PaymentInstance, v2_paid: Placed, gateway: FakeEpay
) -> None:
    for secret in ("", key_pair("gateway").public, "k3y"):
        fields = gateway.notification(v2_paid, forged_with=secret)
        refused(v2, fields)
        refused(v2, {**fields, "sign_type": "RSA"})


def test_v1_takes_no_signature_of_v2(
    v1: PaymentInstance, v1_paid: Placed, gateway: FakeEpay
) -> None:
    fields = gateway.notification(v1_paid)
    refused(v1, {**fields, "sign": rsa_sign(gateway.keys, joined(fields)), "sign_type": "RSA"})


@pytest.mark.parametrize("owner", ["merchant 1001", "merchant 2002"])
def test_v2_takes_no_merchants_signature(
    v2: PaymentInstance, v2_paid: Placed, gateway: FakeEpay, owner: str
) -> None:
    fields = gateway.notification(v2_paid)
    refused(v2, {**fields, "sign": rsa_sign(key_pair(owner), joined(fields))})


def test_another_merchants_notification_is_not_ours(
    instance: PaymentInstance, paid: Placed, gateway: FakeEpay
) -> None:
    paid.account = gateway.open_account("2002", key="k3y")
    refused(instance, gateway.notification(paid))


@pytest.mark.parametrize("status", ["TRADE_CLOSED", "trade_success", "TRADE_FINISHED", ""])
def test_only_success_is_heard(
    instance: PaymentInstance, paid: Placed, gateway: FakeEpay, status: str
) -> None:
    refused(instance, gateway.notification(paid, trade_status=status))


@pytest.mark.parametrize("age_s", [-290, 0, 290])
def test_v2_hears_what_is_five_minutes_old(
    v2: PaymentInstance, v2_paid: Placed, gateway: FakeEpay, age_s: int
) -> None:
    at = str(int(time.time()) - age_s)
    assert EPAY.hear(v2, callback(gateway.notification(v2_paid, timestamp=at))).payment


@pytest.mark.parametrize("age_s", [-3600, -310, 310, 86_400])
def test_v2_hears_nothing_of_another_time(
    v2: PaymentInstance, v2_paid: Placed, gateway: FakeEpay, age_s: int
) -> None:
    refused(v2, gateway.notification(v2_paid, timestamp=str(int(time.time()) - age_s)))


@pytest.mark.parametrize("at", ["", "now", "1e9", "-1", "٣", "9" * 400])
def test_v2_hears_nothing_without_a_time(
    v2: PaymentInstance, v2_paid: Placed, gateway: FakeEpay, at: str
) -> None:
    refused(v2, gateway.notification(v2_paid, timestamp=at))


@pytest.mark.parametrize("number", ["T1O7P1", "", "0" * 31, "0" * 33, "g" * 32, "{" + "0" * 32])
def test_what_is_not_about_a_payment_of_ours_names_none(
    v1: PaymentInstance, v1_paid: Placed, gateway: FakeEpay, number: str
) -> None:
    fields = gateway.notification(v1_paid, out_trade_no=number)
    assert EPAY.hear(v1, callback(fields)).payment is None


@pytest.mark.parametrize("number", ["", "x" * 65, "a b", "1\n2", "é"])
def test_an_event_needs_an_ordinary_name(
    v1: PaymentInstance, v1_paid: Placed, gateway: FakeEpay, number: str
) -> None:
    refused(v1, gateway.notification(v1_paid, trade_no=number))


@pytest.mark.parametrize(
    "more",
    [
        {f"f{number}": "1" for number in range(24)},
        {"param": "x" * 1025},
        {"n" * 65: "1"},
        {f"p{number}": "x" * 1000 for number in range(9)},
    ],
    ids=["fields", "value", "name", "whole"],
)
def test_signed_or_not_a_notification_has_an_ordinary_size(
    v1: PaymentInstance, v1_paid: Placed, gateway: FakeEpay, more: dict[str, str]
) -> None:
    refused(v1, gateway.notification(v1_paid, **more))


def test_the_values_at_the_limits_are_heard(
    v1: PaymentInstance, v1_paid: Placed, gateway: FakeEpay
) -> None:
    fields = gateway.notification(v1_paid, param="x" * 1024, trade_no="9" * 64)
    assert len(EPAY.hear(v1, callback(fields)).event_id) <= 128


@pytest.mark.parametrize("text", ["", "&", "pid", "a=%ff", "a=1&&b=2", "{}", "pid=1001;sign=x"])
def test_what_is_no_form_is_refused(v1: PaymentInstance, text: str) -> None:
    refused(v1, text)


def test_fields_come_from_one_place(
    v1: PaymentInstance, v1_paid: Placed, gateway: FakeEpay
) -> None:
    text = urlencode(gateway.notification(v1_paid))
    for told in (
        Callback("POST", text, {}, text.encode()),
        Callback("POST", text, {}, b""),
        Callback("PUT", text, {}, text.encode()),
        Callback("GET", "", {}, text.encode()),
        Callback("POST", "", {}, text.encode("utf-16")),
    ):
        with pytest.raises(CallbackRefused):
            EPAY.hear(v1, told)


def test_an_account_that_has_lost_its_key_hears_nothing(
    v1: PaymentInstance, v1_paid: Placed, gateway: FakeEpay
) -> None:
    for key in ("", " "):
        credentials.store(v1, accounts.v1_secrets(gateway, key=key))
        refused(v1, gateway.notification(v1_paid, forged_with=key))
    v1.sealed_secrets = None
    refused(v1, gateway.notification(v1_paid, forged_with=""))


def test_another_shops_key_opens_nothing(
    v1: PaymentInstance, v1_paid: Placed, gateway: FakeEpay
) -> None:
    credentials.store(v1, accounts.v1_secrets(gateway, key="of another"))
    refused(v1, gateway.notification(v1_paid))


def test_a_thousand_mutations_are_refused(
    v1: PaymentInstance, v1_paid: Placed, gateway: FakeEpay
) -> None:
    fields, chance = gateway.notification(v1_paid, param="1"), random.Random(7)
    text = urlencode(fields)
    for _ in range(1_000):
        place = chance.randrange(len(text))
        mutated = text[:place] + chance.choice("0aA&=%+[\x00") + text[place + 1 :]
        if dict(parse_qsl(mutated, keep_blank_values=True)) != fields:
            refused(v1, mutated)


def test_hearing_leaves_the_fields_as_they_were(v1: PaymentInstance, gateway: FakeEpay) -> None:
    fields: dict[str, Any] = {"pid": "1001", "trade_no": "1", "trade_status": "TRADE_SUCCESS"}
    signed = {**fields, "sign": md5_sign("k3y", fields), "sign_type": "MD5"}
    told = callback(signed)
    assert EPAY.hear(v1, told) == EPAY.hear(v1, told)
