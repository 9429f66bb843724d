"""Lines: every relay address of a shop, raced by the visitor's browser; how models answered."""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from billing import catalogue, tenants
from portal import amounts
from portal.lines import Line, lines_of
from portal.middleware import page_policy
from portal.request import tenant_of
from relay import status
from relay.status import Speed, State

PERIODS = {"24h": timedelta(hours=24), "30d": timedelta(days=30)}
SHOWN_MODELS = 20


@dataclass(frozen=True)
class LineRow:
    """A line, and the calls that came by it in the period; None without any."""

    line: Line
    speed: Speed | None

    @property
    def answered(self) -> str:
        """Return the share of calls that were answered, in percent."""
        return answered_share(self.speed) if self.speed else ""


@dataclass(frozen=True)
class ModelRow:
    """A model that was called in the period."""

    name: str
    speed: Speed
    state: State

    @property
    def answered(self) -> str:
        """Return the share of calls that were answered, in percent."""
        return answered_share(self.speed)


@require_safe
def lines(request: HttpRequest) -> HttpResponse:
    """Show the lines of this host's shop."""
    shop = tenant_of(request)
    period = request.GET.get("period", "")
    period = period if period in PERIODS else "24h"
    traffic = status.traffic(shop.pk, since=PERIODS[period])
    shown = lines_of(request)
    models = _models(shop.pk, traffic.models)
    slowest_ms = max((row.speed.p99_ms or 0 for row in models), default=0)
    longest_ms = max(1, -(-slowest_ms // 1000)) * 1000
    context = {
        "section": "lines",
        "period": period,
        "rows": [LineRow(line, traffic.lines.get(line.id)) for line in shown],
        "models": models,
        "longest_s": longest_ms // 1000,
        "longest_ms": longest_ms,
        "max_calls": status.MAX_CALLS,
    }
    response = render(request, "portal/lines.html", context)
    policy = page_policy(connect=[line.base_url for line in shown])
    response.headers["Content-Security-Policy"] = policy
    patch_cache_control(response, private=True, max_age=0)
    return response


def answered_share(speed: Speed) -> str:
    """Return how many percent of some calls were answered, rounded down."""
    return amounts.percent(speed.calls - speed.failed, speed.calls)


def _models(shop_id: int, speeds: dict[str, Speed]) -> list[ModelRow]:
    """Return the models that were called most, of those that are sold."""
    called = [name for name in catalogue.current_prices(shop_id) if name in speeds]
    called = sorted(called, key=lambda name: -speeds[name].calls)[:SHOWN_MODELS]
    states = status.states(called, tenant_id=shop_id, platform_id=tenants.platform().pk)
    return [ModelRow(name, speeds[name], states[name]) for name in called]
