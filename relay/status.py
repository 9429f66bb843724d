"""What the portal may know of the relay: kinds of providers, what is usable now, and how fast."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from django.core.cache import cache
from django.db.models import Q
from django.utils import timezone

from billing.models import UsageRecord
from billing.partitions import first_id
from billing.scoping import all_tenants
from relay.models import Channel, GenericRoute
from relay.protocols.endpoints import ENDPOINTS
from relay.providers import REGISTRY
from relay.providers.generic import ROUTES_ONLY
from relay.translate import serves_itself, translation_for

NO_CHANNEL, CHANNEL_OFF, NO_CREDENTIAL = "no_channel", "channel_off", "no_credential"
FAILING = "failing"

ENDPOINT_NAMES = tuple(dict.fromkeys(endpoint.name for endpoint in ENDPOINTS.values()))

MAX_CALLS = 2_000
"""How many of a shop's latest calls its speed is taken from, so that a page never scans a table."""

MAX_SCANNED = 50_000
"""Among how many latest calls of the whole installation a quiet shop's are looked for."""

K = TypeVar("K")

_OUR_FAULTS = ("upstream_", "relay_")
_REMEMBERED_S = 60
_JUST_NOW = timedelta(minutes=10)
_FAILING_CALLS = 3
_MEASURABLE_MS = 100
"""A shorter answer came in one go and says nothing about a rate."""


