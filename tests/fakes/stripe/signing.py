"""How Stripe signs what it sends. Written from its documentation, apart from the code it tests."""

import hashlib
import hmac
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """A signed event, as it arrives at a notify address."""

    body: bytes
    headers: dict[str, str]


def signed(body: bytes, *, secret: str, signed_at: int | None = None) -> Event:
    """Sign a body as Stripe does."""
    moment = str(int(time.time()) if signed_at is None else signed_at)
    mac = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return Event(body, {"stripe-signature": f"t={moment},v1={mac.hexdigest()}"})
