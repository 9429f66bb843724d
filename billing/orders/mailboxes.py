"""Which mailbox an e-mail address means, and its hash. Called when orders are placed and looked up.

Many addresses lead to one mailbox: upper and lower case, what follows a plus sign, two spellings
of an international domain, and at Gmail the dots. Only limits use this form; mails go to the
address as it was given.
"""

import hmac
from hashlib import sha256

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from billing.errors import OrderInvalid

_SALT = b"billing.orders.mailboxes"
_MOST_LENGTH = 254
_UNUSUAL = frozenset('"\\[]')
"""Quotes let one mailbox have any number of names; brackets name a machine instead of a domain."""
_WITHOUT_DOTS = frozenset({"gmail.com", "googlemail.com"})


def checked_address(email: str) -> str:
    """Return an address without space around it. Raises OrderInvalid."""
    email = email.strip()
    try:
        validate_email(email)
    except ValidationError:
        raise OrderInvalid("email", "invalid") from None
    if len(email) > _MOST_LENGTH or _UNUSUAL & set(email):
        raise OrderInvalid("email", "invalid")
    return email


def normalised(email: str) -> str:
    """Return the one name of the mailbox that an address leads to."""
    name, _, host = email.strip().lower().rpartition("@")
    name, host = name.partition("+")[0] or name, _ascii(host)
    if host in _WITHOUT_DOTS:
        name, host = name.replace(".", ""), "gmail.com"
    return f"{name}@{host}"


def _ascii(host: str) -> str:
    """Return a domain as mail servers are asked for it."""
    try:
        return host.encode("idna").decode().lower()
    except UnicodeError:
        return host


def hash_of(email: str, *, tenant_id: int) -> str:
    """Return the hash of a mailbox, another one in each shop: 64 hex digits."""
    key = hmac.digest(settings.SECRET_KEY.encode(), _SALT, sha256)
    return hmac.digest(key, f"{tenant_id}:{normalised(email)}".encode(), sha256).hex()
