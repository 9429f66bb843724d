"""Signing in by a link that is mailed: no passwords. Called by a job, the letter, the account page.

The link names its mail and proves it by a token of Django's, made when the letter is written: it
covers the shop, the address and when its user signed in last, so it works once and for a while
(`settings.PASSWORD_RESET_TIMEOUT`), and is stored nowhere. Who signs in for the first time becomes
a user in that moment, so that addresses that somebody only typed leave nobody behind.
"""

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import IntegrityError, transaction
from django.db.models import F

from billing import outbox
from billing.accounts import wallet_of
from billing.errors import NotFound
from billing.ledger.clock import database_now
from billing.models import Mail, User, Wallet
from billing.orders.mailboxes import checked_address, hash_of

KIND = "sign_in"

_MAIL_EVERY_S = 60


class _Links(PasswordResetTokenGenerator):
    """Makes and checks the tokens of one shop, also for users who are not there yet."""

    key_salt = "billing.sign_in"

    def __init__(self, tenant_id: int) -> None:
        super().__init__()
        self._tenant_id = tenant_id

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        seen = user.last_login.isoformat() if user.last_login else ""
        return f"{self._tenant_id}:{user.email}:{user.password}:{seen}:{timestamp}"


@transaction.atomic
def ask(*, tenant_id: int, email: str, language: str) -> bool:
    """Mail a link to an address, known or not; say whether a mail was written.

    At most one a minute. The mail goes to the very address that will be the user's, in lower case:
    another spelling of it might be another mailbox. Raises OrderInvalid for what is no address.
    """
    address = checked_address(email).lower()
    period = int(database_now().timestamp()) // _MAIL_EVERY_S
    mail = outbox.write(
        kind=KIND,
        subject_id=0,
        recipient=address,
        language=language,
        once=f"{KIND}:{hash_of(address, tenant_id=tenant_id)}:{period}",
        tenant_id=tenant_id,
    )
    if mail is None:
        return False
    # The letter is told its subject alone, and what it tells of is this mail's recipient.
    Mail.objects.filter(pk=mail.pk).update(subject_id=F("pk"))
    return True


def path_of(mail_id: int) -> str:
    """Return the path of a fresh link for who got a mail. For the letter. Raises NotFound."""
    mail = _mail(mail_id)
    if mail is None:
        raise NotFound(f"There is no mail {mail_id} about signing in.")
    token = _Links(mail.tenant_id).make_token(_user(mail.recipient))
    return f"/account/sign-in/{mail.pk}/{token}/"


def recipient_of(*, mail_id: int, token: str) -> str:
    """Return whom a link would sign in, "" for a link that works no more, and change nothing."""
    mail = _mail(mail_id)
    user = _user(mail.recipient) if mail else User()
    is_right = _Links(mail.tenant_id if mail else 0).check_token(user, token)
    return user.email if is_right and user.is_active else ""


@transaction.atomic
def enter(*, mail_id: int, token: str) -> Wallet | None:
    """Use a link up; return the wallet of who has signed in, None for a link that works no more."""
    email = recipient_of(mail_id=mail_id, token=token)
    user = _seen(email, mail_id=mail_id, token=token) if email else None
    if user is None:
        return None
    return wallet_of(user, tenant_id=Mail.objects.get(pk=mail_id).tenant_id)


def _seen(email: str, *, mail_id: int, token: str) -> User | None:
    """Note that a user has signed in, once for each link; make the user who is new."""
    now = database_now()
    try:
        with transaction.atomic():
            if not User.objects.filter(email=email).exists():
                return User.objects.create_user(email, last_login=now)
    except IntegrityError:
        pass  # the same link was used twice at once, and this is the later time
    user = User.objects.select_for_update().get(email=email)
    if not recipient_of(mail_id=mail_id, token=token):
        return None
    user.last_login = now
    user.save(update_fields=["last_login"])
    return user


def _mail(mail_id: int) -> Mail | None:
    return Mail.objects.filter(pk=mail_id, kind=KIND).first()


def _user(email: str) -> User:
    return User.objects.filter(email=email).first() or User(email=email)
