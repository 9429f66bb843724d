"""Fixtures of the relay's tests: a shop with a demo channel and a key, and a running relay."""

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from django.test import override_settings

from billing import catalogue, keys
from billing.ledger import transfers
from billing.ledger.reaper import reap
from billing.ledger.reconcile import reconcile
from billing.models import Hold, Tenant, UsageRecord, Wallet
from billing.scoping import all_tenants, tenant_scope
from billing.tenants import create_tenant, platform
from relay.channels import create_channel
from relay.models import Channel, ChannelCredential
from tests.databases import Database
from tests.fakes.media import FakeMedia
from tests.fakes.upstream import FakeUpstream
from tests.relay.asking import until
from tests.relay.server import RelayServer, running_relay, wait_until_fresh

# Base tokens per token, as in the shop of old.
PRICES = {"gpt-4": {"input": 20, "output": 40}, "gpt-3.5-turbo": {"input": 1, "output": "1.5"}}


@dataclass
class Shop:
    """A tenant with keys, and what its books say."""

    tenant: Tenant

    def key(self, base_tokens: int = 90_000, **limits: Any) -> str:
        """Issue a key and return its plain text."""
        with tenant_scope(self.tenant.pk):
            return keys.issue(
                tenant_id=self.tenant.pk, credit_ubt=base_tokens * 1_000_000, **limits
            )[1]

    def channel(self, name: str = "demo", **fields: Any) -> int:
        """Add a channel and return its id; the built-in demo if nothing else is said."""
        with tenant_scope(self.tenant.pk):
            fields.setdefault("provider", "demo")
            return create_channel(tenant=self.tenant, name=name, **fields).pk

    def fake_channel(self, fake: FakeUpstream, path: str = "/v1", **fields: Any) -> int:
        """Add a channel to a fake vendor; directives for all its requests may stand in the path."""
        fields.setdefault("name", f"fake{path}")
        fields.setdefault("credential", "sk-fake-credential")
        return self.channel(
            provider="openai", base_url=fake.origin + path, allow_private_network=True, **fields
        )

    def change_channel(self, channel_id: int, **fields: Any) -> None:
        """Change a channel's row as the admin would."""
        with tenant_scope(self.tenant.pk):
            Channel.objects.filter(pk=channel_id).update(**fields)

    def break_seal(self, channel_id: int) -> None:
        """Damage a channel's sealed credential."""
        with tenant_scope(self.tenant.pk):
            ChannelCredential.objects.filter(channel_id=channel_id).update(sealed=b"damaged")

    @staticmethod
    def platform_channel() -> None:
        """Add a demo channel that the platform shares with every shop."""
        tenant = platform()
        with tenant_scope(tenant.pk):
            create_channel(tenant=tenant, name="shared", provider="demo")

    def change_tenant(self, **fields: Any) -> None:
        """Change the tenant's row as the admin would."""
        Tenant.objects.filter(pk=self.tenant.pk).update(**fields)

    def take_away(self, base_tokens: int | None = None) -> None:
        """Debit the first wallet: all that no hold has, unless an amount is given."""
        wallet = self.wallets()[0]
        amount = wallet.available_ubt if base_tokens is None else base_tokens * 1_000_000
        with tenant_scope(self.tenant.pk):
            transfers.debit(
                wallet_id=wallet.pk,
                kind="adjustment",
                amount_ubt=amount,
                source="test",
                source_id=str(time.monotonic_ns()),
            )

    def reprice(self, model: str, **buckets: Any) -> None:
        """Publish another price."""
        with tenant_scope(self.tenant.pk):
            catalogue.load_retail(self.tenant.pk, {model: buckets})

    def revoke(self, key: str) -> None:
        """Revoke a key."""
        form = keys.parse(key)
        assert form is not None
        with tenant_scope(self.tenant.pk):
            keys.revoke(kid=form.kid)

    @staticmethod
    def wait_for_relays() -> None:
        """Wait for the moment in which the running relays have noticed every change."""
        wait_until_fresh()

    def usage(self) -> list[UsageRecord]:
        """Return the usage records, oldest first."""
        with tenant_scope(self.tenant.pk):
            return list(UsageRecord.objects.order_by("id"))

    def settled(self, count: int = 1) -> list[UsageRecord]:
        """Wait until so many requests are booked and no hold is left; return their records."""
        until(lambda: len(self.usage()) >= count and not self.holds())
        records = self.usage()
        assert len(records) == count
        return records

    def check_books(self) -> None:
        """Fail unless every wallet's balance is the sum of what was charged to it."""
        with tenant_scope(self.tenant.pk):
            report = reconcile(tenant_id=self.tenant.pk, repair=False)
        assert not report.findings

    def holds(self) -> int:
        """Return how many holds are open."""
        with tenant_scope(self.tenant.pk):
            return Hold.objects.count()

    def open_holds(self) -> list[Hold]:
        """Return the open holds."""
        with tenant_scope(self.tenant.pk):
            return list(Hold.objects.all())

    @staticmethod
    def reap(*, stale_s: float) -> int:
        """Make one pass of the reaper with this stale time."""
        with override_settings(HOLD_STALE_S=stale_s), all_tenants():
            return reap()

    def wallets(self) -> list[Wallet]:
        """Return the wallets, oldest first."""
        with tenant_scope(self.tenant.pk):
            return list(Wallet.objects.order_by("id"))


def open_shop(slug: str = "shop", hosts: tuple[str, ...] = ("127.0.0.1",)) -> Shop:
    """Make a tenant with the tests' prices and no channel."""
    tenant = create_tenant(slug=slug, name=slug.title(), hosts=list(hosts))
    with tenant_scope(tenant.pk):
        catalogue.load_retail(tenant.pk, PRICES)
    return Shop(tenant)


@pytest.fixture
def shop(sqlite_database: Database) -> Shop:
    """A shop on SQLite."""
    return open_shop()


@pytest.fixture
def fake() -> Iterator[FakeUpstream]:
    """A fake OpenAI-compatible vendor."""
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture
def fake_media() -> Iterator[FakeMedia]:
    """A fake vendor of pictures and sound."""
    with FakeMedia() as fake:
        yield fake


@pytest.fixture
def fake_key(shop: Shop, fake: FakeUpstream) -> str:
    """A key of a shop whose only channel is the fake vendor, worth 90,000 base tokens."""
    shop.fake_channel(fake)
    return shop.key()


@pytest.fixture
def demo_key(shop: Shop) -> str:
    """A key of a shop that has the demo channel, worth 90,000 base tokens."""
    shop.channel()
    return shop.key()


@pytest.fixture
def relay_server(shop: Shop) -> Iterator[RelayServer]:
    """A relay that serves the shop."""
    with running_relay() as server:
        yield server


@pytest.fixture(scope="session")
def trust() -> ssl.SSLContext:
    """Whom HTTP clients trust; making one of these takes longer than a test's requests."""
    return httpx.create_ssl_context()


@pytest.fixture
def client(relay_server: RelayServer, trust: ssl.SSLContext) -> Iterator[httpx.Client]:
    """An HTTP client at the relay."""
    with httpx.Client(base_url=relay_server.url, timeout=20, verify=trust) as client:
        yield client
