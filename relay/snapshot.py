"""The relay's read-only copy of prices, channels and hosts, and how it stays fresh.

A snapshot is immutable and replaced as a whole. The keeper asks the database twice a second for one
small number; when configuration has changed it has the reader build a new snapshot, and when keys
have changed it forgets the keys that were read (`keyring`). While the database is away the last
snapshot serves on. Built by `loading`, read by everything on the path of a request.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import structlog

from billing.errors import FieldInvalid
from billing.hostnames import hostname
from billing.pricing import BUCKETS, Price, is_variant
from relay.errors import BadRequest, LedgerUnavailable, ModelNotFound, UnknownHost
from relay.protocols.base import Endpoint, RequestFacts
from relay.protocols.generic import RouteEntry
from relay.providers.base import Provider
from relay.reader import Reader
from relay.translate import serves_itself, translation_for
from relay.translate.base import Responder, Translation
from relay.upstream import AddressPolicy, HeadTemplate, Timeouts

log = structlog.get_logger(__name__)

MAX_TEMPLATES = 64
MAX_KNOWN_HOSTS = 1_000
_NO_CHARGE = (0,) * len(BUCKETS)
_IMAGE = BUCKETS.index("image")


class CredentialEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An unsealed credential of a channel, with the request heads made from it. Never printed."""

    id: int
    secret: str
    hint: str
    templates: dict[tuple[Any, ...], HeadTemplate] = {}

    def __repr__(self) -> str:
        return f"CredentialEntry(id={self.id}, hint={self.hint!r})"


class ChannelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A channel as the relay uses it. Empty `models` and `endpoints` mean all of them."""

    id: int
    provider: Provider
    base_url: str
    credentials: tuple[CredentialEntry, ...]
    models: Mapping[str, str]
    endpoints: frozenset[str]
    priority: int
    weight: int
    concurrency: int | None
    timeouts: Timeouts
    policy: AddressPolicy
    extra_headers: Mapping[str, str]
    proxy_url: str
    cost_prices: Mapping[str, Price]
    is_enabled: bool

    def __repr__(self) -> str:
        return f"ChannelEntry(id={self.id})"

    def offer(self, endpoint: Endpoint, model: str) -> "Offer | None":
        """Return how this channel serves a model at an endpoint, None if it does not."""
        served = self.models.get(model) if self.models else model
        if served is None:
            return None
        if serves_itself(endpoint, self.provider, self.endpoints):
            return Offer(self, served, endpoint)
        translation = translation_for(endpoint, self.provider, self.endpoints)
        return Offer(self, served, translation.endpoint, translation) if translation else None


class Offer(NamedTuple):
    """A channel that serves a model: what routing chooses among.

    `endpoint` is where the upstream is asked; not the client's own if there is a `translation`.
    """

    channel: ChannelEntry
    served: str
    endpoint: Endpoint
    translation: Translation | None = None

    @property
    def local(self) -> Responder | None:
        """Return who answers in this process, None if an upstream does."""
        itself = self.translation.local if self.translation else None
        return itself or self.channel.provider.local

    @property
    def rank(self) -> tuple[int, bool]:
        """Return by what offers are sorted, lowest first: priority, then the native ones."""
        return -self.channel.priority, self.translation is not None


class Host(NamedTuple):
    """Whom a Host header names: a tenant, and the domain as its line."""

    tenant_id: int
    line_id: int | None


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant as the relay sees it: what it sells, and over which channels.

    Generic routes have channels of their own, which serve no model.
    """

    id: int
    is_active: bool
    finishes_abandoned: bool
    shows_money: bool
    time_zone: str
    prices: Mapping[str, Price]
    channels: tuple[ChannelEntry, ...]
    routes: tuple[RouteEntry, ...] = ()
    route_channels: tuple[ChannelEntry, ...] = ()
    known_offers: dict[tuple[str, str], tuple[Offer, ...]] = {}

    def offers(self, endpoint: Endpoint, model: str) -> tuple[Offer, ...]:
        """Return who serves a priced model, the first to be tried first; disabled channels too."""
        found = self.known_offers.get((endpoint.path, model))
        if found is None:
            made = (channel.offer(endpoint, model) for channel in self.channels)
            found = tuple(sorted(filter(None, made), key=lambda offer: offer.rank))
            if model in self.prices:
                self.known_offers[endpoint.path, model] = found
        return found

    def route(self, path: str) -> RouteEntry | None:
        """Return the generic route that an address belongs to: the one with the longest prefix."""
        return next((route for route in self.routes if route.has(path)), None)

    def price(self, facts: RequestFacts) -> Price:
        """Return the price of what is asked for: of its size or quality, where that has its own.

        Raises ModelNotFound; BadRequest for a tool that the vendor bills and nobody has priced.
        """
        price = self.prices.get(facts.model)
        for variant in facts.variants:
            if variant in self.prices:
                price = self.prices[variant]
                break
        if price is None or ("/" in facts.model and is_variant(facts.model)):
            raise ModelNotFound(f"The model `{facts.model}` does not exist.", param="model")
        if facts.drawings and not price.ubt[_IMAGE]:
            raise BadRequest("No tool draws pictures with this model here.", param="tools")
        if facts.endpoint.is_free:
            price = msgspec.structs.replace(price, ubt=_NO_CHARGE, tiers=())
        return price

    def usable_models(self) -> list[str]:
        """Return the priced models that an enabled channel serves, by name; no prices of routes."""
        working = [channel for channel in self.channels if channel.is_enabled]
        of_routes = {route.price_model for route in self.routes}
        return sorted(
            model
            for model in self.prices.keys() - of_routes
            if any(not channel.models or model in channel.models for channel in working)
        )


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything but keys, as of one version of the configuration.

    `stale_at` (epoch seconds) is when the next price begins that is published already.
    """

    version: int
    shops: Mapping[int, Shop]
    hosts: Mapping[str, Host]
    any_host: Host | None
    stale_at: float | None = None
    has_routes: bool = False
    known_hosts: dict[bytes, Host] = {}

    def route(self, host: bytes, path: str) -> RouteEntry | None:
        """Return the generic route of a Host's shop that an address belongs to, if there is one."""
        if not self.has_routes:
            return None
        while "//" in path:
            path = path.replace("//", "/")
        try:
            return self.shops[self.host(host).tenant_id].route(path)
        except UnknownHost:
            return None

    def host(self, header: bytes) -> Host:
        """Return whom a Host header names; raises UnknownHost."""
        found = self.known_hosts.get(header)
        if found is None:
            found = self.hosts.get(_stored_name(header)) or self.any_host
            if found is None:
                raise UnknownHost
            if len(self.known_hosts) < MAX_KNOWN_HOSTS:
                self.known_hosts[header] = found
        return found


