"""Payments through a gateway that speaks epay (易支付): V1, signed by MD5, or V2, signed by RSA.

Called through the registry. An account's secrets are `url` (the gateway's base address), `pid`, and
`key` for V1 or `private_key` and `gateway_key` (base64 without armour) for V2; `type` is the way to
pay there, and without it buyers choose in the gateway's cashier. What comes from a gateway is at
most a hint until it was asked: a shared key that has leaked signs notifications just as well.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from billing.errors import CallbackRefused, PaymentAway, SealBroken
from billing.models import Payment, PaymentInstance
from billing.payments import credentials, outgoing
from billing.payments.base import Callback, Heard, Opening, ProviderState, Standing
from billing.payments.epay_signing import Md5Signing, RsaSigning, Signing

CURRENCY = "CNY"
PAID = "TRADE_SUCCESS"
TOLERANCE_S = 300

_CALLBACK_BYTES = 8 * 1024
_CALLBACK_FIELDS = 32
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VALUE_LENGTH = 1024

_PID = re.compile(r"[A-Za-z0-9]{1,32}")
_TYPE = re.compile(r"[A-Za-z0-9_]{0,20}")
_TRADE_NO = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OUR_ID = re.compile(r"[0-9a-fA-F]{32}")
_YUAN = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?")
_ADDRESS = re.compile(r"https?://[!-~]+")
_ADDRESS_LENGTH = 2000

_STANDINGS = {"0": Standing.OPEN, "1": Standing.PAID, "2": Standing.CANCELLED}
"""What a gateway calls unpaid, paid, and given back."""

Answer = Mapping[str, object]


class EpayProvider:
    """Implements `base.Hearing`."""

    name = "epay"

    def is_offered(self, instance: PaymentInstance) -> bool:
        """Offer it where all secrets are there and make sense, in shops that sell in CNY."""
        try:
            _account_of(instance)
        except PaymentAway:
            return False
        return instance.tenant.currency == CURRENCY

    def create(self, payment: Payment, *, return_url: str, notify_url: str) -> Opening:
        """Return the address of the payment; the gateway opens it once for each of our ids."""
        account = _account_of(payment.instance)
        if payment.currency != CURRENCY:
            raise PaymentAway(f"epay takes {CURRENCY} only, not {payment.currency}.")
        fields = {
            "pid": account.pid,
            "type": account.type,
            "out_trade_no": payment.public_id.hex,
            "notify_url": notify_url,
            "return_url": return_url,
            "name": payment.order.number,
            "money": _yuan(payment.amount_minor),
        }
        address = account.open({name: value for name, value in fields.items() if value})
        if not _ADDRESS.fullmatch(address) or len(address) > _ADDRESS_LENGTH:
            raise PaymentAway("The gateway names no address to send a buyer to.")
        return Opening(address)

    def fetch(self, payment: Payment) -> ProviderState:
        """Ask the gateway; what it does not know, because nobody has gone there yet, is open."""
        account = _account_of(payment.instance)
        try:
            return _state_of(account.ask(payment.public_id.hex), account)
        except _Refusal as refusal:
            if refusal.is_about_the_order:
                return ProviderState(Standing.OPEN, payment.amount_minor, payment.currency)
            raise

    def hear(self, instance: PaymentInstance, callback: Callback) -> Heard:
        """Verify a notification: that it is whole, fresh, signed, and of this account."""
        try:
            account = _account_of(instance)
        except PaymentAway as unfit:
            raise CallbackRefused(str(unfit)) from None
        fields = _fields_of(callback)
        signing = account.signing
        if fields.get("sign_type") != signing.sign_type or not signing.verify(fields):
            raise CallbackRefused("The signature is not the gateway's.")
        if fields.get("pid") != account.pid:
            raise CallbackRefused("It is for another merchant.")
        if fields.get("trade_status") != PAID:
            raise CallbackRefused("It does not say that something was paid.")
        if not account.is_fresh(fields):
            raise CallbackRefused("It was not signed just now.")
        trade_no = fields.get("trade_no", "")
        if not _TRADE_NO.fullmatch(trade_no):
            raise CallbackRefused("It names no payment of the gateway.")
        return Heard(
            event_id=f"{trade_no}:{PAID}",
            kind=PAID,
            payment=_our_id(fields.get("out_trade_no")),
            answer="success",
        )


class _Refusal(PaymentAway):
    """A gateway has answered that it won't, in its own words, of which a secret is cut out."""

    def __init__(self, answer: Answer, *, secret: str = "") -> None:
        words = str(answer.get("msg", ""))
        words = words.replace(secret, "***") if secret else words
        super().__init__(f"The gateway refuses: {words[:80]!r}.")
        # There is no code for "no such order" that all gateways agree on.
        self.is_about_the_order = "订单" in words or "order" in words.lower()


