"""Generic routes and jobs in the admin: prefixes that shadow nothing, whole rules, charges back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing import catalogue
from billing.ledger import direct
from billing.models import Transfer, Wallet
from billing.pricing import Counts
from billing.scoping import tenant_scope
from portal.admin.routes import taken_names
from relay.channels import create_channel
from relay.models import Channel, GenericRoute, UpstreamObject
from tests.billing.ledger.making import Buyer, facts, hold_op, settle_op
from tests.cast import Shop, open_shop
from tests.databases import Database

Browser = Callable[..., Client]


@pytest.fixture
def visitor(north: Shop, browser: Browser) -> Client:
    client = browser(north.host, north.owner)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


@pytest.fixture
def channel(north: Shop) -> Channel:
    with tenant_scope(north.tenant.pk):
        return create_channel(
            tenant=north.tenant,
            name="mj",
            provider="generic",
            base_url="https://mj.example",
            credential="secret-of-mj-0123456789",
        )


def add(visitor: Client, channel: Channel, **fields: Any) -> str:
    """Send the form of a new route; return what it complains of, "" if it is saved."""
    whole = {
        "name": "Midjourney",
        "is_enabled": "on",
        "prefix": "/mj",
        "methods": ["GET", "POST"],
        "channel": channel.pk,
        "price_model": "mj",
        "task_field": "result",
        "poll_path": "/task/{task}/fetch",
        "state_field": "status",
        "done_values": "SUCCESS",
        "failed_values": "FAILURE\nCANCEL",
    }
    answer = visitor.post(reverse("admin:relay_genericroute_add"), whole | fields)
    return "" if answer.status_code == 302 else answer.text


def routes(shop: Shop) -> list[GenericRoute]:
    with tenant_scope(shop.tenant.pk):
        return list(GenericRoute.objects.all())


def test_a_route_is_stored_as_it_is_given(north: Shop, visitor: Client, channel: Channel) -> None:
    assert add(visitor, channel, prefix="/mj/") == ""
    [route] = routes(north)
    assert (route.prefix, route.methods) == ("/mj", ["GET", "POST"])
    assert (route.done_values, route.failed_values) == (["SUCCESS"], ["FAILURE", "CANCEL"])


@pytest.mark.parametrize(
    "prefix",
    [
        *("/admin", "/ADMIN/x", "/api", "/static/x", "/usage", "/brand.css", "/account/x"),
        *("/v1", "/v1beta/mj", "/openai", "/dashboard/billing", "/healthz"),
    ],
)
def test_a_prefix_of_ours_is_refused(
    north: Shop, visitor: Client, channel: Channel, prefix: str
) -> None:
    assert "answers there already" in add(visitor, channel, prefix=prefix)
    assert not routes(north)


def test_every_page_of_the_shop_is_taken() -> None:
    assert {"admin", "api", "usage", "account", "guides", "static"} <= taken_names()


@pytest.mark.parametrize("prefix", ["mj", "/", "/mj/../x", "/m j", "/mj?x", "//mj", "/.", "/ü"])
def test_a_prefix_is_a_plain_path(
    north: Shop, visitor: Client, channel: Channel, prefix: str
) -> None:
    assert "path like" in add(visitor, channel, prefix=prefix)
    assert not routes(north)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"poll_path": ""}, "belong together"),
        ({"poll_path": "/task/fetch"}, "path like"),
        ({"poll_path": "/{task}/{task}"}, "path like"),
        ({"task_field": "a b"}, "field like"),
        ({"price_model": ""}, "needs a price"),
        ({"failed_values": ""}, "both its ends"),
        ({"state_field": ""}, "both its ends"),
        ({"upstream_prefix": "x"}, "path like"),
        ({"methods": ["TRACE"]}, "TRACE"),
    ],
)
def test_a_rule_that_is_not_whole_is_refused(
    north: Shop, visitor: Client, channel: Channel, change: dict[str, Any], complaint: str
) -> None:
    assert complaint in add(visitor, channel, **change)
    assert not routes(north)


def test_a_price_that_is_missing_is_told(north: Shop, visitor: Client, channel: Channel) -> None:
    listed = reverse("admin:relay_genericroute_changelist")
    assert add(visitor, channel) == ""
    assert "no price of this name yet" in visitor.get(listed).text
    with tenant_scope(north.tenant.pk):
        catalogue.load_retail(north.tenant.pk, {"suno": {"request": 5}})
    assert add(visitor, channel, name="Suno", prefix="/suno", price_model="suno") == ""
    assert "no price of this name yet" not in visitor.get(listed).text


def test_a_prefix_is_taken_once(visitor: Client, channel: Channel) -> None:
    assert add(visitor, channel) == ""
    assert "of this prefix already" in add(visitor, channel, name="again")


def test_a_channel_of_another_kind_or_shop_is_no_choice(
    north: Shop, south: Shop, visitor: Client
) -> None:
    for other in (north.channel, south.channel):
        assert add(visitor, other) != ""
    assert not routes(north)


def keep(shop: Shop, request: bytes, kind: str, upstream_id: str) -> UpstreamObject:
    with tenant_scope(shop.tenant.pk):
        return UpstreamObject.objects.create(
            id=UUID(bytes=request),
            tenant=shop.tenant,
            wallet_id=shop.key.wallet_id,
            key_id=shop.key.pk,
            channel_id=1,
            credential_id=1,
            kind=kind,
            upstream_id=upstream_id,
            state="lost",
            created_at=timezone.now(),
            expires_at=timezone.now() + timedelta(days=30),
        )


def ordered(shop: Shop) -> UpstreamObject:
    """Charge the shop's key 100 ubt for a video that nobody knows the end of."""
    buyer = Buyer(shop.tenant.pk, shop.key.wallet_id, shop.key.pk)
    op = hold_op(buyer, 100, endpoint="videos")
    direct.hold(op)
    done = facts(counts=Counts(second=4), endpoint="videos")
    direct.settle(settle_op(buyer, op.id, 100, facts=done))
    return keep(shop, op.id, "video", "video_1")


@pytest.mark.usefixtures("fresh_throttles")
def test_staff_can_give_a_charge_back_once(sqlite_database: Database, browser: Browser) -> None:
    shop = open_shop("north")
    job = ordered(shop)
    visitor = browser(shop.host, shop.owner)
    button = reverse("admin:relay_upstreamobject_give_back", args=[job.pk])
    assert visitor.get(button).status_code == 200
    for _ in range(2):
        assert visitor.post(button, {"reason": "never came"}).status_code == 302
    with tenant_scope(shop.tenant.pk):
        transfer = Transfer.objects.get(source="job_failed")
        assert (transfer.amount_ubt, transfer.reason) == (100, "never came")
        assert transfer.actor == "owner@north.example"
        assert Wallet.objects.get(pk=job.wallet_id).available_ubt == 5_000_000
        assert UpstreamObject.objects.get().state == "failed"


def test_a_response_is_no_job(north: Shop, visitor: Client) -> None:
    keep(north, bytes(15) + b"\x01", "response", "resp_secret")
    keep(north, bytes(15) + b"\x02", "video", "video_shown")
    page = visitor.get(reverse("admin:relay_upstreamobject_changelist")).text
    assert "video_shown" in page
    assert "resp_secret" not in page
