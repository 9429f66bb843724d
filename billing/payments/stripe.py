"""Stripe: a buyer pays on a page of Stripe's, a hosted Checkout Session. Called by the registry.

An account needs `api_key` and `webhook_secret`; `methods` lists the ways to pay, parted by commas.
The id of a session is kept as the payment's `ProviderReference`, by which it is found again.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from billing import currencies
from billing.errors import CallbackRefused, PaymentAway, SealBroken
from billing.models import Order, Payment, PaymentInstance, ProviderReference
from billing.payments import credentials
from billing.payments.base import Callback, Heard, Opening, ProviderState, Standing

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

Json = dict[str, Any]

TOLERANCE_S = 300
"""How far the clock of a callback may be from ours, either way."""
LIVES_AT_LEAST = timedelta(minutes=31)
"""Stripe refuses sessions of less than 30 minutes, by its own clock."""

_METHODS = "card,alipay,wechat_pay"
_OTHER_DECIMALS = {"ISK": 2, "MGA": 0, "UGX": 2}
"""Where Stripe counts in other units than the standard."""
_API_KEY = re.compile(r"(?:sk|rk)_(live|test)_[A-Za-z0-9_]+")
_LONGEST_ID, _LONGEST_KIND, _LONGEST_ADDRESS = 128, 64, 2_000
_MOST_BYTES = 256 * 1024
_NOBODY = UUID(int=0)
_PAID_KINDS = ("checkout.session.completed", "checkout.session.async_payment_succeeded")
_BEST_FIRST = (Standing.PAID, Standing.OPEN, Standing.FAILED, Standing.EXPIRED)


@dataclass(frozen=True)
class _Account:
    """A shop's account at Stripe; its key says whether money is real."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    methods: tuple[str, ...]
    is_live: bool


class StripeProvider:
    """Implements `base.Hearing` by Checkout Sessions."""

    name = "stripe"

    def is_offered(self, instance: PaymentInstance) -> bool:
        """Offer it once both secrets are there."""
        return _account_of(instance) is not None

    def create(self, payment: Payment, *, return_url: str, notify_url: str) -> Opening:
        """Create the session of this payment, or find it; return its page at Stripe."""
        from billing.payments import stripe_client

        account = _needed_account(payment)
        params = _params(payment, methods=account.methods, return_url=return_url)
        session = stripe_client.create_session(
            params, api_key=account.api_key, idempotency_key=_idempotency_key(payment, params)
        )
        _check(session, account)
        if session.get("client_reference_id") != payment.public_id.hex:
            raise PaymentAway("Stripe created a session of another payment.")
        address = session.get("url")
        if not isinstance(address, str) or not 0 < len(address) <= _LONGEST_ADDRESS:
            raise PaymentAway("Stripe named no page to pay on.")
        _keep_reference(payment, session["id"])
        return Opening(address)

    def fetch(self, payment: Payment) -> ProviderState:
        """Ask how the session stands.

        There are several where the first could not be shown to the buyer; any may be paid then.
        """
        from billing.payments import stripe_client

        account = _needed_account(payment)
        references = payment.references.filter(instance=payment.instance).order_by("-pk")
        states = []
        for session_id in references.values_list("reference", flat=True):
            session = stripe_client.fetch_session(session_id, api_key=account.api_key)
            _check(session, account)
            states.append(_state(session))
        if not states:
            return ProviderState(Standing.OPEN, payment.amount_minor, payment.currency)
        return min(states, key=lambda state: _BEST_FIRST.index(state.status))

    def hear(self, instance: PaymentInstance, callback: Callback) -> Heard:
        """Verify an event by the account's secret. Raises CallbackRefused."""
        account = _account_of(instance)
        if account is None:
            raise CallbackRefused("The account has no secret to verify by.")
        if callback.method != "POST" or len(callback.body) > _MOST_BYTES:
            raise CallbackRefused("Not a POST of usual size.")
        _verify(callback, account.webhook_secret)
        return _heard(_event_in(callback.body), is_live=account.is_live)


