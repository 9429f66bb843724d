"""What the relay reads through the ORM to build its snapshot and its keyring. Runs in the reader.

A broken row (a credential that can't be unsealed, a provider that does not exist) takes its channel
out of service and leaves a line in the log; it never takes the relay down.
"""

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence

import structlog
from django.db.models import Min
from django.utils import timezone

from billing import keys
from billing.catalogue import price_lists
from billing.errors import FieldInvalid, SealBroken
from billing.models import ApiKey, ChangeCounter, Domain, PriceVersion, Tenant, Wallet
from billing.pricing import Price
from billing.scoping import all_tenants
from billing.tenants import only_shop
from relay.ceilings import Ceiling, ceiling_of
from relay.channels import check_proxy, read_credential
from relay.keyring import KeyEntry
from relay.models import Channel, ChannelCredential, GenericRoute
from relay.options import Network
from relay.protocols.generic import RouteEntry
from relay.protocols.task_rules import TaskRule
from relay.providers import REGISTRY
from relay.providers.generic import ROUTES_ONLY
from relay.snapshot import ChannelEntry, CredentialEntry, Host, Shop, Snapshot
from relay.upstream import AddressPolicy, Timeouts

log = structlog.get_logger(__name__)


def read_versions() -> Mapping[str, int]:
    """Return the change counters: one small read, made twice a second."""
    return dict(ChangeCounter.objects.values_list("topic", "version"))


def load_snapshot() -> Snapshot:
    """Return everything but keys, as it is now."""
    version = read_versions().get("config", 0)  # first: what changes meanwhile is read again
    with all_tenants():
        tenants = list(Tenant.objects.all())
        channels = list(Channel.objects.prefetch_related("models", "credentials"))
        routes = list(GenericRoute.objects.filter(is_enabled=True))
        domains = list(Domain.objects.all())
        default = only_shop()
        coming = PriceVersion.objects.filter(valid_from__gt=timezone.now())
        next_price_at = coming.aggregate(first=Min("valid_from"))["first"]
    prices = price_lists(tenant.pk for tenant in tenants)
    entries: dict[int, list[ChannelEntry]] = {tenant.pk: [] for tenant in tenants}
    for channel in channels:
        entry = _channel_entry(channel)
        if entry is not None and channel.tenant_id in entries:  # else newer than what we read
            entries[channel.tenant_id].append(entry)
    platform = next((tenant.pk for tenant in tenants if tenant.is_platform), 0)
    shared = entries.get(platform, [])
    return Snapshot(
        version=version,
        shops={
            tenant.pk: _shop(
                tenant,
                prices[tenant.pk],
                entries[tenant.pk],
                shared,
                routes=[_route(row) for row in routes if row.tenant_id in (tenant.pk, platform)],
            )
            for tenant in tenants
        },
        has_routes=bool(routes),
        hosts={
            domain.hostname: Host(tenant_id=domain.tenant_id, line_id=domain.pk)
            for domain in domains
            if domain.tenant_id in entries  # else newer than what we read
        },
        any_host=Host(tenant_id=default.tenant_id, line_id=default.pk) if default else None,
        stale_at=next_price_at.timestamp() if next_price_at else None,
    )


def _shop(
    tenant: Tenant,
    prices: Mapping[str, Price],
    own: Sequence[ChannelEntry],
    shared: Sequence[ChannelEntry],
    *,
    routes: Sequence[RouteEntry],
) -> Shop:
    channels = (*own, *shared) if not tenant.is_platform else tuple(own)
    return Shop(
        id=tenant.pk,
        is_active=tenant.is_active,
        finishes_abandoned=tenant.finishes_abandoned,
        shows_money=tenant.shows_money,
        time_zone=tenant.time_zone,
        prices=prices,
        channels=tuple(one for one in channels if one.provider.name != ROUTES_ONLY),
        route_channels=tuple(one for one in channels if one.provider.name == ROUTES_ONLY),
        routes=tuple(sorted(routes, key=lambda route: -len(route.prefix))),
    )


def _route(row: GenericRoute) -> RouteEntry:
    return RouteEntry(
        id=row.pk,
        prefix=row.prefix,
        channel_id=row.channel_id,
        upstream_prefix=row.upstream_prefix,
        methods=frozenset(row.methods),
        price_model=row.price_model,
        rule=rule_of(row),
    )


def rule_of(route: GenericRoute) -> TaskRule | None:
    """Return the rule of a route's jobs, None if it knows of none."""
    if not (route.task_field and route.poll_path):
        return None
    return TaskRule(
        task_field=route.task_field,
        poll_path=route.poll_path,
        state_field=route.state_field,
        done_values=tuple(route.done_values),
        failed_values=tuple(route.failed_values),
    )