@dataclass(frozen=True)
class _Account:
    """A shop's account at a gateway; `url` ends in a slash."""

    url: str
    pid: str
    type: str
    signing: Signing = field(repr=False)

    def open(self, fields: dict[str, str]) -> str:
        """Return the address where these fields are paid."""
        raise NotImplementedError

    def ask(self, out_trade_no: str) -> Answer:
        """Return what the gateway says of a payment. Raises _Refusal."""
        raise NotImplementedError

    def is_fresh(self, fields: Answer) -> bool:
        """Tell whether a message of the gateway is of now."""
        raise NotImplementedError

    def signed(self, fields: dict[str, str]) -> dict[str, str]:
        """Return fields with their signature."""
        return {**fields, "sign": self.signing.sign(fields), "sign_type": self.signing.sign_type}


@dataclass(frozen=True)
class _V1(_Account):
    key: str = field(repr=False)

    def open(self, fields: dict[str, str]) -> str:
        """Sign a link: it is the buyer's browser that opens the payment there."""
        return f"{self.url}submit.php?{urlencode(self.signed(fields))}"

    def ask(self, out_trade_no: str) -> Answer:
        """Ask with the key in the query, which is how V1 has it."""
        query = {"act": "order", "pid": self.pid, "key": self.key, "out_trade_no": out_trade_no}
        answer = _parsed(outgoing.get(f"{self.url}api.php", query))
        if answer.get("code") != "1":
            raise _Refusal(answer, secret=self.key)
        return answer

    def is_fresh(self, fields: Answer) -> bool:
        """V1 has no time in its messages."""
        return True


@dataclass(frozen=True)
class _V2(_Account):
    def open(self, fields: dict[str, str]) -> str:
        """Open the payment as a page that a browser is sent to."""
        # The gateway's page sees the buyer's real address; nobody has told it to us.
        fields = {**fields, "method": "jump", "clientip": "127.0.0.1"}
        answer = self._call("api/pay/create", fields)
        if answer.get("pay_type") != "jump":
            raise PaymentAway("The gateway opens no page for this payment.")
        return _text(answer, "pay_info")

    def ask(self, out_trade_no: str) -> Answer:
        """Ask with a signature."""
        return self._call("api/pay/query", {"pid": self.pid, "out_trade_no": out_trade_no})

    def is_fresh(self, fields: Answer) -> bool:
        """Compare the time in a message with ours."""
        at = fields.get("timestamp")
        if not isinstance(at, str) or not re.fullmatch(r"[0-9]{1,12}", at):
            return False
        return abs(int(time.time()) - int(at)) <= TOLERANCE_S

    def _call(self, path: str, fields: dict[str, str]) -> Answer:
        form = self.signed({**fields, "timestamp": str(int(time.time()))})
        answer = _parsed(outgoing.post(f"{self.url}{path}", form))
        if answer.get("code") != "0":
            raise _Refusal(answer)
        if answer.get("sign_type", "RSA") != "RSA" or not self.signing.verify(answer):
            raise PaymentAway("The gateway's answer is not signed by it.")
        if not self.is_fresh(answer):
            raise PaymentAway("The gateway's answer was not signed just now.")
        return answer


