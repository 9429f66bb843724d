"""The admin's first page: how the last day went and what needs a look. Named in `appearance`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing.models import ApiKey, Hold, ReconcileFinding, UsageRecord, Wallet
from billing.partitions import first_id
from billing.units import ceil_base_tokens, floor_base_tokens
from portal.admin.base import visible
from relay.models import Channel

FINDINGS_SHOWN_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Figure:
    """A number over its label, leading to the rows it counts."""

    label: Any
    value: str
    page: str
    needs_a_look: bool = False

    @property
    def url(self) -> str:
        """Return the list behind the figure."""
        return reverse(f"admin:{self.page}_changelist")


def add_figures(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Put the figures into the first page, of those rows that the user may see."""
    return {**context, "figures": [*last_day(request), *now(request)]}


def last_day(request: HttpRequest) -> list[Figure]:
    """Return what was used in 24 hours. Ids are ordered by time, so the index serves the range."""
    records = visible(UsageRecord.objects.all(), request).filter(
        pk__gte=first_id(timezone.now() - timedelta(days=1))
    )
    sums = records.aggregate(
        calls=Count("pk"), charged=Sum("charged_ubt"), failed=Count("pk", filter=~Q(error_type=""))
    )
    share = 100 * sums["failed"] / sums["calls"] if sums["calls"] else 0
    usage = "billing_usagerecord"
    return [
        Figure(_("Calls, 24 h"), f"{sums['calls']:,}", usage),
        Figure(_("Base tokens used, 24 h"), f"{ceil_base_tokens(sums['charged'] or 0):,}", usage),
        Figure(_("Calls with an error, 24 h"), f"{share:.1f} %", usage),
    ]


def now(request: HttpRequest) -> list[Figure]:
    """Return what is so at this moment."""
    wallets = visible(Wallet.objects.all(), request).aggregate(
        credits=Sum("credits_ubt"), debits=Sum("debits_ubt"), pending=Sum("pending_ubt")
    )
    left_ubt = (wallets["credits"] or 0) - (wallets["debits"] or 0) - (wallets["pending"] or 0)
    keys = visible(ApiKey.objects.filter(status=ApiKey.ACTIVE), request).count()
    running = visible(Hold.objects.all(), request).count()
    off = visible(Channel.objects.filter(is_enabled=False), request).count()
    recent = timezone.now() - FINDINGS_SHOWN_FOR
    findings = visible(ReconcileFinding.objects.filter(created_at__gte=recent), request).count()
    return [
        Figure(_("Base tokens left on wallets"), f"{floor_base_tokens(left_ubt):,}", _WALLETS),
        Figure(_("Usable keys"), f"{keys:,}", "billing_apikey"),
        Figure(_("Calls running now"), f"{running:,}", "billing_hold"),
        Figure(_("Channels switched off"), f"{off:,}", "relay_channel", needs_a_look=off > 0),
        Figure(
            _("Findings, 30 days"),
            f"{findings:,}",
            "billing_reconcilefinding",
            needs_a_look=findings > 0,
        ),
    ]


_WALLETS = "billing_wallet"
