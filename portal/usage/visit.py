"""Whose usage a browser may look at: a session of 15 minutes that holds a key's id, not the key.

Called by the usage views. The end is fixed when the key is entered. The id is looked up anew with
each request in the scope of the shop whose host was called, so that a session of one shop opens
nothing in another, and a key that was revoked meanwhile is seen to be.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.http import HttpRequest
from django.utils import timezone

from billing.models import ApiKey

LASTS = timedelta(minutes=15)

_NAME = "usage"


@dataclass(frozen=True)
class Visit:
    """A browser that has shown a key, and until when that counts."""

    key: ApiKey
    ends_at: datetime


def begin(request: HttpRequest, key: ApiKey) -> None:
    """Let this browser look at a key's usage; a session that was planted before is left behind."""
    request.session.cycle_key()
    _note(request, key, timezone.now() + LASTS)


def current(request: HttpRequest) -> Visit | None:
    """Return the visit that is going on, in the shop's scope; None when there is none any more."""
    noted = request.session.get(_NAME)
    if not isinstance(noted, dict) or noted.get("until", 0) <= timezone.now().timestamp():
        return None
    key = ApiKey.objects.select_related("wallet").filter(pk=noted.get("key", 0)).first()
    return Visit(key, datetime.fromtimestamp(noted["until"], UTC)) if key else None


def move(request: HttpRequest, visit: Visit, key: ApiKey) -> None:
    """Go on with the key that has taken the place of the old one, no longer than before."""
    request.session.cycle_key()
    _note(request, key, visit.ends_at)


def end(request: HttpRequest) -> None:
    """Look at nobody's usage any more."""
    if request.session.pop(_NAME, None) is not None:
        request.session.cycle_key()


def _note(request: HttpRequest, key: ApiKey, ends_at: datetime) -> None:
    request.session[_NAME] = {"key": key.pk, "until": int(ends_at.timestamp())}