def _account_of(instance: PaymentInstance) -> _Account | None:
    """Return what the secrets of an instance say, None if they are not all there."""
    try:
        secrets = credentials.read(instance)
    except SealBroken:
        return None
    api_key = secrets.get("api_key", "").strip()
    webhook_secret = secrets.get("webhook_secret", "").strip()
    kind = _API_KEY.fullmatch(api_key)
    if kind is None or not webhook_secret:
        return None
    methods = secrets.get("methods", "").strip() or _METHODS
    return _Account(
        api_key=api_key,
        webhook_secret=webhook_secret,
        methods=tuple(word.strip() for word in methods.split(",") if word.strip()),
        is_live=kind[1] == "live",
    )


def _needed_account(payment: Payment) -> _Account:
    account = _account_of(payment.instance) if payment.instance else None
    if account is None:
        raise PaymentAway("The account at Stripe has no usable secrets.")
    return account


def _params(payment: Payment, *, methods: Sequence[str], return_url: str) -> "SessionCreateParams":
    """Return what Stripe is told: sums and numbers, nothing about the goods or the buyer."""
    order, ours = payment.order, _metadata(payment)
    params: SessionCreateParams = {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": payment.currency.lower(),
                    "unit_amount": _to_stripe(payment.amount_minor, payment.currency),
                    "product_data": {"name": order.number},
                },
            }
        ],
        # Of these Stripe shows what the shop has switched on there and the currency allows.
        "allowed_payment_method_types": list(methods),
        "client_reference_id": payment.public_id.hex,
        "metadata": ours,
        "payment_intent_data": {"metadata": ours},
        "success_url": return_url,
        "cancel_url": return_url,
        "expires_at": _end_of(order, timezone.now()),
        # What the buyer is asked for is the sum of the order, in its currency.
        "adaptive_pricing": {"enabled": False},
        "locale": "zh" if order.language.startswith("zh") else "auto",
    }
    if "wechat_pay" in methods:
        params["payment_method_options"] = {"wechat_pay": {"client": "web"}}
    return params


def _metadata(payment: Payment) -> dict[str, str]:
    return {
        "tenant": str(payment.tenant_id),
        "order": payment.order.number,
        "payment": payment.public_id.hex,
    }


def _end_of(order: Order, now: datetime) -> int:
    """Return when a session ends: with its order, or half an hour after it where Stripe insists.

    Not half an hour from now: a question that is asked again must be the same question.
    """
    is_soon = order.expires_at - now < LIVES_AT_LEAST
    return int((order.expires_at + LIVES_AT_LEAST if is_soon else order.expires_at).timestamp())


def _idempotency_key(payment: Payment, params: "SessionCreateParams") -> str:
    """Return one name for one question: Stripe refuses a name that comes with another question."""
    question = json.dumps(params, sort_keys=True).encode()
    return f"{payment.public_id.hex}-{hashlib.sha256(question).hexdigest()[:32]}"


def _keep_reference(payment: Payment, session_id: str) -> None:
    with transaction.atomic(durable=True):
        known, _ = ProviderReference.objects.get_or_create(
            tenant_id=payment.tenant_id,
            instance_id=payment.instance_id,
            reference=session_id,
            defaults={"payment": payment},
        )
    if known.payment_id != payment.pk:
        raise PaymentAway("Stripe named a session of another payment.")


def _check(session: Json, account: _Account) -> None:
    """Raise PaymentAway unless this is a session, with money as real as the key says."""
    session_id = session.get("id")
    if not isinstance(session_id, str) or not 0 < len(session_id) <= _LONGEST_ID:
        raise PaymentAway("Stripe sent a session without an id.")
    if session.get("livemode") is not account.is_live:
        raise PaymentAway("Stripe sent a session of the other mode.")


def _state(session: Json) -> ProviderState:
    """Return what a session says. Raises PaymentAway for what none should say."""
    amount, currency = session.get("amount_total"), session.get("currency")
    if type(amount) is not int or not isinstance(currency, str):
        raise PaymentAway("Stripe sent a session without a sum.")
    currency = currency.upper()
    return ProviderState(
        status=_standing(session),
        amount_minor=_from_stripe(amount - _refunded(session), currency),
        currency=currency,
        reference=session["id"],
        payment=_uuid(session.get("client_reference_id")) or _NOBODY,
    )


def _standing(session: Json) -> Standing:
    said = session.get("status"), session.get("payment_status")
    if said == ("complete", "unpaid"):
        # A way to pay that takes its time. Where it has failed, the intent wants another one.
        has_failed = _part(session, "payment_intent").get("status") in (
            "requires_payment_method",
            "canceled",
        )
        return Standing.FAILED if has_failed else Standing.OPEN
    known = {
        ("open", "unpaid"): Standing.OPEN,
        ("complete", "paid"): Standing.PAID,
        ("expired", "unpaid"): Standing.EXPIRED,
    }
    if said not in known:
        raise PaymentAway("Stripe sent a session in a state that is not expected.")
    return known[said]


def _refunded(session: Json) -> int:
    """Return what has gone back already: nobody is to be given goods for it."""
    charge = _part(_part(session, "payment_intent"), "latest_charge")
    amount = charge.get("amount_refunded", 0)
    return amount if type(amount) is int else 0


def _part(whole: Json, name: str) -> Json:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}


def _steps(currency: str) -> tuple[int, int]:
    """Return what our units are to be multiplied with and divided by to be Stripe's."""
    usual = currencies.decimals(currency)
    theirs = _OTHER_DECIMALS.get(currency, usual)
    return 10 ** max(theirs - usual, 0), 10 ** max(usual - theirs, 0)


def _to_stripe(minor: int, currency: str) -> int:
    """Return a sum in Stripe's units, which are not the usual ones of every currency."""
    more, fewer = _steps(currency)
    if minor % fewer:
        raise PaymentAway(f"Stripe takes no fractions of {currency}.")
    return minor * more // fewer


def _from_stripe(amount: int, currency: str) -> int:
    more, fewer = _steps(currency)
    if amount % more:
        raise PaymentAway(f"Stripe speaks of fractions of {currency}.")
    return amount * fewer // more


def _verify(callback: Callback, secret: str) -> None:
    """Raise CallbackRefused unless the body was signed with this secret a moment ago."""
    parts = [part.strip().partition("=") for part in _signature_in(callback).split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0]):
        raise CallbackRefused("The signature has no time.")
    expected = hmac.new(secret.encode(), times[0].encode() + b"." + callback.body, "sha256")
    digest = expected.hexdigest().encode()
    given = [value.encode(errors="replace") for name, _, value in parts if name == "v1"]
    if not any(hmac.compare_digest(digest, value) for value in given):
        raise CallbackRefused("The signature is not the account's.")
    if abs(int(time.time()) - int(times[0])) > TOLERANCE_S:
        raise CallbackRefused("The signature is of another time.")


def _signature_in(callback: Callback) -> str:
    header = callback.headers.get("stripe-signature", "")
    if not 0 < len(header) <= _LONGEST_ADDRESS:
        raise CallbackRefused("There is no signature.")
    return header


def _event_in(body: bytes) -> Json:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise CallbackRefused("The body is no JSON.") from None
    if not isinstance(event, dict) or event.get("object") != "event":
        raise CallbackRefused("The body is no event.")
    return event


def _heard(event: Json, *, is_live: bool) -> Heard:
    event_id, kind = event.get("id"), event.get("type")
    if not isinstance(event_id, str) or not 0 < len(event_id) <= _LONGEST_ID:
        raise CallbackRefused("The event has no id.")
    if not isinstance(kind, str) or not kind:
        raise CallbackRefused("The event has no type.")
    if event.get("livemode") is not is_live:
        raise CallbackRefused("The event is of the other mode.")
    subject = _part(_part(event, "data"), "object")
    if kind.startswith("checkout.session."):
        payment = _uuid(subject.get("client_reference_id"))
    else:
        payment = _uuid(_part(subject, "metadata").get("payment"))
    says_paid = kind in _PAID_KINDS and subject.get("payment_status") == "paid"
    return Heard(event_id, kind[:_LONGEST_KIND], payment, says_paid=says_paid)


def _uuid(text: object) -> UUID | None:
    """Return the public id that 32 hex digits are, None for anything else."""
    is_one = isinstance(text, str) and re.fullmatch(r"[0-9a-f]{32}", text)
    return UUID(text) if isinstance(text, str) and is_one else None