def _stored_name(header: bytes) -> str:
    """Return the name in a Host header as domains are stored; "" for what is no hostname."""
    try:
        return hostname(header.decode("latin-1"))
    except FieldInvalid:
        return ""


class SnapshotKeeper:
    """Holds the current snapshot and replaces it when the database says so."""

    def __init__(
        self,
        reader: Reader,
        *,
        load: Callable[[], Snapshot],
        read_versions: Callable[[], Mapping[str, int]],
        forget_keys: Callable[[], None],
        period_s: float,
    ) -> None:
        self.current: Snapshot
        self._reader = reader
        self._load = load
        self._read_versions = read_versions
        self._forget_keys = forget_keys
        self._period_s = period_s
        self.keys_version = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the first snapshot and begin to watch for changes."""
        self.keys_version = (await self._reader.run(self._read_versions)).get("keys", 0)
        self.current = await self._reader.run(self._load)
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Ask the database once, and take over what has changed."""
        versions = await self._reader.run(self._read_versions)
        if versions.get("keys", 0) != self.keys_version:
            self.keys_version = versions.get("keys", 0)
            self._forget_keys()
        is_stale = self.current.stale_at is not None and self.current.stale_at <= time.time()
        if is_stale or versions.get("config", 0) != self.current.version:
            self.current = await self._reader.run(self._load)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            try:
                await self.refresh()
            except LedgerUnavailable:
                continue  # the last snapshot serves on; the reader has logged why
            # A configuration that can't be read must not stop the watch: the next may be right.
            except Exception:
                log.exception("snapshot not refreshed")
