"""The secret link of an order: derived, never stored. Called by pages and mails, in a scope.

Whoever has the link may press the button that reveals the key. Raising an order's `link_version`
makes all its links so far worthless.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from django.conf import settings

from billing.models import Order

_SALT = b"billing.orders.links"
_TOKEN_BYTES = 20


def token_of(order: Order) -> str:
    """Return the secret part of an order's link: 160 bits as 27 letters, digits, `-` and `_`."""
    key = hmac.digest(settings.SECRET_KEY.encode(), _SALT, sha256)
    named = order.public_id.bytes + order.link_version.to_bytes(4, "big")
    token = hmac.digest(key, named, sha256)[:_TOKEN_BYTES]
    return urlsafe_b64encode(token).rstrip(b"=").decode()


def find(*, number: str, token: str) -> Order | None:
    """Return the order that a link leads to; None without saying what is wrong with it."""
    # PostgreSQL refuses a text with a zero byte, which an address may hold.
    order = Order.objects.filter(number=number).first() if number.isprintable() else None
    is_right = hmac.compare_digest(
        token_of(order or Order(link_version=0)).encode(), token.encode()
    )
    return order if is_right else None


def path_of(order: Order) -> str:
    """Return the path of the order's page."""
    return f"/orders/{order.number}/{token_of(order)}/"
