"""How a browser that comes back from a payment finds its order. Called by views that begin one.

What a provider is told to send buyers back to names the payment alone: a secret link would lie in
the provider's books, and whoever reads those could show the keys. The browser itself remembers the
payments that it began, each in a signed cookie that is sent to the payment's own addresses only.
"""

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from billing.models import Payment

_COOKIE = "paying"
_SALT = "portal.returning"
_LASTS = timedelta(days=1)


def remember(response: HttpResponse, payment: Payment) -> None:
    """Note in the browser that it is the one that makes a payment."""
    response.set_cookie(
        _COOKIE,
        signing.dumps(payment.public_id.hex, salt=_SALT),
        max_age=_LASTS,
        path=f"/pay/{payment.public_id}/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def is_payer(request: HttpRequest, payment: Payment) -> bool:
    """Tell whether this browser has begun a payment."""
    text = request.COOKIES.get(_COOKIE, "")
    try:
        known: object = signing.loads(text, salt=_SALT, max_age=_LASTS)
    except signing.BadSignature:
        return False
    return known == payment.public_id.hex
