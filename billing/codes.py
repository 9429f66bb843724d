"""Redemption codes: made in batches, exported once, known by their digests. For admin and orders.

A code is 20 letters that can't be mistaken for each other, in groups of five: 100 bits of chance.
What is stored is an HMAC under a versioned pepper, and the last letters. A new batch lies sealed
until its codes are exported; afterwards nobody can read them.
"""

import hmac
import json
import secrets
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from billing.errors import FieldInvalid, StateInvalid
from billing.ids import uuid7
from billing.ledger.clock import database_now
from billing.models import CodeBatch, Product, RedemptionCode
from billing.names import checked_name
from billing.sealing import read_versions, seal, unseal

MOST_CODES = 5_000
"""Codes of one batch: they are made in one transaction and exported as one file."""
LENGTH = 20

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_GROUP = 5
_HINT = 4
_SALT = b"billing.codes"
_log = structlog.get_logger(__name__)


@transaction.atomic
def make_batch(
    product: Product,
    *,
    count: int,
    ends_at: datetime | None = None,
    note: str = "",
    actor: str,
    batch_id: UUID | None = None,
) -> CodeBatch:
    """Make codes that each give what the product gives now, in the open scope.

    `batch_id` makes a form that is sent twice one batch. Raises FieldInvalid for a trial, which
    every mailbox gets once and no code can change that.
    """
    if product.kind == Product.TRIAL:
        raise FieldInvalid("There are no codes for trials.")
    if not 1 <= count <= MOST_CODES:
        raise FieldInvalid(f"A batch has 1 to {MOST_CODES} codes.")
    known = CodeBatch.objects.filter(public_id=batch_id).first() if batch_id else None
    if known is not None:
        return known
    note = checked_name(note, what="The note", at_least=0, at_most=120)
    codes = [_mint() for _ in range(count)]
    batch = CodeBatch(
        tenant_id=product.tenant_id,
        public_id=batch_id or uuid7(),
        product=product,
        count=count,
        ends_at=ends_at,
        note=note,
        actor=actor,
        kind=product.kind,
        name=product.name,
        grant_ubt=product.grant_ubt,
        valid_days=product.valid_days,
        allowed_models=product.allowed_models,
        rpm=product.rpm,
        tpm=product.tpm,
        concurrency=product.concurrency,
    )
    batch.sealed_codes = seal(json.dumps(codes).encode(), context=_seal_context(batch))
    batch.save(force_insert=True)
    RedemptionCode.objects.bulk_create(
        RedemptionCode(
            tenant_id=batch.tenant_id,
            batch=batch,
            digest=_digests(code, tenant_id=batch.tenant_id)[0],
            hint=code[-_HINT:],
        )
        for code in codes
    )
    _log.info("codes_made", batch=batch.pk, count=count, actor=actor)
    return batch


@transaction.atomic
def export(batch: CodeBatch, *, actor: str) -> list[str]:
    """Return the codes of a batch as they are given away; there is no second time.

    Raises StateInvalid for a batch that was exported or revoked, SealBroken.
    """
    held = CodeBatch.objects.select_for_update().get(pk=batch.pk)
    if held.sealed_codes is None or not held.is_active:
        raise StateInvalid("The codes of this batch can't be exported any more.")
    codes: list[str] = json.loads(unseal(held.sealed_codes, context=_seal_context(held)))
    held.sealed_codes, held.exported_at, held.exported_by = None, database_now(), actor
    held.save(update_fields=["sealed_codes", "exported_at", "exported_by"])
    _log.info("codes_exported", batch=held.pk, count=len(codes), actor=actor)
    return [grouped(code) for code in codes]


@transaction.atomic
def revoke(batch: CodeBatch, *, actor: str) -> int:
    """End the codes of a batch that nobody has used; return how many. Repeating it changes none."""
    CodeBatch.objects.filter(pk=batch.pk).update(is_active=False)
    unused = RedemptionCode.objects.filter(batch=batch, used_at=None, revoked_at=None)
    count = unused.update(revoked_at=database_now())
    _log.info("codes_revoked", batch=batch.pk, count=count, actor=actor)
    return count


def find(text: str, *, tenant_id: int) -> RedemptionCode | None:
    """Return the code that a text means, used or not; None without saying why."""
    code = _plain(text)
    if len(code) != LENGTH or not set(code) <= set(_ALPHABET):
        return None
    known = RedemptionCode.objects.select_related("batch__product")
    return known.filter(tenant_id=tenant_id, digest__in=_digests(code, tenant_id=tenant_id)).first()


def claim(code: RedemptionCode, *, order_id: int, now: datetime) -> bool:
    """Let an order use a code up; False if it was used or revoked, by whoever was faster."""
    unused = RedemptionCode.objects.filter(pk=code.pk, used_at=None, revoked_at=None)
    return unused.update(used_at=now, order_id=order_id) == 1


def grouped(code: str) -> str:
    """Return a code as people read it: `7F3K9-...`."""
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def _mint() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))


def _plain(text: str) -> str:
    return "".join(letter for letter in text.upper() if letter.isalnum())


def _digests(code: str, *, tenant_id: int) -> list[str]:
    """Return a code's digest under every pepper, the newest first."""
    peppers = read_versions(settings.KEY_PEPPERS)
    return [
        hmac.digest(
            hmac.digest(peppers[version], _SALT, sha256), f"{tenant_id}:{code}".encode(), sha256
        ).hex()
        for version in sorted(peppers, reverse=True)
    ]


def _seal_context(batch: CodeBatch) -> str:
    return f"code_batch:{batch.public_id}"