def _account_of(instance: PaymentInstance | None) -> _Account:
    """Return an account with its secrets. Raises PaymentAway if one is missing or no use."""
    try:
        found = {} if instance is None else credentials.read(instance)
    except SealBroken:
        raise PaymentAway("The secrets of the account can't be opened.") from None
    url, pid, kind = (found.get(name, "").strip() for name in ("url", "pid", "type"))
    if not outgoing.is_usable(url) or not _PID.fullmatch(pid) or not _TYPE.fullmatch(kind):
        raise PaymentAway("The account has no usable url, pid or type.")
    url = f"{url.rstrip('/')}/"
    try:
        if "private_key" in found or "gateway_key" in found:
            private_key, gateway_key = found.get("private_key", ""), found.get("gateway_key", "")
            return _V2(url, pid, kind, RsaSigning(private_key=private_key, gateway_key=gateway_key))
        key = found.get("key", "").strip()
        return _V1(url, pid, kind, Md5Signing(key), key)
    except ValueError as wrong:
        raise PaymentAway(str(wrong)) from None


def _fields_of(callback: Callback) -> dict[str, str]:
    """Return the fields of a notification, each with its one value. Raises CallbackRefused."""
    try:
        raw = callback.query if callback.method == "GET" else callback.body.decode()
        if callback.method not in ("GET", "POST") or len(raw) > _CALLBACK_BYTES:
            raise ValueError
        pairs = parse_qsl(
            raw,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_CALLBACK_FIELDS,
        )
    except ValueError:
        raise CallbackRefused("It is no form of an ordinary size.") from None
    if callback.method == "POST" and callback.query:
        raise CallbackRefused("It has fields in two places.")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise CallbackRefused("It has a field twice.")
    if not all(_NAME.fullmatch(name) and len(fields[name]) <= _VALUE_LENGTH for name in fields):
        raise CallbackRefused("It has a list, or a field of unusual length.")
    return fields


def _parsed(body: bytes) -> Answer:
    """Return the object that an answer is; its numbers stay the texts that they were."""
    try:
        answer = json.loads(
            body,
            parse_int=str,
            parse_float=str,
            parse_constant=str,
            object_pairs_hook=_once,
        )
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise PaymentAway("The gateway's answer is no JSON object.")
    return answer


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A name stands twice in the gateway's answer.")
    return found


def _state_of(answer: Answer, account: _Account) -> ProviderState:
    """Return what a gateway's answer means. Raises PaymentAway."""
    standing = _STANDINGS.get(_text(answer, "status"))
    our_id = _our_id(answer.get("out_trade_no"))
    if standing is None or our_id is None or answer.get("pid", account.pid) != account.pid:
        raise PaymentAway("The gateway's answer is about no payment of this account.")
    reference = _text(answer, "trade_no")
    if not _TRADE_NO.fullmatch(reference):
        raise PaymentAway("The gateway's answer has no trade_no.")
    given_back = _minor(answer.get("refundmoney") or "0")
    return ProviderState(
        status=standing,
        amount_minor=_minor(answer.get("money")) - given_back,
        currency=CURRENCY,
        reference=reference,
        payment=our_id,
    )


def _text(answer: Answer, name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str):
        raise PaymentAway(f"The gateway's answer has no {name}.")
    return value


def _our_id(text: object) -> UUID | None:
    """Return the public id of a payment of ours that a text is, None if it is none."""
    return UUID(text) if isinstance(text, str) and _OUR_ID.fullmatch(text) else None


def _yuan(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _minor(text: object) -> int:
    """Return the fen of an amount in yuan. Raises PaymentAway for what is not exactly some."""
    found = _YUAN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise PaymentAway("The gateway's answer has no exact amount.")
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
