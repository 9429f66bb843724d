"""What upstreams keep for wallets, as rows: stored, found, listed, forgotten. Through the ORM.

Called in the reader's thread (`objects`) and by jobs. A look-up never leaves its wallet.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from django.utils import timezone

from billing.scoping import all_tenants, tenant_scope
from relay.models import UpstreamObject

RESPONSE, VIDEO, TASK, DELETED = "response", "video", "task", "deleted"

KEPT_FOR = timedelta(days=30)
FIRST_POLL = timedelta(seconds=10)
_PAGE = 500
_MOST_PAGES = 200


class Kept(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that an upstream keeps: whose it is, and who made it. `id` is its request's id.

    `second_count` and `size` are a video's; `is_job` has its state asked for until it has ended.
    """

    id: bytes
    tenant_id: int
    wallet_id: int
    key_id: int
    channel_id: int
    credential_id: int
    kind: str
    upstream_id: str
    route_id: int | None = None
    model: str = ""
    second_count: int = 0
    size: str = ""
    is_job: bool = False
    state: str = UpstreamObject.DONE


def store(batch: Sequence[Kept]) -> None:
    """Store what upstreams keep, of any tenants. What is stored already stays as it is."""
    now = timezone.now()
    with all_tenants():
        UpstreamObject.objects.bulk_create(
            (_row(kept, now) for kept in batch), ignore_conflicts=True
        )


def _row(kept: Kept, now: datetime) -> UpstreamObject:
    return UpstreamObject(
        id=UUID(bytes=kept.id),
        tenant_id=kept.tenant_id,
        wallet_id=kept.wallet_id,
        key_id=kept.key_id,
        channel_id=kept.channel_id,
        credential_id=kept.credential_id,
        route_id=kept.route_id,
        kind=kept.kind,
        upstream_id=kept.upstream_id,
        model=kept.model[:64],
        second_count=kept.second_count,
        size=kept.size[:16],
        state=UpstreamObject.RUNNING if kept.is_job else UpstreamObject.DONE,
        next_poll_at=now + FIRST_POLL if kept.is_job else None,
        created_at=now,
        expires_at=now + KEPT_FOR,
    )


def read(
    *, tenant_id: int, wallet_id: int, kind: str, upstream_id: str, route_id: int | None = None
) -> Kept | None:
    """Return what a wallet knows by this id, None if it has no such thing.

    Two upstreams may have given a wallet the same id; then the newest is meant.
    """
    with tenant_scope(tenant_id):
        rows = UpstreamObject.objects.filter(
            wallet_id=wallet_id,
            kind=kind,
            upstream_id=upstream_id,
            route_id=route_id,
            expires_at__gt=timezone.now(),
        )
        row = rows.order_by("-id").first()
        return _kept(row) if row is not None else None


def _kept(row: UpstreamObject) -> Kept:
    return Kept(
        id=row.pk.bytes,
        tenant_id=row.tenant_id,
        wallet_id=row.wallet_id,
        key_id=row.key_id,
        channel_id=row.channel_id,
        credential_id=row.credential_id,
        route_id=row.route_id,
        kind=row.kind,
        upstream_id=row.upstream_id,
        model=row.model,
        second_count=row.second_count,
        size=row.size,
        is_job=row.next_poll_at is not None,
        state=row.state,
    )


class Listed(msgspec.Struct, frozen=True):
    """What a list says of an object. `created_at` is epoch seconds."""

    upstream_id: str
    model: str
    state: str
    second_count: int
    size: str
    created_at: int


def listed(
    *, tenant_id: int, wallet_id: int, kind: str, after: str, is_oldest_first: bool, count: int
) -> list[Listed] | None:
    """Return up to so many of a wallet's objects, beginning behind the id `after`.

    None if the wallet has nothing by that id.
    """
    with tenant_scope(tenant_id):
        rows = UpstreamObject.objects.filter(
            wallet_id=wallet_id, kind=kind, expires_at__gt=timezone.now()
        )
        if after:
            last = rows.filter(upstream_id=after).order_by("-id").values_list("id").first()
            if last is None:
                return None
            rows = rows.filter(id__gt=last[0]) if is_oldest_first else rows.filter(id__lt=last[0])
        return [
            Listed(
                upstream_id=row.upstream_id,
                model=row.model,
                state=row.state,
                second_count=row.second_count,
                size=row.size,
                created_at=int(row.created_at.astimezone(UTC).timestamp()),
            )
            for row in rows.order_by("id" if is_oldest_first else "-id")[:count]
        ]


def remove(kept: Kept) -> None:
    """Forget what a wallet knows by an id. A job that may be owed something is only hidden."""
    with tenant_scope(kept.tenant_id):
        rows = UpstreamObject.objects.filter(
            wallet_id=kept.wallet_id, kind=kept.kind, upstream_id=kept.upstream_id
        )
        rows.filter(next_poll_at__isnull=True).delete()
        rows.update(kind=DELETED)


def forget_expired(now: datetime) -> int:
    """Forget what is past its time, in the open scope; return how many rows that were."""
    count = 0
    rows = UpstreamObject.objects.filter(expires_at__lte=now)
    for _ in range(_MOST_PAGES):
        ids = list(rows.order_by("expires_at").values_list("id", flat=True)[:_PAGE])
        if not ids:
            break
        count += UpstreamObject.objects.filter(id__in=ids).delete()[0]
    return count
