"""Accounts at epay gateways, of V1 and V2: what each asks its gateway, and what the answers say.

Called by `billing.payments.epay`. An account is made of the secrets of an instance. Amounts are in
minor units here and in yuan there; a gateway's numbers stay the texts that they were.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from billing.errors import PaymentAway, SealBroken
from billing.models import PaymentInstance
from billing.payments import credentials, outgoing
from billing.payments.base import Opening, Outcome, RefundState
from billing.payments.epay_signing import Md5Signing, RsaSigning, Signing

TOLERANCE_S = 300

_PID = re.compile(r"[A-Za-z0-9]{1,32}")
_TYPE = re.compile(r"[A-Za-z0-9_]{0,20}")
_ADDRESS = re.compile(r"https?://[!-~]+")
_ADDRESS_LENGTH = 2000
_CODE = re.compile(r"[!-~]{1,1000}")
_REFUND_NO = re.compile(r"[A-Za-z0-9._-]{1,64}")
_YUAN = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?")

_BUYER = {"clientip": "127.0.0.1", "device": "pc"}
"""The gateway's own page sees the buyer's real address; nobody has told it to us."""

Answer = Mapping[str, object]
Fields = dict[str, str]


class Refusal(PaymentAway):
    """A gateway has answered that it won't, in its own words, of which a secret is cut out."""

    def __init__(self, answer: Answer, *, secret: str = "") -> None:
        words = str(answer.get("msg", ""))
        words = words.replace(secret, "***") if secret else words
        super().__init__(f"The gateway refuses: {words[:80]!r}.")
        # There is no code for "no such order" that all gateways agree on.
        self.is_about_the_order = "订单" in words or "order" in words.lower()


@dataclass(frozen=True)
class Account:
    """A shop's account at a gateway; `url` ends in a slash.

    With `shows_code` buyers are shown a code to scan, where the gateway gives one.
    """

    url: str
    pid: str
    type: str
    shows_code: bool
    signing: Signing = field(repr=False)

    def open(self, fields: Fields) -> Opening:
        """Return where these fields are paid. Raises PaymentAway."""
        raise NotImplementedError

    def ask(self, out_trade_no: str) -> Answer:
        """Return what the gateway says of a payment. Raises Refusal."""
        raise NotImplementedError

    def refund(self, trade_no: str, *, amount_minor: int, refund_no: str) -> RefundState:
        """Give money of a payment back. Raises PaymentAway where nobody knows whether it did."""
        raise NotImplementedError

    def close(self, out_trade_no: str) -> None:
        """End a payment that nobody has made, where the version has a way to. Raises Refusal."""
        raise NotImplementedError

    def ask_about_itself(self) -> Answer:
        """Return what the gateway says of the account. Raises Refusal."""
        raise NotImplementedError

    def is_fresh(self, fields: Answer) -> bool:
        """Tell whether a message of the gateway is of now."""
        raise NotImplementedError

    def signed(self, fields: Fields) -> Fields:
        """Return fields with their signature."""
        return {**fields, "sign": self.signing.sign(fields), "sign_type": self.signing.sign_type}


@dataclass(frozen=True)
class _V1(Account):
    key: str = field(repr=False)

    def open(self, fields: Fields) -> Opening:
        """Sign a link: it is the buyer's browser that opens the payment there.

        A code needs a call of ours first. Gateways that give none have their page all the same.
        """
        page = usable_address(f"{self.url}submit.php?{urlencode(self.signed(fields))}")
        if not self.shows_code:
            return Opening(page)
        try:
            form = self.signed({**fields, **_BUYER})
            answer = self._checked(outgoing.post(f"{self.url}mapi.php", form))
        except PaymentAway:
            return Opening(page)
        code, address = answer.get("qrcode"), answer.get("payurl")
        if is_code(code):
            return Opening(page, str(code))
        return Opening(usable_address(address) if address else page)

    def ask(self, out_trade_no: str) -> Answer:
        """Ask with the key in the query, which is how V1 has it."""
        return self._asked({"act": "order", "out_trade_no": out_trade_no})

    def ask_about_itself(self) -> Answer:
        """Ask in the same way."""
        return self._asked({"act": "query"})

    def refund(self, trade_no: str, *, amount_minor: int, refund_no: str) -> RefundState:
        """Ask for it once: V1 has no name of a refund by which it would know the second time.

        0 is done, and less is refused. With anything else, such as the 1 that its other calls end
        well with, nobody knows.
        """
        money = yuan(amount_minor)
        form = {"pid": self.pid, "key": self.key, "trade_no": trade_no, "money": money}
        answer = parsed(outgoing.post(f"{self.url}api.php", form, query={"act": "refund"}))
        code = answer.get("code")
        if code == "0":
            return RefundState(Outcome.DONE)
        refusal = Refusal(answer, secret=self.key)
        if isinstance(code, str) and re.fullmatch(r"-[0-9]+", code):
            return RefundState(Outcome.FAILED, failure=str(refusal))
        raise refusal

    def close(self, out_trade_no: str) -> None:
        """Do nothing: V1 has no such call, and what is paid late is found all the same."""

    def is_fresh(self, fields: Answer) -> bool:
        """V1 has no time in its messages."""
        return True

    def _asked(self, query: Fields) -> Answer:
        query = {**query, "pid": self.pid, "key": self.key}
        return self._checked(outgoing.get(f"{self.url}api.php", query))

    def _checked(self, body: bytes) -> Answer:
        answer = parsed(body)
        if answer.get("code") != "1":
            raise Refusal(answer, secret=self.key)
        return answer


