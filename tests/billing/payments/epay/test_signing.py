"""What an epay gateway signs, and what passes for signed: the published vectors, and no others."""

import base64

import pytest

from billing.payments.epay_signing import Md5Signing, RsaSigning, text_to_sign
from tests.fakes.epay import KeyPair, key_pair, rsa_sign, rsa_verify

NOTIFICATION = {
    "pid": "1001",
    "trade_no": "2026112200000012345",
    "out_trade_no": "T1O7P1",
    "type": "alipay",
    "name": "9w token",
    "money": "9.9",
    "trade_status": "TRADE_SUCCESS",
    "sign": "2d2d4be3a1b55f9a728ffc7bfcb90ac4",
    "sign_type": "MD5",
}
ORDER = {
    "pid": "1001",
    "type": "alipay",
    "out_trade_no": "T1O7P1",
    "notify_url": "http://127.0.0.1:8000/pay/epay/1/notify",
    "return_url": "http://127.0.0.1:8000/o/abc",
    "name": "9w token",
    "money": "9.90",
    "param": "",
}


@pytest.fixture(scope="module")
def ours() -> KeyPair:
    return key_pair("merchant 1001")


@pytest.fixture(scope="module")
def theirs() -> KeyPair:
    return key_pair("gateway")


@pytest.fixture
def rsa(ours: KeyPair, theirs: KeyPair) -> RsaSigning:
    return RsaSigning(private_key=ours.private, gateway_key=theirs.public)


@pytest.mark.parametrize(
    ("key", "fields", "signature"),
    [
        ("1234567", {"device": "devicev", "money": "moneyv"}, "3854cc9f022e0fb821bd2e002260245d"),
        ("k3y", ORDER, "f3876d50fe5abd18f9880aadf497afa1"),
        ("k3y", NOTIFICATION, NOTIFICATION["sign"]),
    ],
)
def test_md5_signs_as_published(key: str, fields: dict[str, str], signature: str) -> None:
    assert Md5Signing(key).sign(fields) == signature


def test_fields_are_signed_in_order_without_signature_and_blanks() -> None:
    fields = {"b": "2 &=%", "a": "", "sign": "x", "c": " \t", "sign_type": "MD5", "B": "1"}
    assert text_to_sign(fields) == "B=1&b=2 &=%"


def test_values_of_json_are_signed_as_their_text() -> None:
    fields = {"code": 0, "list": ["x"], "none": None, "yes": True, "no": False, "map": {"a": 1}}
    assert text_to_sign(fields) == "code=0&yes=1"


def test_a_published_notification_is_genuine() -> None:
    assert Md5Signing("k3y").verify(NOTIFICATION)


@pytest.mark.parametrize("name", [name for name in NOTIFICATION if name != "sign_type"])
def test_md5_notices_every_change(name: str) -> None:
    signing = Md5Signing("k3y")
    assert not signing.verify({**NOTIFICATION, name: NOTIFICATION[name] + "0"})
    assert not signing.verify({key: NOTIFICATION[key] for key in NOTIFICATION if key != name})


def test_md5_notices_what_was_added() -> None:
    assert not Md5Signing("k3y").verify({**NOTIFICATION, "buyer": "x"})


@pytest.mark.parametrize("signature", [None, "", "é", ["x"], str(NOTIFICATION["sign"]).upper()])
def test_md5_refuses_what_is_no_signature(signature: object) -> None:
    assert not Md5Signing("k3y").verify({**NOTIFICATION, "sign": signature})


@pytest.mark.parametrize("key", ["", " ", "\t\n"])
def test_an_empty_key_signs_nothing(key: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        Md5Signing(key)


def test_rsa_signs_what_others_can_verify(rsa: RsaSigning, ours: KeyPair) -> None:
    assert rsa_verify(ours, text_to_sign(ORDER), rsa.sign(ORDER))


def test_rsa_takes_what_the_gateway_has_signed(rsa: RsaSigning, theirs: KeyPair) -> None:
    assert rsa.verify({**ORDER, "sign": rsa_sign(theirs, text_to_sign(ORDER))})


def test_rsa_refuses_what_we_have_signed_ourselves(rsa: RsaSigning) -> None:
    assert not rsa.verify({**ORDER, "sign": rsa.sign(ORDER)})


@pytest.mark.parametrize("name", [name for name in ORDER if name != "param"])
def test_rsa_notices_every_change(rsa: RsaSigning, theirs: KeyPair, name: str) -> None:
    signed = {**ORDER, "sign": rsa_sign(theirs, text_to_sign(ORDER))}
    assert not rsa.verify({**signed, name: signed[name] + "0"})
    assert not rsa.verify({key: signed[key] for key in signed if key != name})


@pytest.mark.parametrize("signature", [None, "", "é", "====", "AAAA", ["x"]])
def test_rsa_refuses_what_is_no_signature(rsa: RsaSigning, signature: object) -> None:
    assert not rsa.verify({**ORDER, "sign": signature})


def test_what_can_not_be_sent_is_never_genuine(rsa: RsaSigning) -> None:
    assert not rsa.verify({"name": "\ud800", "sign": "AAAA"})


@pytest.mark.parametrize("key", ["", "no base64", base64.b64encode(b"no key").decode()])
def test_keys_that_are_none_are_refused(ours: KeyPair, key: str) -> None:
    with pytest.raises(ValueError, match="RSA"):
        RsaSigning(private_key=key, gateway_key=ours.public)
    with pytest.raises(ValueError, match="RSA"):
        RsaSigning(private_key=ours.private, gateway_key=key)


def test_keys_in_each_others_place_are_refused(ours: KeyPair) -> None:
    with pytest.raises(ValueError, match="RSA"):
        RsaSigning(private_key=ours.public, gateway_key=ours.private)