@dataclass(frozen=True)
class State:
    """Whether a model works: no `reason` if it does. `endpoints` are those a channel serves."""

    reason: str
    endpoints: tuple[str, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Tell whether a call would be sent to some upstream."""
        return self.reason in ("", FAILING)


@dataclass(frozen=True)
class Speed:
    """Some calls as their clients saw them; None where there was nothing to measure.

    `failed` counts those that failed by our or the upstream's fault. Tokens per second are the
    median of what came after the first token.
    """

    calls: int
    failed: int
    p50_ms: int | None = None
    p90_ms: int | None = None
    p99_ms: int | None = None
    tokens_per_s: int | None = None


@dataclass(frozen=True)
class Traffic:
    """A shop's latest calls, by model and by line (the id of a domain, None for none).

    `first_token_ms` is the median of them all.
    """

    models: dict[str, Speed]
    lines: dict[int | None, Speed]
    first_token_ms: int | None


@dataclass(frozen=True)
class _Call:
    """The part of a usage record that speed is made of."""

    model: str
    line_id: int | None
    error_type: str
    first_token_ms: int | None
    total_ms: int
    output_count: int

    @property
    def is_our_fault(self) -> bool:
        return self.error_type.startswith(_OUR_FAULTS)


def provider_names() -> list[str]:
    """Return the kinds of upstream that a channel can be of."""
    return sorted(REGISTRY)


def usable_models(models: Iterable[str], *, tenant_id: int, platform_id: int) -> frozenset[str]:
    """Return those of `models` that an enabled channel of the tenant or the platform serves."""
    found = _channel_states(models, tenant_id=tenant_id, platform_id=platform_id)
    return frozenset(name for name, state in found.items() if state.is_usable)


def states(models: Iterable[str], *, tenant_id: int, platform_id: int) -> dict[str, State]:
    """Return whether each of `models` is usable now, else why not, in the tenant's scope.

    A model whose latest calls have all failed is still tried by the relay, and said to be failing.
    """
    found = _channel_states(models, tenant_id=tenant_id, platform_id=platform_id)
    latest = traffic(tenant_id, since=_JUST_NOW).models
    for name, speed in latest.items():
        is_failing = speed.calls >= _FAILING_CALLS and speed.failed == speed.calls
        if is_failing and name in found and found[name].is_usable:
            found[name] = State(FAILING, found[name].endpoints)
    return found


def speeds(tenant_id: int, *, since: timedelta) -> dict[str, Speed]:
    """Return how fast a shop's models answered lately, by the name that was asked for."""
    return traffic(tenant_id, since=since).models


def traffic(tenant_id: int, *, since: timedelta) -> Traffic:
    """Return a shop's MAX_CALLS latest calls since then, remembered for a minute; in its scope."""
    key = f"traffic:{tenant_id}:{int(since.total_seconds())}"
    found: Traffic | None = cache.get(key)
    if found is None:
        found = _read_traffic(since)
        cache.set(key, found, _REMEMBERED_S)
    return found


def _channel_states(models: Iterable[str], *, tenant_id: int, platform_id: int) -> dict[str, State]:
    with all_tenants():  # the platform's channels serve every tenant
        whose = Q(tenant_id__in=(tenant_id, platform_id))
        channels = list(Channel.objects.filter(whose).prefetch_related("models", "credentials"))
        routes = GenericRoute.objects.filter(whose, is_enabled=True)
        routed = {(route.price_model, route.channel_id) for route in routes}
    prices = {name for name, _ in routed}
    offered = [(channel, {row.asked for row in channel.models.all()}) for channel in channels]

    def has(channel: Channel, asked: set[str], name: str) -> bool:
        """Say whether a channel lists a model, or is where calls of this price go."""
        if channel.provider == ROUTES_ONLY or name in prices:
            return (name, channel.pk) in routed
        return not asked or name in asked

    return {
        name: _state([channel for channel, asked in offered if has(channel, asked, name)])
        for name in models
    }


def _state(channels: list[Channel]) -> State:
    """Return what the channels that list a model make of it."""
    working = [channel for channel in channels if channel.is_enabled and _can_call(channel)]
    if working:
        served = {name for channel in working for name in _endpoints(channel)}
        names = (*ENDPOINT_NAMES, ROUTES_ONLY)
        return State("", tuple(name for name in names if name in served))
    if not channels:
        return State(NO_CHANNEL)
    return State(NO_CREDENTIAL if any(one.is_enabled for one in channels) else CHANNEL_OFF)


def _endpoints(channel: Channel) -> Iterable[str]:
    """Return what a channel serves: what its provider can, or those of it that it is kept to."""
    provider = REGISTRY[channel.provider]
    if channel.provider == ROUTES_ONLY:
        return (ROUTES_ONLY,)
    allowed = channel.allowed_endpoints
    return (
        endpoint.name
        for endpoint in ENDPOINTS.values()
        if serves_itself(endpoint, provider, allowed)
        or translation_for(endpoint, provider, allowed)
    )


def _can_call(channel: Channel) -> bool:
    provider = REGISTRY.get(channel.provider)
    if provider is None:
        return False
    return not provider.needs_credential or any(
        credential.is_enabled for credential in channel.credentials.all()
    )


def _read_traffic(since: timedelta) -> Traffic:
    rows = (
        UsageRecord.objects.filter(id__gte=max(first_id(timezone.now() - since), _scan_edge()))
        .order_by("-id")
        .values_list(
            "model_asked", "line_id", "error_type", "first_token_ms", "total_ms", "output_count"
        )[:MAX_CALLS]
    )
    calls = [_Call(*row) for row in rows]
    return Traffic(
        models=_grouped(calls, lambda call: call.model),
        lines=_grouped(calls, lambda call: call.line_id),
        first_token_ms=_speed(calls).p50_ms,
    )


def _scan_edge() -> str:
    """Return the id below which no call is looked for: the calls of all shops lie in one index."""
    with all_tenants():
        newest = UsageRecord.objects.order_by("-id").values_list("id", flat=True)
        return str(newest[MAX_SCANNED : MAX_SCANNED + 1].first() or "")


def _grouped(calls: list[_Call], key: Callable[[_Call], K]) -> dict[K, Speed]:
    groups: dict[K, list[_Call]] = {}
    for call in calls:
        groups.setdefault(key(call), []).append(call)
    return {name: _speed(members) for name, members in groups.items()}


def _speed(calls: list[_Call]) -> Speed:
    first = sorted(call.first_token_ms for call in calls if call.first_token_ms is not None)
    rates = sorted(
        call.output_count * 1000 // (call.total_ms - call.first_token_ms)
        for call in calls
        if call.first_token_ms is not None
        and call.total_ms - call.first_token_ms >= _MEASURABLE_MS
        and call.output_count > 1
    )
    return Speed(
        calls=len(calls),
        failed=sum(call.is_our_fault for call in calls),
        p50_ms=_percentile(first, 50),
        p90_ms=_percentile(first, 90),
        p99_ms=_percentile(first, 99),
        tokens_per_s=_percentile(rates, 50),
    )


def _percentile(values: list[int], percent: int) -> int | None:
    """Return the smallest of sorted values that at least `percent` of them do not exceed."""
    return values[-(-len(values) * percent // 100) - 1] if values else None
