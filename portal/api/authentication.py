"""Who asks: a key of this shop, in `Authorization: Bearer`. Nothing else, and no session.

A key that was revoked or has expired may still look, as on the usage page; its state says so. What
is not a key of this shop gets the same answer, whatever is wrong with it.
"""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from billing.models import ApiKey
from portal import key_entry

WRONG_KEY = "Incorrect API key provided."

CALLS_OF_A_NETWORK, CALLS_OF_A_KEY = 600, 300
"""How often a network and a key may ask in a minute."""
PER_S = 60

_LONGEST_KEY = 100


class KeyAuthentication(BaseAuthentication):
    """Finds the key that a request carries; `request.auth` is it."""

    def authenticate(self, request: Request) -> tuple[None, ApiKey]:
        """Return the key. Raises AuthenticationFailed, and Throttled for who has guessed a lot."""
        if not key_entry.is_open(request):
            raise Throttled(wait=PER_S)
        key = find(request)
        if key is None:
            key_entry.count_wrong(request)
            raise AuthenticationFailed(WRONG_KEY)
        return None, key

    def authenticate_header(self, request: Request) -> str:
        """Return what `WWW-Authenticate` says."""
        return "Bearer"


class HoldsKey(BasePermission):
    """Lets in who has shown a key."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell whether there is a key."""
        return isinstance(request.auth, ApiKey)


def find(request: Request) -> ApiKey | None:
    """Return the key of this shop that the request carries."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or len(text) > _LONGEST_KEY:
        return None
    return key_entry.find(request, text)
