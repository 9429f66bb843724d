"""The usage page's tests: a guest's key with calls behind it, and browsers that have shown it."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from billing import catalogue
from billing.models import ApiKey, PriceVersion, Wallet
from billing.scoping import tenant_scope
from tests.billing.reports.making import failed, held, used
from tests.cast import Shop

Browser = Callable[..., Client]
BASE_TOKEN = 1_000_000


@pytest.fixture
def key(north: Shop, fresh_throttles: None) -> Iterator[ApiKey]:
    """North's key with 1,000 base tokens and three calls of today; its shop's scope is open."""
    with tenant_scope(north.tenant.pk):
        Wallet.objects.filter(pk=north.key.wallet_id).update(credits_ubt=1_000 * BASE_TOKEN)
        catalogue.load_retail(north.tenant.pk, {"gpt-4": {"input": 20, "output": 40}})
        price = PriceVersion.objects.filter(model="gpt-4").latest("pk").pk
        now = timezone.now()
        facts = {"endpoint": "chat_completions", "stream": True, "usage_source": "upstream"}
        used(
            north.key,
            140 * BASE_TOKEN,
            at=now - timedelta(minutes=3),
            retail_price_id=price,
            input_count=3,
            output_count=2,
            first_token_ms=410,
            total_ms=2_410,
            **facts,
        )
        failed(north.key, at=now - timedelta(minutes=2), total_ms=30_000, **facts)
        held(north.key, 20 * BASE_TOKEN)
        yield north.key


@pytest.fixture
def visitor(key: ApiKey, north: Shop, browser: Browser) -> Client:
    """Somebody who has shown north's key and reads English."""
    return entered(browser, north)


def entered(browser: Browser, shop: Shop) -> Client:
    """Return a browser that has shown a shop's key."""
    client = browser(shop.host)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    answer = client.post("/usage/", {"key": shop.plaintext})
    assert (answer.status_code, answer["location"]) == (303, "/usage/key/")
    return client
