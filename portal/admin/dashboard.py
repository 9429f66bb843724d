"""The admin's first page: what was sold, how calls went, what needs a look. Named in `appearance`.

One switch rules the first two; the last is about this moment. Sums over calls are remembered for a
minute, because a period of a large shop has many.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing.models import (
    ApiKey,
    Dispute,
    Hold,
    Mail,
    Order,
    Payment,
    Receipt,
    ReconcileFinding,
    Refund,
    Transfer,
    UsageRecord,
    Wallet,
)
from billing.payments.manual import MANUAL
from billing.reports.periods import within
from billing.reports.speeds import percentile
from portal import amounts
from portal.admin.base import visible
from portal.admin.roles import is_operator
from portal.request import tenant_of
from relay.models import Channel

FINDINGS_SHOWN_FOR = timedelta(days=30)
PERIODS = {"today": (1, _("Today")), "7d": (7, _("7 days")), "30d": (30, _("30 days"))}
"""Days, today among them, by the name in the address."""

_REMEMBERED_S = 60
_STEP_MS = 10


@dataclass(frozen=True)
class Figure:
    """A number over its label, leading to the rows it counts."""

    label: Any
    value: str
    page: str
    query: str = ""
    needs_a_look: bool = False

    @property
    def url(self) -> str:
        """Return the list behind the figure."""
        return reverse(f"admin:{self.page}_changelist") + self.query


@dataclass(frozen=True)
class Period:
    """A choice of the switch."""

    name: str
    label: Any
    is_chosen: bool


def add_figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Put the figures into the first page, of those rows that the user may see."""
    chosen = request.GET.get("period", "")
    chosen = chosen if chosen in PERIODS else "today"
    since = begin_of(chosen)
    return {
        **context,
        "periods": [
            Period(name, label, name == chosen) for name, (_days, label) in PERIODS.items()
        ],
        "groups": [
            (_("Sales"), sales(request, since)),
            (_("Calls"), calls(request, since)),
            (_("Now"), now(request)),
        ],
    }


def begin_of(period: str) -> datetime:
    """Return the midnight, in the zone of this page, at which a period began."""
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=PERIODS[period][0] - 1)


def sales(request: HttpRequest, since: datetime) -> list[Figure]:
    """Return what came by receipts less what went back, by currency, and what was given for it."""
    paid = _seen(Order, request).filter(paid_at__gte=since)
    written = _seen(Receipt, request).filter(created_at__gte=since)
    cancels = Coalesce(Sum("amount_minor", filter=Q(cancels__isnull=False)), 0)
    sums = written.values("currency").order_by("currency")
    figures = [
        Figure(_("Revenue less refunds"), amounts.money(row["net"], row["currency"]), _RECEIPTS)
        for row in sums.annotate(net=Sum("amount_minor") - 2 * cancels)
    ]
    sold = _seen(Transfer, request).filter(kind="purchase", created_at__gte=since)
    sold_ubt = sold.aggregate(total=Sum("amount_ubt"))["total"] or 0
    placed = _seen(Order, request).filter(created_at__gte=since).count()
    return [
        *(figures or [Figure(_("Revenue less refunds"), "0", _RECEIPTS)]),
        Figure(_("Orders paid"), f"{paid.count():,}", _ORDERS, "?status__exact=paid"),
        Figure(_("Orders placed"), f"{placed:,}", _ORDERS),
        Figure(_("Base tokens sold"), amounts.base_tokens(sold_ubt), "billing_transfer"),
    ]


def calls(request: HttpRequest, since: datetime) -> list[Figure]:
    """Return how the calls of a period went."""
    scope = "all" if is_operator(request) else str(tenant_of(request).pk)
    key = f"admin-calls:{scope}:{since.isoformat()}"
    found: dict[str, int] | None = cache.get(key)
    if found is None:
        found = _summed(within(_seen(UsageRecord, request), since, timezone.now()))
        cache.set(key, found, _REMEMBERED_S)
    share = amounts.percent(found["failed"], found["calls"])
    return [
        Figure(_("Calls"), f"{found['calls']:,}", _USAGE),
        Figure(_("Base tokens used"), amounts.used_base_tokens(found["charged"]), _USAGE),
        Figure(_("Calls with an error"), f"{found['failed']:,} ({share}%)", _USAGE),
        Figure(_("First token, p50 / p90"), _times(found["p50_ms"], found["p90_ms"]), _USAGE),
    ]


