"""API keys: made, read, compared, issued, replaced, revoked. For relay, shop, commands and admin.

A key is a prefix that anyone may choose (`ak-`, `sk-`) and a body of 48 letters and digits: a mark
of 3, a public id of 8 (`kid`), a secret of 31 (184 bits) and 6 of CRC-32. Stored are the public id
and an HMAC-SHA256 of the body under a versioned pepper; the key itself is shown once.
"""

import hmac
import re
import secrets
from binascii import crc32
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple, TypedDict, Unpack

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing.errors import FieldInvalid, NotFound, StateInvalid
from billing.ledger import caps, transfers
from billing.ledger.clock import database_now
from billing.models import ApiKey, Delivery, Wallet
from billing.names import checked_name
from billing.scoping import all_tenants
from billing.sealing import read_versions

MARK = "tg1"
KID_LENGTH = 8
SECRET_LENGTH = 31
MOST_OVERLAP_S = 86_400
PATTERN = r"(?:[a-z]{2,8}-)?(tg1[0-9A-Za-z]{45})"
"""What scanners may look for; the CRC tells a key from a word that looks like one."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_is_prefix = re.compile(r"[a-z]{2,7}-").fullmatch
_matches_pattern = re.compile(PATTERN).fullmatch
_KID = slice(len(MARK), len(MARK) + KID_LENGTH)
_log = structlog.get_logger(__name__)
_DUMMY_PEPPER, _DUMMY_MAC = bytes(32), bytes(32)


class ParsedKey(NamedTuple):
    """A text that has the form of a key. Whether it is one, only `matches` can say."""

    kid: str
    body: str


class MintedKey(NamedTuple):
    """A new key: the one moment in which its plain text exists, and what is stored of it."""

    plaintext: str
    kid: str
    mac: bytes
    pepper_version: int
    hint: str

    def __repr__(self) -> str:
        return f"<MintedKey {self.kid}>"


class KeyLimits(TypedDict, total=False):
    """What a key may be held to; a limit that is not given does not limit."""

    limit_ubt: int
    budget_period: str
    budget_ubt: int
    allowed_models: list[str]
    allowed_endpoints: list[str]
    allowed_addresses: list[str]
    rpm: int
    tpm: int
    concurrency: int


_KEPT = ("name", "expires_at", *(KeyLimits.__annotations__.keys() - {"limit_ubt"}))
"""What a key's replacement takes over as it is; of a cap it takes over what is left."""


def mint(prefix: str = "ak-") -> MintedKey:
    """Make a new key. Nothing is stored. Raises FieldInvalid for a prefix of wrong form."""
    if not _is_prefix(prefix):
        raise FieldInvalid(
            f"A key prefix is 2 to 7 lower-case letters and a hyphen, not {prefix!r}."
        )
    body = MARK + "".join(secrets.choice(_ALPHABET) for _ in range(KID_LENGTH + SECRET_LENGTH))
    body += _checksum(body)
    version = max(read_versions(settings.KEY_PEPPERS))
    return MintedKey(prefix + body, body[_KID], _mac(body, version), version, body[-4:])


def parse(text: str) -> ParsedKey | None:
    """Read a key in any prefix; None if it has not the form of one (no look-up is needed then)."""
    found = _matches_pattern(text)
    if found is None:
        return None
    body = found[1]
    if body[42:] != _checksum(body[:42]):
        return None
    return ParsedKey(body[_KID], body)


def matches(
    parsed: ParsedKey, *, mac: bytes | memoryview | None, pepper_version: int | None
) -> bool:
    """Say whether this is the key of a stored MAC. None stands for a public id that is unknown.

    The work is the same in all cases, so time tells nothing.
    """
    pepper = read_versions(settings.KEY_PEPPERS).get(pepper_version or 0)
    known = mac is not None and pepper is not None
    computed = hmac.digest(pepper or _DUMMY_PEPPER, parsed.body.encode(), sha256)
    return hmac.compare_digest(computed, bytes(mac) if mac is not None else _DUMMY_MAC) and known


def find(text: str) -> ApiKey | None:
    """Return the key, of whichever tenant, that a text proves to hold; None without saying why."""
    parsed = parse(text.strip())
    if parsed is None:
        return None
    with all_tenants():
        key = ApiKey.objects.select_related("wallet").filter(kid=parsed.kid).first()
    mac, version = (key.mac, key.pepper_version) if key else (None, None)
    return key if matches(parsed, mac=mac, pepper_version=version) else None


