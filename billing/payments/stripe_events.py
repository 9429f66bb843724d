"""Events that Stripe sends: are they genuine, and which payment are they about? For `stripe`.

They are never believed more than that: what has happened is asked for.
"""

import hmac
import json
import re
import time

from billing.errors import CallbackRefused
from billing.payments.base import Callback, Heard
from billing.payments.stripe_accounts import Account
from billing.payments.stripe_answers import LONGEST_ID, Json, part, uuid_in

TOLERANCE_S = 300
"""How far the clock of a callback may be from ours, either way."""

_LONGEST_KIND, _LONGEST_HEADER = 64, 2_000
_MOST_BYTES = 256 * 1024
_PAID_KINDS = ("checkout.session.completed", "checkout.session.async_payment_succeeded")


def hear(account: Account, callback: Callback) -> Heard:
    """Verify an event by the account's secret and say what it is about. Raises CallbackRefused."""
    if callback.method != "POST" or len(callback.body) > _MOST_BYTES:
        raise CallbackRefused("Not a POST of usual size.")
    verify(callback, account.webhook_secret)
    return _heard(_event_in(callback.body), is_live=account.is_live)


def verify(callback: Callback, secret: str) -> None:
    """Raise CallbackRefused unless the body was signed with this secret a moment ago."""
    if not secret:
        raise CallbackRefused("The account has no secret to verify by.")
    parts = [one.strip().partition("=") for one in _signature_in(callback).split(",")]
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
    if not 0 < len(header) <= _LONGEST_HEADER:
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
    if not isinstance(event_id, str) or not 0 < len(event_id) <= LONGEST_ID:
        raise CallbackRefused("The event has no id.")
    if not isinstance(kind, str) or not kind:
        raise CallbackRefused("The event has no type.")
    if event.get("livemode") is not is_live:
        raise CallbackRefused("The event is of the other mode.")
    subject = part(part(event, "data"), "object")
    if kind.startswith("checkout.session."):
        payment = uuid_in(subject.get("client_reference_id"))
    else:
        payment = uuid_in(part(subject, "metadata").get("payment"))
    return Heard(
        event_id,
        kind[:_LONGEST_KIND],
        payment,
        says_paid=kind in _PAID_KINDS and subject.get("payment_status") == "paid",
        reference=_reference_in(subject),
    )


def _reference_in(subject: Json) -> str:
    """Return what an event calls the payment that it is about, "" if it is about none.

    Refunds that were begun at Stripe, and disputes, carry no metadata of ours.
    """
    names = (subject.get("payment_intent"), subject.get("charge"))
    known = (name for name in names if isinstance(name, str) and 0 < len(name) <= LONGEST_ID)
    return next(known, "")
