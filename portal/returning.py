"""How a browser that comes back from a payment finds its order. Called by views that begin one.

What a provider is told to send buyers back to names the payment alone: a secret link would lie in
the provider's books, and whoever reads those could show the keys. The browser itself remembers its
orders, in a signed cookie that only payment pages get to see.
"""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from billing.models import Order

_COOKIE = "paying"
_PATH = "/pay/"
_SALT = "portal.returning"
_LASTS = timedelta(days=1)
_MOST = 5


def remember(response: HttpResponse, request: HttpRequest, order: Order) -> None:
    """Note in the browser that it is the one that pays an order; the oldest ones are forgotten."""
    mine = [order.public_id.hex]
    mine += [other for other in _remembered(request) if other not in mine]
    response.set_cookie(
        _COOKIE,
        signing.dumps(mine[:_MOST], salt=_SALT),
        max_age=_LASTS,
        path=_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def is_payer(request: HttpRequest, order_id: UUID) -> bool:
    """Tell whether this browser has gone to pay an order, by the order's public id."""
    return order_id.hex in _remembered(request)


def _remembered(request: HttpRequest) -> list[str]:
    text = request.COOKIES.get(_COOKIE, "")
    try:
        return [str(name) for name in signing.loads(text, salt=_SALT, max_age=_LASTS)]
    except signing.BadSignature:
        return []
