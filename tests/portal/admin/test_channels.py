"""Channels in the admin: credentials go in and never come out, and a test is a real call."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.models import User
from billing.scoping import tenant_scope
from relay.channels import create_channel, read_credential
from relay.models import Channel, ChannelCredential
from tests.cast import Shop
from tests.fakes.upstream import FakeUpstream

Browser = Callable[..., Client]
SECRET = "sk-fake-0123456789abcdef"


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    """A vendor on loopback."""
    with FakeUpstream() as fake:
        yield fake


def channel_to(shop: Shop, base_url: str, *, credential: str = SECRET) -> Channel:
    """Give the shop a channel to an address on loopback."""
    with tenant_scope(shop.tenant.pk):
        return create_channel(
            tenant=shop.tenant,
            name="loopback",
            provider="openai",
            base_url=base_url,
            credential=credential,
            allow_private_network=True,
        )


def press_test(visitor: Client, channel: Channel) -> str:
    """Press "Test connection"; return the page."""
    answer = visitor.post(reverse("admin:relay_channel_test_connection", args=[channel.pk]))
    assert answer.status_code == 200
    return answer.text


def test_a_working_channel_shows_time_and_models(
    north: Shop, browser: Browser, upstream: FakeUpstream
) -> None:
    page = press_test(browser(north.host, north.owner), channel_to(north, upstream.base_url))
    assert "<dd>200</dd>" in page
    assert "gpt-4o-mini" in page
    assert " ms</dd>" in page


def test_an_error_is_shown_as_it_is_without_the_credential(
    north: Shop, browser: Browser, upstream: FakeUpstream
) -> None:
    channel = channel_to(north, upstream.base_url, credential="sk-bad")
    page = press_test(browser(north.host, north.owner), channel)
    assert "<dd>401</dd>" in page
    assert "sk-bad" not in page


def test_an_upstream_that_fails_is_named_by_its_status(
    north: Shop, browser: Browser, upstream: FakeUpstream
) -> None:
    channel = channel_to(north, f"{upstream.origin}/status=503/v1")
    assert "<dd>503</dd>" in press_test(browser(north.host, north.owner), channel)


def test_nobody_there_is_an_answer_too(north: Shop, browser: Browser) -> None:
    page = press_test(browser(north.host, north.owner), channel_to(north, "http://127.0.0.1:9/v1"))
    assert "ConnectFailed" in page


def test_a_private_address_is_not_called_unless_allowed(
    north: Shop, browser: Browser, upstream: FakeUpstream
) -> None:
    channel = channel_to(north, upstream.base_url)
    with tenant_scope(north.tenant.pk):
        Channel.objects.filter(pk=channel.pk).update(allows_private_network=False)
    before = upstream.connections
    assert "AddressRefused" in press_test(browser(north.host, north.owner), channel)
    assert upstream.connections == before


def test_looking_at_the_test_page_calls_nobody(
    north: Shop, browser: Browser, upstream: FakeUpstream
) -> None:
    channel = channel_to(north, upstream.base_url)
    before = upstream.connections
    address = reverse("admin:relay_channel_test_connection", args=[channel.pk])
    assert browser(north.host, north.owner).get(address).status_code == 200
    assert upstream.connections == before


def test_a_channel_of_another_shop_can_not_be_tested(
    north: Shop, south: Shop, browser: Browser, upstream: FakeUpstream
) -> None:
    channel = channel_to(south, upstream.base_url)
    before = upstream.connections
    address = reverse("admin:relay_channel_test_connection", args=[channel.pk])
    assert browser(north.host, north.owner).post(address).status_code == 404
    assert upstream.connections == before


def test_the_demo_channel_answers_by_itself(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        channel = create_channel(tenant=north.tenant, name="demo", provider="demo")
    assert "<dd>200</dd>" in press_test(browser(north.host, north.owner), channel)


def test_a_new_credential_is_sealed_and_shown_by_its_hint(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host, north.owner)
    assert save(visitor, north.channel, new_credential="sk-new-0123456789-wxyz") == 302
    page = visitor.get(reverse("admin:relay_channel_change", args=[north.channel.pk])).text
    assert "***wxyz" in page
    assert "sk-new" not in page
    assert secrets_of(north) == [north.credential, "sk-new-0123456789-wxyz"]


def test_a_moved_channel_does_not_take_its_credentials_along(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host, north.owner)
    elsewhere = {"base_url": "https://collector.example/v1"}
    assert save(visitor, north.channel, **elsewhere) == 200
    assert save(visitor, north.channel, **elsewhere, new_credential="sk-other-0123456789") == 302
    assert secrets_of(north) == ["sk-other-0123456789"]


@pytest.mark.parametrize(
    "address", ["http://upstream.example/v1", "https://127.0.0.1/v1", "https://[::1]/", "nowhere"]
)
def test_an_owner_can_not_reach_into_our_network(
    north: Shop, browser: Browser, address: str
) -> None:
    visitor = browser(north.host, north.owner)
    wanted = {"base_url": address, "new_credential": SECRET, "allows_private_network": "on"}
    assert save(visitor, north.channel, **wanted) == 200


def test_an_operator_may_allow_a_private_network(
    north: Shop, operator: User, browser: Browser
) -> None:
    wanted = {"base_url": "http://127.0.0.1:9/v1", "new_credential": SECRET}
    visitor = browser(north.host, operator)
    assert save(visitor, north.channel, **wanted, allows_private_network="on") == 302


def test_a_name_that_is_taken_is_refused_in_words(north: Shop, browser: Browser) -> None:
    channel_to(north, "http://127.0.0.1:9/v1")
    visitor = browser(north.host, north.owner)
    assert save(visitor, north.channel, name="loopback") == 200


def save(visitor: Client, channel: Channel, **changes: str) -> int:
    """Submit the channel's form with changes; 302 when it was saved."""
    form: dict[str, Any] = {
        "name": channel.name,
        "provider": channel.provider,
        "base_url": channel.base_url,
        "is_enabled": "on",
        "priority": "0",
        "weight": "1",
        "extra_headers": "{}",
        "connect_timeout_ms": "5000",
        "write_timeout_ms": "30000",
        "first_byte_timeout_ms": "300000",
        "idle_timeout_ms": "120000",
        "total_timeout_ms": "1800000",
    }
    for prefix in ("models", "credentials"):
        form |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    address = reverse("admin:relay_channel_change", args=[channel.pk])
    return visitor.post(address, form | changes).status_code


def secrets_of(shop: Shop) -> list[str]:
    """Return what the credentials of the shop's first channel unseal to."""
    with tenant_scope(shop.tenant.pk):
        rows = ChannelCredential.objects.filter(channel=shop.channel).order_by("id")
        return [read_credential(row) for row in rows]
