"""Who is signed in as a buyer: a session that names a wallet and its owner. For account and shop.

It has a key of its own in the session and is no sign-in of Django's: whoever works for a shop and
is a buyer as well does not get into the admin by a mailed link. Wallet and owner are looked up anew
with each request, in the scope of the shop whose host was called, so that the session of one shop
opens nothing in another.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.http import HttpRequest
from django.utils import timezone

from billing.models import User, Wallet

LASTS = timedelta(days=14)

_NAME = "account"


@dataclass(frozen=True)
class Visit:
    """A browser that is signed in, and until when."""

    wallet: Wallet
    user: User
    ends_at: datetime


def begin(request: HttpRequest, wallet: Wallet) -> None:
    """Sign this browser in; a session that was planted before is left behind."""
    request.session.cycle_key()
    request.session[_NAME] = {
        "wallet": wallet.pk,
        "user": str(wallet.owner_id),
        "until": int((timezone.now() + LASTS).timestamp()),
    }


def current(request: HttpRequest) -> Visit | None:
    """Return who is signed in at this shop, in its scope; None for everybody else."""
    noted = request.session.get(_NAME)
    if not isinstance(noted, dict) or noted.get("until", 0) <= timezone.now().timestamp():
        return None
    wallets = Wallet.objects.select_related("owner").filter(owner__is_active=True)
    wallet = wallets.filter(pk=noted["wallet"], owner_id=noted["user"]).first()
    if wallet is None or wallet.owner is None:
        return None
    return Visit(wallet, wallet.owner, datetime.fromtimestamp(noted["until"], UTC))


def end(request: HttpRequest) -> None:
    """Sign this browser out."""
    if request.session.pop(_NAME, None) is not None:
        request.session.cycle_key()
