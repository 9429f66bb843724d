"""Proves the books: every balance is derived again from append-only rows and compared.

Called by jobs and `manage.py reconcile`. Wallets are read a page at a time, each page in one
snapshot, so that a system under load is as clean as one at rest. Nothing is edited: the one repair
is to settle, at its checkpoint, a hold that the reaper should have settled. Everything else is
written down as a finding, for a person.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from datetime import datetime, timedelta

import msgspec
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from billing.ledger.clock import database_now
from billing.ledger.invariants_sql import QUERIES, TOUCHED
from billing.ledger.paid import odd_payments
from billing.ledger.reaper import longest_gap_s, settle_silent
from billing.models import Hold, ReaperPass, ReconcileFinding, ReconcileRun, Wallet
from billing.partitions import first_id

_PAGE = 500
_MOST_FINDINGS = 1_000
"""Per run. More are all of one cause; the next run finds what is left of them."""
_TOUCHED_FOR = timedelta(minutes=10)
_FIRST_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Finding:
    """A broken invariant as it was observed. Amounts are ubt, in decimal."""

    tenant_id: int
    invariant: str
    subject: str
    observed: str
    expected: str
    repair: str = ""


_FIELDS = [column.name for column in fields(Finding)]


@dataclass(frozen=True)
class Report:
    """What a run has compared and found."""

    started_at: datetime
    finished_at: datetime
    wallet_count: int
    findings: list[Finding] = field(default_factory=list)
    has_more: bool = False

    @property
    def is_clean(self) -> bool:
        """Tell whether everything was as it must be."""
        return not self.findings

    def as_json(self) -> str:
        """Return the report as one JSON object."""
        return msgspec.json.encode({"is_clean": self.is_clean, **asdict(self)}).decode()

    def as_text(self) -> str:
        """Return the report for a terminal: a line per finding, then the sum."""
        lines = [
            f"{finding.invariant} {finding.subject}: {finding.observed}, not {finding.expected}"
            + (f" ({finding.repair})" if finding.repair else "")
            for finding in self.findings
        ]
        more = " and more" if self.has_more else ""
        count = f"{self.wallet_count} wallets compared, {len(self.findings)} findings{more}"
        return "\n".join([*lines, count])


def reconcile(*, tenant_id: int | None = None, repair: bool = True) -> Report:
    """Compare all wallets, of one tenant or of all, in the scope of all tenants.

    Findings are stored, each once for as long as it stays the same.
    """
    started_at = database_now()
    pages = _pages(tenant_id)
    return _run(started_at, pages, since=_FIRST_ID, tenant_id=tenant_id, repair=repair)


def reconcile_touched(*, repair: bool = True) -> Report:
    """Compare the wallets that were moved in the last minutes, with their usage of that time."""
    started_at = database_now()
    since = first_id(started_at - _TOUCHED_FOR)
    with connection.cursor() as cursor:
        cursor.execute(TOUCHED.format(since=_literal(since)))
        ids = [wallet_id for (wallet_id,) in cursor.fetchall()]
    pages = (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))
    return _run(started_at, pages, since=since, tenant_id=None, repair=repair, is_touched=True)


def _run(
    started_at: datetime,
    pages: Iterator[list[int]],
    *,
    since: str,
    tenant_id: int | None,
    repair: bool,
    is_touched: bool = False,
) -> Report:
    findings: list[Finding] = []
    wallet_count = 0
    for page in pages:
        wallet_count += len(page)
        findings += _compare(page, since, most=_MOST_FINDINGS + 1 - len(findings))
    room = _MOST_FINDINGS + 1 - len(findings)
    moved_since = started_at - _TOUCHED_FOR if is_touched else None
    odd = odd_payments(tenant_id=tenant_id, since=moved_since, now=started_at, most=room)
    findings += [Finding(*found) for found in odd]
    findings += _silent_holds(tenant_id, repair=repair, trusts_rows=not is_touched)
    has_more = len(findings) > _MOST_FINDINGS
    findings = findings[:_MOST_FINDINGS]
    report = Report(started_at, database_now(), wallet_count, findings, has_more)
    _store(report)
    return report


def _pages(tenant_id: int | None) -> Iterator[list[int]]:
    wallets = Wallet.objects.order_by("pk").values_list("pk", flat=True)
    if tenant_id is not None:
        wallets = wallets.filter(tenant_id=tenant_id)
    page = list(wallets[:_PAGE])
    while page:
        yield page
        page = list(wallets.filter(pk__gt=page[-1])[:_PAGE])


def _compare(wallet_ids: list[int], since: str, *, most: int) -> list[Finding]:
    """Return what is wrong with a page of wallets, in one snapshot, up to so many findings."""
    hex_id = "u.id" if connection.vendor == "sqlite" else "replace(u.id::text, '-', '')"
    wallets = ", ".join(map(str, wallet_ids))
    findings: list[Finding] = []
    with _snapshot() as cursor:
        for invariant, text in QUERIES:
            cursor.execute(text.format(wallets=wallets, since=_literal(since), hex=hex_id))
            findings += [
                Finding(tenant_id, invariant, str(subject), str(observed), str(expected))
                for tenant_id, subject, observed, expected in cursor.fetchmany(most - len(findings))
            ]
            if len(findings) == most:
                break
    return findings


@contextmanager
def _snapshot() -> Iterator[CursorWrapper]:
    """Give a cursor that sees one state of the database, and holds no lock on it."""
    if connection.vendor == "sqlite":
        # Django's own transactions take SQLite's write lock at once; reading needs none.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield cursor
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield cursor


def _literal(request_id: str) -> str:
    """Return a request id as it is compared in SQL."""
    if connection.vendor == "sqlite":
        return f"'{request_id.replace('-', '')}'"
    return f"'{request_id}'::uuid"


def _silent_holds(tenant_id: int | None, *, repair: bool, trusts_rows: bool) -> list[Finding]:
    """Return the holds that the reaper has missed (I4), settled if the reaper was watching.

    After a standstill of the database all rows look silent. Only an unbroken watch tells them from
    dead ones; without one they are reported, where rows are trusted, and left alone.
    """
    now = database_now()
    longest = timedelta(seconds=settings.HOLD_STALE_S + 2 * settings.REAPER_PERIOD_S)
    is_watched = _is_watched(now, longest)
    if not is_watched and not trusts_rows:
        return []
    holds = Hold.objects.filter(heartbeat_at__lte=now - longest).order_by("pk")
    if tenant_id is not None:
        holds = holds.filter(tenant_id=tenant_id)
    findings = [
        Finding(
            hold.tenant_id,
            "I4",
            hold.pk.hex,
            f"silent since {hold.heartbeat_at:%Y-%m-%d %H:%M:%S}",
            f"settled within {longest.total_seconds():g} s",
        )
        for hold in holds[:_PAGE]
    ]
    if findings and repair and is_watched:
        settle_silent(now - longest, give_up_at=time.monotonic() + longest_gap_s())
        return [_as_repaired(finding) for finding in findings]
    return findings


def _is_watched(now: datetime, longest: timedelta) -> bool:
    row = ReaperPass.objects.first()
    return (
        row is not None
        and (now - row.last_pass_at).total_seconds() <= longest_gap_s()
        and now - row.watching_since >= longest
    )


def _as_repaired(finding: Finding) -> Finding:
    if Hold.objects.filter(pk=finding.subject).exists():
        return finding
    return replace(finding, repair="settled at its checkpoint")


@transaction.atomic
def _store(report: Report) -> None:
    """Write down the run, and what was not found before."""
    run = ReconcileRun.objects.create(
        started_at=report.started_at,
        finished_at=report.finished_at,
        wallet_count=report.wallet_count,
        finding_count=len(report.findings),
    )
    subjects = {finding.subject for finding in report.findings}
    known = ReconcileFinding.objects.filter(subject__in=subjects).values_list(*_FIELDS)
    new = {astuple(finding): finding for finding in report.findings}
    for row in known:
        new.pop(row, None)
    rows = [ReconcileFinding(run=run, **asdict(finding)) for finding in new.values()]
    ReconcileFinding.objects.bulk_create(rows)