@dataclass(frozen=True)
class _V2(Account):
    def open(self, fields: Fields) -> Opening:
        """Open the payment as a page that a browser is sent to, or as a code and that page."""
        if self.shows_code:
            answer = self._created(fields, "web")
            kind, what = answer.get("pay_type"), text_in(answer, "pay_info")
            if kind == "jump":
                return Opening(usable_address(what))
            if kind == "qrcode" and is_code(what):
                return Opening(self._page_beside_code(fields), what)
        answer = self._created(fields, "jump")
        if answer.get("pay_type") != "jump":
            raise PaymentAway("The gateway opens no page for this payment.")
        return Opening(usable_address(text_in(answer, "pay_info")))

    def ask(self, out_trade_no: str) -> Answer:
        """Ask with a signature."""
        return self._call("api/pay/query", {"out_trade_no": out_trade_no})

    def ask_about_itself(self) -> Answer:
        """Ask in the same way; the answer is signed, so that both keys are tried."""
        return self._call("api/merchant/info", {})

    def refund(self, trade_no: str, *, amount_minor: int, refund_no: str) -> RefundState:
        """Ask by a name of the refund, which the answer has to repeat."""
        named = {"trade_no": trade_no, "out_refund_no": refund_no}
        try:
            answer = self._call("api/pay/refund", {**named, "money": yuan(amount_minor)})
        except Refusal as refusal:
            return RefundState(Outcome.FAILED, failure=str(refusal))
        if any(answer.get(name, value) != value for name, value in named.items()):
            raise PaymentAway("The gateway's answer is about another refund.")
        reference = answer.get("refund_no")
        is_name = isinstance(reference, str) and _REFUND_NO.fullmatch(reference)
        return RefundState(Outcome.DONE, reference=str(reference) if is_name else "")

    def close(self, out_trade_no: str) -> None:
        """Close it; one that was never opened there is no less closed."""
        try:
            self._call("api/pay/close", {"out_trade_no": out_trade_no})
        except Refusal as refusal:
            if not refusal.is_about_the_order:
                raise

    def is_fresh(self, fields: Answer) -> bool:
        """Compare the time in a message with ours."""
        at = fields.get("timestamp")
        if not isinstance(at, str) or not re.fullmatch(r"[0-9]{1,12}", at):
            return False
        return abs(int(time.time()) - int(at)) <= TOLERANCE_S

    def _page_beside_code(self, fields: Fields) -> str:
        """Return the page of a payment that was opened as a code, "" if there is none beside it."""
        try:
            answer = self._created(fields, "jump")
            return usable_address(answer.get("pay_info"))
        except PaymentAway:
            return ""

    def _created(self, fields: Fields, method: str) -> Answer:
        return self._call("api/pay/create", {**fields, **_BUYER, "method": method})

    def _call(self, path: str, fields: Fields) -> Answer:
        now = str(int(time.time()))
        form = self.signed({"pid": self.pid, **fields, "timestamp": now})
        answer = parsed(outgoing.post(f"{self.url}{path}", form))
        if answer.get("code") != "0":
            raise Refusal(answer)
        if answer.get("sign_type", "RSA") != "RSA" or not self.signing.verify(answer):
            raise PaymentAway("The gateway's answer is not signed by it.")
        if not self.is_fresh(answer):
            raise PaymentAway("The gateway's answer was not signed just now.")
        return answer


def account_of(instance: PaymentInstance | None) -> Account:
    """Return an account with its secrets. Raises PaymentAway if one is missing or no use."""
    try:
        found = {} if instance is None else credentials.read(instance)
    except SealBroken:
        raise PaymentAway("The secrets of the account can't be opened.") from None
    url, pid, kind, show = (found.get(name, "").strip() for name in ("url", "pid", "type", "show"))
    if not outgoing.is_usable(url) or not _PID.fullmatch(pid) or not _TYPE.fullmatch(kind):
        raise PaymentAway("The account has no usable url, pid or type.")
    about = (f"{url.rstrip('/')}/", pid, kind, show == "qr")
    try:
        if "private_key" in found or "gateway_key" in found:
            private_key, gateway_key = found.get("private_key", ""), found.get("gateway_key", "")
            return _V2(*about, RsaSigning(private_key=private_key, gateway_key=gateway_key))
        key = found.get("key", "").strip()
        return _V1(*about, Md5Signing(key), key)
    except ValueError as wrong:
        raise PaymentAway(str(wrong)) from None


def parsed(body: bytes) -> Answer:
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


def text_in(answer: Answer, name: str) -> str:
    """Return a text of an answer. Raises PaymentAway where it has none of that name."""
    value = answer.get(name)
    if not isinstance(value, str):
        raise PaymentAway(f"The gateway's answer has no {name}.")
    return value


def usable_address(address: object) -> str:
    """Return an address that a browser can be sent to. Raises PaymentAway for what is none."""
    if not isinstance(address, str) or len(address) > _ADDRESS_LENGTH:
        raise PaymentAway("The gateway names no address to send a buyer to.")
    if not _ADDRESS.fullmatch(address):
        raise PaymentAway("The gateway names no address to send a buyer to.")
    return address


def is_code(text: object) -> bool:
    """Tell whether this is the text of a code that phones read."""
    return isinstance(text, str) and _CODE.fullmatch(text) is not None


def yuan(minor: int) -> str:
    """Return an amount as gateways write it."""
    return f"{minor // 100}.{minor % 100:02d}"


def minor_of(text: object) -> int:
    """Return the fen of an amount in yuan. Raises PaymentAway for what is not exactly some."""
    found = _YUAN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise PaymentAway("The gateway's answer has no exact amount.")
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
