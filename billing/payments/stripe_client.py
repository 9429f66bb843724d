"""Calls to Stripe's API by its own library, bounded in time and size. Called by `stripe` alone.

The only module that imports the library, which takes half a second: whoever needs it imports this
module at that moment. Every failure becomes PaymentAway, in words that hold nothing secret.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import stripe
from django.conf import settings

from billing.errors import PaymentAway
from billing.payments.exchange import WHOLE_S, exchange

if TYPE_CHECKING:
    from stripe.params import RefundCreateParams
    from stripe.params.checkout import SessionCreateParams

API_VERSION = "2026-10-28.endive"
"""What requests and answers look like, whatever version an account is set to."""

Json = dict[str, Any]

_RETRIES = 1
_EXPANDED = ["payment_intent.latest_charge"]
_MOST_REFUNDS, _MOST_DISPUTES = 100, 20
_CODE = re.compile(r"[a-z0-9_]{1,60}")
_REQUEST_ID = re.compile(r"req_[A-Za-z0-9]{1,40}")


class StripeRefused(PaymentAway):
    """Stripe has understood the question and says no: it has done nothing."""


def create_session(params: "SessionCreateParams", *, api_key: str, idempotency_key: str) -> Json:
    """Create a Checkout Session, or return the one of the same idempotency key."""
    sessions = _client(api_key).v1.checkout.sessions
    return _asked(lambda: sessions.create(params, {"idempotency_key": idempotency_key}))


def fetch_session(session_id: str, *, api_key: str) -> Json:
    """Return a Checkout Session with its payment intent and the last charge of that."""
    sessions = _client(api_key).v1.checkout.sessions
    return _asked(lambda: sessions.retrieve(session_id, {"expand": _EXPANDED}))


def expire_session(session_id: str, *, api_key: str) -> Json:
    """End a Checkout Session that nobody has paid."""
    sessions = _client(api_key).v1.checkout.sessions
    return _asked(lambda: sessions.expire(session_id))


def create_refund(params: "RefundCreateParams", *, api_key: str, idempotency_key: str) -> Json:
    """Create a refund, or return the one of the same idempotency key. Raises StripeRefused."""
    refunds = _client(api_key).v1.refunds
    return _asked(lambda: refunds.create(params, {"idempotency_key": idempotency_key}))


def fetch_refund(refund_id: str, *, api_key: str) -> Json:
    """Return a refund by Stripe's name of it."""
    refunds = _client(api_key).v1.refunds
    return _asked(lambda: refunds.retrieve(refund_id))


def list_refunds(intent: str, *, api_key: str) -> list[Json]:
    """Return the refunds of a payment intent, whoever made them."""
    refunds = _client(api_key).v1.refunds
    return _listed(lambda: refunds.list({"payment_intent": intent, "limit": _MOST_REFUNDS}))


def list_disputes(intent: str, *, api_key: str) -> list[Json]:
    """Return the disputes about a payment intent, inquiries too."""
    disputes = _client(api_key).v1.disputes
    return _listed(lambda: disputes.list({"payment_intent": intent, "limit": _MOST_DISPUTES}))


def try_rights(*, api_key: str) -> None:
    """Read one of each thing that payments read. Raises PaymentAway that says what fails."""
    stripe_v1 = _client(api_key).v1
    reads: dict[str, Callable[[], stripe.StripeObject]] = {
        "Checkout Sessions": lambda: stripe_v1.checkout.sessions.list({"limit": 1}),
        "PaymentIntents": lambda: stripe_v1.payment_intents.list({"limit": 1}),
        "Charges and Refunds": lambda: stripe_v1.refunds.list({"limit": 1}),
        "Disputes": lambda: stripe_v1.disputes.list({"limit": 1}),
    }
    for name, read in reads.items():
        try:
            _listed(read)
        except StripeRefused as refusal:
            raise PaymentAway(f"The key may not read {name}. {refusal}") from None


def _listed(call: Callable[[], stripe.StripeObject]) -> list[Json]:
    answer = _asked(call)
    found = answer.get("data")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise PaymentAway("Stripe sent no list.")
    return found


def _asked(call: Callable[[], stripe.StripeObject]) -> Json:
    try:
        return call().to_dict()
    except (stripe.InvalidRequestError, stripe.PermissionError) as error:
        raise StripeRefused(f"Stripe says no: {_problem(error)}.") from None
    except stripe.StripeError as error:
        raise PaymentAway(f"Stripe can't be asked: {_problem(error)}.") from None
    # What is no object of Stripe's makes the library stumble, each time over something else.
    except Exception as error:
        raise PaymentAway(f"Stripe sent no object: {type(error).__name__}.") from None


def _problem(error: stripe.StripeError) -> str:
    """Say what failed; never in Stripe's own words, which may repeat what was sent."""
    said = [type(error).__name__]
    if error.http_status:
        said.append(f"status {error.http_status}")
    if isinstance(error.code, str) and _CODE.fullmatch(error.code):
        said.append(error.code)
    if isinstance(error.request_id, str) and _REQUEST_ID.fullmatch(error.request_id):
        said.append(error.request_id)
    return ", ".join(said)


def _client(api_key: str) -> stripe.StripeClient:
    """Return a client of one account for one question: nothing of it is shared or kept."""
    # The library would write an id of this machine into the home folder, and send it along.
    stripe.enable_telemetry = False
    own = settings.STRIPE_API
    return stripe.StripeClient(
        api_key,
        stripe_version=API_VERSION,
        base_addresses={"api": own} if own else {},
        max_network_retries=_RETRIES,
        http_client=_Bounded(),
    )


class _Bounded(stripe.HTTPClient):
    """Carries one question and its retry, within one time for both. Redirects are not followed."""

    name = "httpx"

    def __init__(self) -> None:
        super().__init__()
        self._ends_at = time.monotonic() + WHOLE_S

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[Any, int, Mapping[str, str]]:
        """Send a request; return body, status and headers of whatever came back."""
        request = httpx.Request(method.upper(), url, headers=headers, content=post_data)
        try:
            answer = exchange(request, ends_at=self._ends_at)
        except (TimeoutError, httpx.HTTPError) as error:
            raise _lost(type(error).__name__, may_come=True) from None
        except PaymentAway as error:
            raise _lost(str(error)) from None
        return answer.body, answer.status, answer.headers


def _lost(why: str, *, may_come: bool = False) -> stripe.APIConnectionError:
    return stripe.APIConnectionError(why, should_retry=may_come)  # type: ignore[no-untyped-call]
