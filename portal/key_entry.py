"""Wrong keys: how often a network may give one, wherever a key can be given.

Called by the usage page, by the checkout of a top-up and by the API, which count together: who is
turned away at one door does not go on at the next.
"""

import structlog
from django.http import HttpRequest

from billing import keys
from billing.models import ApiKey
from portal import throttle
from portal.request import tenant_of, visitor_of

WRONG_KEYS_PER_MINUTE = 20
MANY_WRONG_KEYS = 300
"""What a whole shop sees in a minute before its log says so."""

_NAME, _PER_S = "key entry", 60

log = structlog.get_logger(__name__)


def is_open(request: HttpRequest) -> bool:
    """Tell whether a key may be given from where the request comes."""
    return throttle.is_within(_NAME, visitor_of(request), limit=WRONG_KEYS_PER_MINUTE)


def find(request: HttpRequest, text: str) -> ApiKey | None:
    """Return the key of this shop that a text proves to hold; all others are equally unknown."""
    key = keys.find(text)
    return key if key is not None and key.tenant_id == tenant_of(request).pk else None


def count_wrong(request: HttpRequest) -> None:
    """Count a wrong key."""
    shop = str(tenant_of(request).pk)
    throttle.allow(_NAME, visitor_of(request), limit=WRONG_KEYS_PER_MINUTE, per_s=_PER_S)
    is_usual = throttle.allow("wrong keys", shop, limit=MANY_WRONG_KEYS, per_s=_PER_S)
    if not is_usual and throttle.allow("wrong keys told", shop, limit=1, per_s=_PER_S):
        log.warning("many wrong keys are tried", tenant=shop, a_minute=MANY_WRONG_KEYS)