@transaction.atomic
def issue(
    *,
    tenant_id: int,
    credit_ubt: int = 0,
    name: str = "",
    prefix: str | None = None,
    expires_at: datetime | None = None,
    notify_email: str = "",
    actor: str = "",
    **limits: Unpack[KeyLimits],
) -> tuple[ApiKey, str]:
    """Issue a key with a wallet of its own, in the open scope, and credit it by an adjustment.

    Returns the row and the plain text, which can't be had again. `expires_at` ends key and wallet.
    Notices of the wallet go to `notify_email`. No credit, no transfer. Raises FieldInvalid.
    """
    name = checked_name(name, what="The name", at_least=0, at_most=60)
    wallet = Wallet.objects.create(
        tenant_id=tenant_id, name=name, expires_at=expires_at, notify_email=notify_email
    )
    prefix = wallet.tenant.key_prefix if prefix is None else prefix
    key, plaintext = _store(
        ApiKey(tenant_id=tenant_id, wallet=wallet, name=name, expires_at=expires_at, **limits),
        prefix=prefix,
    )
    if credit_ubt:
        transfers.credit(
            wallet_id=wallet.pk,
            kind="adjustment",
            amount_ubt=credit_ubt,
            source="key",
            source_id=key.kid,
            actor=actor,
            reason="credit of a new key",
        )
    return key, plaintext


def add(
    *,
    wallet: Wallet,
    name: str = "",
    expires_at: datetime | None = None,
    **limits: Unpack[KeyLimits],
) -> tuple[ApiKey, str]:
    """Make another key of a wallet that is there, in the open scope.

    Returns the row and the plain text, which can't be had again. Raises FieldInvalid.
    """
    name = checked_name(name, what="The name", at_least=0, at_most=60)
    key = ApiKey(
        tenant_id=wallet.tenant_id, wallet=wallet, name=name, expires_at=expires_at, **limits
    )
    return _store(key, prefix=wallet.tenant.key_prefix)


@transaction.atomic
def replace(*, key: ApiKey, overlap_s: int = 0, actor: str) -> tuple[ApiKey, str]:
    """Put a new key in the place of one that works, in the open scope: same wallet, same limits.

    The old one is revoked, or ends after `overlap_s` seconds (at most a day). What is left of its
    cap and budgets moves along, so during an overlap a key that has them can only finish what it
    runs. A delivery of the old key shows the new one from now on, without a sealed
    text. Returns the row and the plain text. Raises StateInvalid for a key that was revoked,
    replaced or switched off, FieldInvalid for another overlap.
    """
    if not 0 <= overlap_s <= MOST_OVERLAP_S:
        raise FieldInvalid(f"A replaced key works on for at most {MOST_OVERLAP_S} seconds.")
    wallet = transfers.lock_wallet(key.wallet_id)
    old = ApiKey.objects.select_for_update().get(pk=key.pk)
    is_usable = old.status == ApiKey.ACTIVE and old.revoked_at is None
    if not is_usable or old.replaced_at is not None or wallet.status != Wallet.ACTIVE:
        raise StateInvalid(f"Key {old.kid} can't be replaced.")
    policy = {name: getattr(old, name) for name in _KEPT}
    fresh = ApiKey(tenant_id=old.tenant_id, wallet=wallet, **policy)
    new, plaintext = _store(fresh, prefix=old.prefix)
    caps.hand_over(old=old, new=new)
    _retire(old, overlap_s)
    Delivery.objects.filter(key=old).update(
        key=new,
        sealed_key=None,
        sealed_until=None,
        revealed_at=None,
        saved_at=None,
        replaced_at=new.created_at,
    )
    _log.info("key_replaced", old=old.kid, new=new.kid, overlap_s=overlap_s, actor=actor)
    return new, plaintext


def _retire(key: ApiKey, overlap_s: int) -> None:
    now = database_now()
    key.replaced_at = now
    if overlap_s:
        end = now + timedelta(seconds=overlap_s)
        key.expires_at = min(key.expires_at, end) if key.expires_at else end
    else:
        key.status, key.revoked_at = ApiKey.DISABLED, now
    key.save(update_fields=["replaced_at", "expires_at", "status", "revoked_at"])


def _store(key: ApiKey, *, prefix: str) -> tuple[ApiKey, str]:
    """Mint a key into a row that lacks nothing else; return both."""
    minted = mint(prefix)
    key.kid, key.mac, key.hint = minted.kid, minted.mac, minted.hint
    key.pepper_version, key.prefix = minted.pepper_version, prefix
    key.save(force_insert=True)
    return key, minted.plaintext


def revoke(*, kid: str) -> ApiKey:
    """End a key for good, in the open scope. Repeating it changes nothing.

    Raises NotFound. Its wallet keeps the balance; running requests end as they were admitted.
    """
    now = timezone.now()
    ApiKey.objects.filter(kid=kid, revoked_at__isnull=True).update(
        status=ApiKey.DISABLED, revoked_at=now
    )
    key = ApiKey.objects.filter(kid=kid).first()
    if key is None:
        raise NotFound(f"There is no key {kid}.")
    return key


def _mac(body: str, version: int) -> bytes:
    return hmac.digest(read_versions(settings.KEY_PEPPERS)[version], body.encode(), sha256)


def _checksum(text: str) -> str:
    number, digits = crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits
