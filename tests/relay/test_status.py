"""What pages may say of the relay: which model works and why not, and how fast it was."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache

from billing import tenants
from billing.ids import uuid7
from billing.models import UsageRecord
from billing.scoping import tenant_scope
from relay import status
from relay.channels import create_channel
from relay.models import Channel, ChannelCredential, GenericRoute
from tests.cast import Shop, north, request_row, south

__all__ = ["north", "south"]

DAY = timedelta(days=1)


def state_of(shop: Shop, model: str = "gpt-4o") -> status.State:
    cache.clear()
    platform_id = tenants.platform().pk
    with tenant_scope(shop.tenant.pk):
        found = status.states([model], tenant_id=shop.tenant.pk, platform_id=platform_id)
    return found[model]


def note_call(shop: Shop, **facts: Any) -> None:
    row = request_row(shop, UsageRecord) | {"id": uuid7(), "model_asked": "gpt-4o"} | facts
    with tenant_scope(shop.tenant.pk):
        UsageRecord.objects.create(**row)


def speed_of(shop: Shop) -> status.Speed:
    cache.clear()
    with tenant_scope(shop.tenant.pk):
        return status.speeds(shop.tenant.pk, since=DAY)["gpt-4o"]


def test_a_model_that_a_channel_serves_is_usable_there_and_where_it_is_translated(
    north: Shop,
) -> None:
    served = [name for name in status.ENDPOINT_NAMES if not name.startswith("gemini_")]
    assert state_of(north) == status.State("", tuple(served))
    assert "messages" in served


def test_a_channel_for_some_endpoints_serves_those(north: Shop) -> None:
    with tenant_scope(north.tenant.pk):
        Channel.objects.update(allowed_endpoints=["embeddings"])
    assert state_of(north).endpoints == ("embeddings",)


def test_a_model_of_no_channel_says_so(north: Shop) -> None:
    assert state_of(north, "gpt-4").reason == status.NO_CHANNEL


def test_a_channel_that_is_switched_off_says_so(north: Shop) -> None:
    with tenant_scope(north.tenant.pk):
        Channel.objects.update(is_enabled=False)
    assert state_of(north).reason == status.CHANNEL_OFF


def test_a_channel_without_a_credential_says_so(north: Shop) -> None:
    with tenant_scope(north.tenant.pk):
        ChannelCredential.objects.update(is_enabled=False)
    assert state_of(north).reason == status.NO_CREDENTIAL


def test_another_shops_channel_serves_nothing_here(north: Shop, south: Shop) -> None:
    with tenant_scope(north.tenant.pk):
        Channel.objects.update(is_enabled=False)
    assert not state_of(north).is_usable


def test_a_model_whose_latest_calls_all_failed_is_failing(north: Shop) -> None:
    for _ in range(3):
        note_call(north, error_type="upstream_unavailable")
    assert state_of(north).reason == status.FAILING
    assert state_of(north).is_usable


@pytest.mark.parametrize("error_type", ["", "caller_gone", "policy_quota"])
def test_what_is_not_our_fault_is_no_failure(north: Shop, error_type: str) -> None:
    note_call(north, error_type=error_type)
    for _ in range(3):
        note_call(north, error_type="upstream_timeout")
    assert state_of(north).reason == ""
    assert speed_of(north).failed == 3


def test_percentiles_are_of_the_first_token(north: Shop) -> None:
    for first_token_ms in range(10, 1010, 10):
        note_call(north, first_token_ms=first_token_ms, total_ms=first_token_ms)
    speed = speed_of(north)
    assert (speed.calls, speed.p50_ms, speed.p90_ms, speed.p99_ms) == (100, 500, 900, 990)
    assert speed.tokens_per_s is None


def test_tokens_per_second_count_from_the_first_token_on(north: Shop) -> None:
    note_call(north, first_token_ms=500, total_ms=2_500, output_count=160)
    assert speed_of(north).tokens_per_s == 80


def test_calls_are_told_apart_by_line(north: Shop) -> None:
    note_call(north, line_id=7)
    note_call(north, line_id=None)
    cache.clear()
    with tenant_scope(north.tenant.pk):
        lines = status.traffic(north.tenant.pk, since=DAY).lines
    assert {line: speed.calls for line, speed in lines.items()} == {7: 1, None: 1}


def test_another_shops_calls_are_not_counted(north: Shop, south: Shop) -> None:
    note_call(south, first_token_ms=1)
    cache.clear()
    with tenant_scope(north.tenant.pk):
        assert status.traffic(north.tenant.pk, since=DAY).models == {}


def test_a_quiet_shop_is_looked_for_among_the_latest_calls_alone(
    north: Shop, south: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "MAX_SCANNED", 3)
    note_call(north, first_token_ms=100)
    for _ in range(3):
        note_call(south)
    assert speed_of(south).calls == 3
    cache.clear()
    with tenant_scope(north.tenant.pk):
        assert status.speeds(north.tenant.pk, since=DAY)["gpt-4o"].calls == 1
    note_call(south)
    cache.clear()
    with tenant_scope(north.tenant.pk):
        assert status.speeds(north.tenant.pk, since=DAY) == {}


def routed(shop: Shop, price_model: str = "mj") -> None:
    """Give the shop a route with a channel that serves no model, at this price."""
    with tenant_scope(shop.tenant.pk):
        channel = create_channel(
            tenant=shop.tenant,
            name="mj",
            provider="generic",
            base_url="https://mj.example",
            credential="secret-of-mj-0123456789",
        )
        GenericRoute.objects.create(
            tenant=shop.tenant, name="mj", prefix="/mj", channel=channel, price_model=price_model
        )


def test_the_price_of_a_route_is_usable_where_its_channel_is(north: Shop) -> None:
    routed(north)
    assert state_of(north, "mj") == status.State("", ("generic",))
    with tenant_scope(north.tenant.pk):
        GenericRoute.objects.update(is_enabled=False)
    assert not state_of(north, "mj").is_usable


def test_a_channel_for_routes_serves_no_model(north: Shop) -> None:
    routed(north)
    with tenant_scope(north.tenant.pk):
        Channel.objects.exclude(provider="generic").delete()
    assert state_of(north).reason == status.NO_CHANNEL
