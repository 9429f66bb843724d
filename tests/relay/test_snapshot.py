"""What the relay remembers of the database: hosts, coming prices, keys, masked secrets."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from billing.models import PriceBook, PriceVersion
from billing.scoping import tenant_scope
from relay import loading
from relay.errors import InvalidKey, UnknownHost
from relay.keyring import KeyEntry, Keyring
from relay.reader import Reader
from relay.snapshot import Host, Snapshot
from tests.relay.asking import CHAT, bearer, chat, until
from tests.relay.conftest import Shop
from tests.relay.server import RelayServer


def snapshot(**hosts: int) -> Snapshot:
    """Return a snapshot of these hosts (name without dots -> tenant)."""
    named = {f"{name}.example": Host(tenant, None) for name, tenant in hosts.items()}
    return Snapshot(version=1, shops={}, hosts=named, any_host=None)


def test_random_hosts_are_not_remembered_without_bound() -> None:
    found = snapshot(one=1)
    for number in range(5_000):
        assert found.host(b"one.example:%d" % number).tenant_id == 1
    assert len(found.known_hosts) <= 1_000


def test_an_unknown_host_is_refused_each_time() -> None:
    found = snapshot(one=1)
    for header in (b"two.example", b"two.example", b"", b"\xff\xfe", b"one.example.evil"):
        with pytest.raises(UnknownHost):
            found.host(header)


def test_a_price_that_begins_later_begins_then(
    demo_key: str, shop: Shop, client: httpx.Client, relay_server: RelayServer
) -> None:
    with tenant_scope(shop.tenant.pk):
        book = PriceBook.objects.get()
        PriceVersion.objects.create(
            tenant=shop.tenant,
            book=book,
            model="gpt-4",
            valid_from=timezone.now() + timedelta(seconds=1.2),
            input_ubt=1_000_000,
            output_ubt=1_000_000,
        )
    shop.wait_for_relays()
    before = relay_server.services.snapshot.shops[shop.tenant.pk].prices["gpt-4"]
    assert before.ubt[0] == 20_000_000
    until(lambda: _price_of(relay_server, shop) == 1_000_000)
    client.post(CHAT, headers=bearer(demo_key), json=chat())
    (record,) = shop.settled()
    assert record.charged_ubt == 1_000_000 * (record.input_count + record.output_count)


def _price_of(server: RelayServer, shop: Shop) -> int:
    price: int = server.services.snapshot.shops[shop.tenant.pk].prices["gpt-4"].ubt[0]
    return price


def test_a_channel_whose_credential_cannot_be_opened_is_out_of_service(
    shop: Shop, client: httpx.Client
) -> None:
    channel = shop.channel(
        "broken", provider="openai", base_url="https://api.example/v1", credential="sk-secret"
    )
    shop.break_seal(channel)
    shop.wait_for_relays()
    answer = client.post(CHAT, headers=bearer(shop.key()), json=chat())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_available_channel")


def test_the_platforms_channels_and_prices_serve_every_shop(
    shop: Shop, client: httpx.Client
) -> None:
    shop.platform_channel()
    shop.wait_for_relays()
    body = chat(model="gpt-4o-mini")
    assert client.post(CHAT, headers=bearer(shop.key()), json=body).status_code == 200


def entry(number: int) -> KeyEntry:
    """Return some key."""
    return KeyEntry(
        id=number,
        kid="abcdefgh",
        tenant_id=1,
        wallet_id=1,
        is_enabled=True,
        models=frozenset(),
        endpoints=frozenset(),
        addresses=(),
        budget_period="",
        budget_ubt=None,
        expires_at=None,
    )


class Stored:
    """The keys that there are, and how often they were asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def read(self, presented: Any) -> dict[str, KeyEntry]:
        """Return those that begin with `good`."""
        self.asked.append(list(presented))
        return {text: entry(1) for text in presented if text.startswith("good")}


async def test_a_key_is_read_once() -> None:
    stored = Stored()
    keyring = Keyring(Reader(), read_keys=stored.read, size=10)
    for _ in range(3):
        await keyring.find(b"good")
    assert stored.asked == [["good"]]


async def test_a_key_that_was_forgotten_is_read_again() -> None:
    stored = Stored()
    keyring = Keyring(Reader(), read_keys=stored.read, size=10)
    await keyring.find(b"good")
    keyring.forget()
    await keyring.find(b"good")
    assert len(stored.asked) == 2


async def test_an_unknown_key_is_remembered_for_a_moment() -> None:
    stored = Stored()
    keyring = Keyring(Reader(), read_keys=stored.read, size=10)
    for _ in range(3):
        with pytest.raises(InvalidKey):
            await keyring.find(b"bad")
    assert len(stored.asked) == 1


async def test_no_more_keys_are_remembered_than_there_is_room_for() -> None:
    stored = Stored()
    keyring = Keyring(Reader(), read_keys=stored.read, size=2)
    for name in (b"good1", b"good2", b"good3", b"good3", b"good2", b"good1"):
        await keyring.find(name)
    assert stored.asked == [["good1"], ["good2"], ["good3"], ["good1"]]


def test_an_unsealed_credential_is_never_printed(shop: Shop) -> None:
    shop.channel(
        "secret", provider="openai", base_url="https://api.example/v1", credential="sk-hush-hush"
    )
    printed = repr(loading.load_snapshot())
    assert "hush" not in printed