def read_channels(ids: Collection[int]) -> dict[int, ChannelEntry]:
    """Return those of some channels that there are, enabled or not, in the open scope."""
    rows = Channel.objects.filter(pk__in=ids).prefetch_related("models", "credentials")
    entries = {channel.pk: _channel_entry(channel) for channel in rows}
    return {pk: entry for pk, entry in entries.items() if entry is not None}


def _channel_entry(channel: Channel) -> ChannelEntry | None:
    provider = REGISTRY.get(channel.provider)
    if provider is None:
        log.error("channel of an unknown provider", channel=channel.pk, provider=channel.provider)
        return None
    credentials = tuple(_credentials(channel))
    is_usable = bool(credentials) and _has_usable_proxy(channel)
    return ChannelEntry(
        id=channel.pk,
        provider=provider,
        base_url=channel.base_url,
        credentials=credentials,
        models={row.asked: row.served for row in channel.models.all()},
        endpoints=frozenset(channel.allowed_endpoints),
        priority=channel.priority,
        weight=channel.weight,
        concurrency=channel.concurrency,
        timeouts=Timeouts(
            connect_s=channel.connect_timeout_ms / 1000,
            write_s=channel.write_timeout_ms / 1000,
            first_byte_s=channel.first_byte_timeout_ms / 1000,
            idle_s=channel.idle_timeout_ms / 1000,
            total_s=channel.total_timeout_ms / 1000,
        ),
        policy=AddressPolicy(allow_private=channel.allows_private_network),
        extra_headers=dict(channel.extra_headers),
        proxy_url=channel.proxy_url,
        cost_prices={},
        is_enabled=channel.is_enabled and is_usable,
    )


def _has_usable_proxy(channel: Channel) -> bool:
    try:
        check_proxy(channel.proxy_url)
    except FieldInvalid:
        log.error("proxy of a channel can't be one", channel=channel.pk)
        return False
    return True


def _credentials(channel: Channel) -> Iterable[CredentialEntry]:
    rows = [row for row in channel.credentials.all() if row.is_enabled]
    if not rows and not REGISTRY[channel.provider].needs_credential:
        yield CredentialEntry(id=-channel.pk, secret="", hint="")
    for row in rows:
        secret = _unsealed(row)
        if secret is not None:
            yield CredentialEntry(id=row.pk, secret=secret, hint=row.hint)


def _unsealed(row: ChannelCredential) -> str | None:
    try:
        return read_credential(row)
    except SealBroken:
        log.error("credential can't be unsealed", channel=row.channel_id, credential=row.pk)
        return None


def read_keys(presented: Sequence[str]) -> Mapping[str, KeyEntry]:
    """Return the entries of those presented keys that exist and whose secret is right."""
    parsed = {text: keys.parse(text) for text in presented}
    kids = {form.kid for form in parsed.values() if form is not None}
    with all_tenants():
        rows = ApiKey.objects.select_related("wallet").filter(kid__in=kids) if kids else ()
        by_kid = {row.kid: row for row in rows}
    found: dict[str, KeyEntry] = {}
    for text, form in parsed.items():
        if form is None:
            continue
        row = by_kid.get(form.kid)
        mac, version = (row.mac, row.pepper_version) if row else (None, None)
        if keys.matches(form, mac=mac, pepper_version=version) and row is not None:
            found[text] = _key_entry(row)
    return found


def _key_entry(key: ApiKey) -> KeyEntry:
    return KeyEntry(
        id=key.pk,
        kid=key.kid,
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        is_enabled=key.status == ApiKey.ACTIVE
        and key.revoked_at is None
        and key.wallet.status == Wallet.ACTIVE,
        expires_at=key.expires_at.timestamp() if key.expires_at else None,
        models=frozenset(key.allowed_models),
        endpoints=frozenset(key.allowed_endpoints),
        addresses=tuple(_networks(key)),
        ceilings=(*_ceiling("key", key), *_ceiling("wallet", key.wallet)),
        budget_period=key.budget_period,
        budget_ubt=key.budget_ubt,
    )


def _ceiling(owner: str, row: ApiKey | Wallet) -> tuple[Ceiling, ...]:
    return ceiling_of(owner, row.pk, rpm=row.rpm, tpm=row.tpm, concurrency=row.concurrency)


def _networks(key: ApiKey) -> Iterable[Network]:
    """Return the key's networks; one that can't be read allows nobody."""
    for text in key.allowed_addresses:
        try:
            yield ipaddress.ip_network(text, strict=False)
        except ValueError:
            log.error("address list of a key can't be read", key=key.kid)
            yield ipaddress.ip_network("255.255.255.255/32")
