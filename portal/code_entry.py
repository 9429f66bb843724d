"""Wrong codes: how often coupons and redemption codes may be guessed. Called by pages.

Both count together, by address and by network: a coupon is a word that can be guessed, and who is
turned away at one door does not go on at the next.
"""

from django.http import HttpRequest

from portal import throttle
from portal.request import address_of, tenant_of, visitor_of

WRONG_CODES_PER_VISITOR = 20
WRONG_CODES_PER_NETWORK = 60
"""A network is a prefix of addresses: a school or an office may stand behind it."""

_PER_S = 600


def is_open(request: HttpRequest) -> bool:
    """Tell whether a code may be given from where the request comes."""
    return throttle.is_within(
        "code entry", _visitor(request), limit=WRONG_CODES_PER_VISITOR
    ) and throttle.is_within(
        "code entry of network", visitor_of(request), limit=WRONG_CODES_PER_NETWORK
    )


def count_wrong(request: HttpRequest) -> None:
    """Count a code that nobody has made."""
    throttle.allow("code entry", _visitor(request), limit=WRONG_CODES_PER_VISITOR, per_s=_PER_S)
    throttle.allow(
        "code entry of network", visitor_of(request), limit=WRONG_CODES_PER_NETWORK, per_s=_PER_S
    )


def _visitor(request: HttpRequest) -> str:
    return f"{tenant_of(request).pk} {address_of(request)}"
