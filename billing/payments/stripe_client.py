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
    from stripe.params.checkout import SessionCreateParams

API_VERSION = "2026-10-28.endive"
"""What requests and answers look like, whatever version an account is set to."""

Session = dict[str, Any]

_RETRIES = 1
_EXPANDED = ["payment_intent.latest_charge"]
_CODE = re.compile(r"[a-z0-9_]{1,60}")
_REQUEST_ID = re.compile(r"req_[A-Za-z0-9]{1,40}")


def create_session(params: "SessionCreateParams", *, api_key: str, idempotency_key: str) -> Session:
    """Create a Checkout Session, or return the one of the same idempotency key."""
    sessions = _client(api_key).v1.checkout.sessions
    return _asked(lambda: sessions.create(params, {"idempotency_key": idempotency_key}))


def fetch_session(session_id: str, *, api_key: str) -> Session:
    """Return a Checkout Session with its payment intent and the last charge of that."""
    sessions = _client(api_key).v1.checkout.sessions
    return _asked(lambda: sessions.retrieve(session_id, {"expand": _EXPANDED}))


def _asked(call: Callable[[], stripe.StripeObject]) -> Session:
    try:
        return call().to_dict()
    except stripe.StripeError as error:
        raise PaymentAway(_problem(error)) from None
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
    return f"Stripe can't be asked: {', '.join(said)}."


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