def _summed(records: QuerySet[UsageRecord]) -> dict[str, int]:
    sums = records.aggregate(
        calls=Count("pk"), charged=Sum("charged_ubt"), failed=Count("pk", filter=~Q(error_type=""))
    )
    streams = records.filter(stream=True, error_type="", first_token_ms__isnull=False)
    steps = streams.values_list(F("first_token_ms") / _STEP_MS).annotate(count=Count("pk"))
    histogram = dict(steps.order_by())
    return {
        "calls": sums["calls"],
        "charged": int(sums["charged"] or 0),
        "failed": sums["failed"],
        "p50_ms": percentile(histogram, 50) if histogram else -1,
        "p90_ms": percentile(histogram, 90) if histogram else -1,
    }


def now(request: HttpRequest) -> list[Figure]:
    """Return what is so at this moment, what needs a look first."""
    wallets = _seen(Wallet, request).aggregate(
        credits=Sum("credits_ubt"), debits=Sum("debits_ubt"), pending=Sum("pending_ubt")
    )
    left_ubt = (wallets["credits"] or 0) - (wallets["debits"] or 0) - (wallets["pending"] or 0)
    keys = _seen(ApiKey, request).filter(status=ApiKey.ACTIVE, revoked_at__isnull=True).count()
    awaited = _seen(Payment, request).filter(provider=MANUAL, status=Payment.PENDING).count()
    return [
        Figure(_("Base tokens left on wallets"), amounts.base_tokens(left_ubt), "billing_wallet"),
        Figure(_("Usable keys"), f"{keys:,}", "billing_apikey"),
        Figure(_("Calls running now"), f"{_seen(Hold, request).count():,}", "billing_hold"),
        Figure(
            _("Transfers awaited"),
            f"{awaited:,}",
            _PAYMENTS,
            f"?provider__exact={MANUAL}&status__exact={Payment.PENDING}",
        ),
        *_to_look_at(request),
    ]


def _to_look_at(request: HttpRequest) -> list[Figure]:
    """Return how much of each kind waits for a person."""
    found: list[tuple[Any, Any, str, dict[str, Any]]] = [
        (_("Payments to look at"), Payment, _PAYMENTS, {"status": Payment.REVIEW}),
        (_("Orders to look at"), Order, _ORDERS, {"delivery_status": Order.REVIEW}),
        (_("Refunds to settle"), Refund, "billing_refund", {"status": Refund.REVIEW}),
        (_("Open disputes"), Dispute, "billing_dispute", {"status": Dispute.OPEN}),
        (_("Mails that failed"), Mail, "billing_mail", {"status": Mail.FAILED}),
        (_("Channels switched off"), Channel, "relay_channel", {"is_enabled": 0}),
    ]
    recent = timezone.now() - FINDINGS_SHOWN_FOR
    findings = _seen(ReconcileFinding, request).filter(created_at__gte=recent).count()
    return [
        *(
            _warning(label, _seen(model, request).filter(**which).count(), page, _query(which))
            for label, model, page, which in found
        ),
        _warning(_("Findings, 30 days"), findings, "billing_reconcilefinding"),
    ]


def _query(which: dict[str, Any]) -> str:
    return "?" + urlencode({f"{name}__exact": value for name, value in which.items()})


def _warning(label: Any, count: int, page: str, query: str = "") -> Figure:
    return Figure(label, f"{count:,}", page, query, needs_a_look=count > 0)


def _seen(model: Any, request: HttpRequest) -> QuerySet[Any]:
    return visible(model.objects.all(), request)


def _times(half_ms: int, most_ms: int) -> str:
    if half_ms < 0:
        return "–"
    return f"{amounts.seconds(half_ms)} / {amounts.seconds_text(most_ms)}"


_ORDERS = "billing_order"
_PAYMENTS = "billing_payment"
_RECEIPTS = "billing_receipt"
_USAGE = "billing_usagerecord"
