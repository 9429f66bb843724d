"""Wrong keys: how often a network may give one, wherever a key can be given.

Called by the usage page, by the checkout of a top-up and by the API, which count together: who is
turned away at one door does not go on at the next.
"""

import structlog
from django.forms import Form
from django.http import HttpRequest
from django.utils.translation import gettext as _

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


def pasted(request: HttpRequest, form: Form) -> ApiKey | None:
    """Return the key that the `key` of a valid form proves to hold; else the form says what is so.

    A wrong one counts, and where too many were wrong none is looked up.
    """
    if not is_open(request):
        form.add_error("key", _("Too many keys that were not right. Try again in a minute."))
        return None
    key = find(request, form.cleaned_data["key"])
    if key is None:
        count_wrong(request)
        text = _("This shop has no such key. Copy it whole, from first to last letter.")
        form.add_error("key", text)
    return key


def count_wrong(request: HttpRequest) -> None:
    """Count a wrong key."""
    shop = str(tenant_of(request).pk)
    throttle.allow(_NAME, visitor_of(request), limit=WRONG_KEYS_PER_MINUTE, per_s=_PER_S)
    is_usual = throttle.allow("wrong keys", shop, limit=MANY_WRONG_KEYS, per_s=_PER_S)
    if not is_usual and throttle.allow("wrong keys told", shop, limit=1, per_s=_PER_S):
        log.warning("many wrong keys are tried", tenant=shop, a_minute=MANY_WRONG_KEYS)
