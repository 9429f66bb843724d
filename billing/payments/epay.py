"""Payments through a gateway that speaks epay (易支付): V1, signed by MD5, or V2, signed by RSA.

Called through the registry. An account's secrets are `url` (the gateway's base address), `pid`, and
`key` for V1 or `private_key` and `gateway_key` (base64 without armour) for V2; `type` is the way to
pay there, and without it buyers choose in the gateway's cashier; `show` is `qr` where they are to
scan a code on the order's page. What comes from a gateway is at most a hint until it was asked: a
shared key that has leaked signs notifications just as well.
"""

import re
from urllib.parse import parse_qsl
from uuid import UUID

from billing.errors import CallbackRefused, PaymentAway
from billing.models import Payment, PaymentInstance, Refund
from billing.payments.base import (
    Callback,
    Heard,
    Opening,
    Outcome,
    ProviderState,
    RefundState,
    Standing,
)
from billing.payments.epay_gateway import (
    Account,
    Answer,
    Refusal,
    account_of,
    minor_of,
    text_in,
    yuan,
)

CURRENCY = "CNY"
PAID = "TRADE_SUCCESS"

_CALLBACK_BYTES = 8 * 1024
_CALLBACK_FIELDS = 32
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VALUE_LENGTH = 1024

_TRADE_NO = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OUR_ID = re.compile(r"[0-9a-fA-F]{32}")

_GIVEN_BACK = "2"
_STANDINGS = {"0": Standing.OPEN, "1": Standing.PAID, _GIVEN_BACK: Standing.PAID}
"""What a gateway calls unpaid, paid, and given back."""


class EpayProvider:
    """Implements `base.Hearing`, `base.Refunding`, `base.Closing` and `base.Testing`."""

    name = "epay"
    # V1 has no name for a refund, and not every gateway of V2 heeds the one that it is told.
    repeats_refunds = False

    def is_offered(self, instance: PaymentInstance) -> bool:
        """Offer it where all secrets are there and make sense, in shops that sell in CNY."""
        try:
            account_of(instance)
        except PaymentAway:
            return False
        return instance.tenant.currency == CURRENCY

    def create(self, payment: Payment, *, return_url: str, notify_url: str) -> Opening:
        """Return where to pay; the gateway opens a payment once for each of our ids."""
        account = account_of(payment.instance)
        if payment.currency != CURRENCY:
            raise PaymentAway(f"epay takes {CURRENCY} only, not {payment.currency}.")
        fields = {
            "pid": account.pid,
            "type": account.type,
            "out_trade_no": payment.public_id.hex,
            "notify_url": notify_url,
            "return_url": return_url,
            "name": payment.order.number,
            "money": yuan(payment.amount_minor),
        }
        return account.open({name: value for name, value in fields.items() if value})

    def fetch(self, payment: Payment) -> ProviderState:
        """Ask the gateway; what it does not know, because nobody has gone there yet, is open."""
        account = account_of(payment.instance)
        try:
            return _state_of(account.ask(payment.public_id.hex), account, payment)
        except Refusal as refusal:
            if refusal.is_about_the_order:
                return ProviderState(Standing.OPEN, payment.amount_minor, payment.currency)
            raise

    def refund(self, refund: Refund) -> RefundState:
        """Ask the gateway to give money back."""
        payment = refund.payment
        return account_of(payment.instance).refund(
            self._trade_no(payment),
            amount_minor=refund.amount_minor,
            refund_no=refund.public_id.hex,
        )

    def fetch_refund(self, refund: Refund) -> RefundState:
        """See whether all that was to go back of the payment has; gateways tell no two apart."""
        wanted = refund.payment.refunds.exclude(status=Refund.FAILED)
        wanted_minor = sum(wanted.values_list("amount_minor", flat=True))
        if self.fetch(refund.payment).refunded_minor >= wanted_minor:
            return RefundState(Outcome.DONE)
        raise PaymentAway("The gateway does not say what became of the refund.")

    def close(self, payment: Payment) -> None:
        """Ask the gateway to take no money for it any more; V1 can't be asked."""
        account_of(payment.instance).close(payment.public_id.hex)

    def test(self, instance: PaymentInstance) -> None:
        """Ask the gateway about the account itself."""
        account = account_of(instance)
        answer = account.ask_about_itself()
        if answer.get("pid", account.pid) != account.pid:
            raise PaymentAway("The gateway speaks of another merchant.")
        if "0" in (answer.get("active"), answer.get("status")):
            raise PaymentAway("The gateway has closed the account.")

    def hear(self, instance: PaymentInstance, callback: Callback) -> Heard:
        """Verify a notification: that it is whole, fresh, signed, and of this account."""
        try:
            account = account_of(instance)
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

    def _trade_no(self, payment: Payment) -> str:
        """Return the gateway's number of a payment, which was noted when it was paid."""
        known = payment.references.filter(instance=payment.instance).order_by("pk").first()
        return known.reference if known else self.fetch(payment).reference


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


def _state_of(answer: Answer, account: Account, payment: Payment) -> ProviderState:
    """Return what a gateway's answer means. Raises PaymentAway."""
    status = text_in(answer, "status")
    our_id = _our_id(answer.get("out_trade_no"))
    if status not in _STANDINGS or our_id is None or answer.get("pid", account.pid) != account.pid:
        raise PaymentAway("The gateway's answer is about no payment of this account.")
    reference = text_in(answer, "trade_no")
    if not _TRADE_NO.fullmatch(reference):
        raise PaymentAway("The gateway's answer has no trade_no.")
    amount_minor = minor_of(answer.get("money"))
    refunded_minor = minor_of(answer.get("refundmoney") or "0")
    if refunded_minor > amount_minor:
        raise PaymentAway("More has gone back, the gateway says, than has come.")
    if status == _GIVEN_BACK and not refunded_minor:
        refunded_minor = _known_to_go_back(payment) or amount_minor
    return ProviderState(
        status=_STANDINGS[status],
        amount_minor=amount_minor,
        currency=CURRENCY,
        reference=reference,
        payment=our_id,
        refunded_minor=refunded_minor,
    )


def _known_to_go_back(payment: Payment) -> int:
    """Return what we know to have gone back of a payment, where a gateway says just that some has.

    That is what is done; where nothing is, what was asked for.
    """
    ours = payment.refunds.exclude(status=Refund.FAILED)
    refunds = ours.filter(status=Refund.DONE) or ours
    return sum(refund.amount_minor for refund in refunds)


def _our_id(text: object) -> UUID | None:
    """Return the public id of a payment of ours that a text is, None if it is none."""
    return UUID(text) if isinstance(text, str) and _OUR_ID.fullmatch(text) else None
