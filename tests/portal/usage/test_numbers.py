"""One set of numbers: the page, the billing look-ups of the relay and the ledger say the same."""

import re

import httpx
import pytest
from django.test import Client

from billing.models import ApiKey, UsageRecord, Wallet
from billing.scoping import tenant_scope
from tests.relay.asking import CHAT, bearer, chat
from tests.relay.conftest import Shop, client, demo_key, relay_server, shop, trust
from tests.relay.test_lookups import look_up

__all__ = ["client", "demo_key", "relay_server", "shop", "trust"]

BASE_TOKEN = 1_000_000


@pytest.fixture
def used_key(demo_key: str, shop: Shop, client: httpx.Client) -> str:
    """A key that was used for a whole answer, a streamed one and one that failed."""
    client.post(CHAT, headers=bearer(demo_key), json=chat())
    client.post(CHAT, headers=bearer(demo_key), json=chat(stream=True))
    shop.settled(2)
    return demo_key


def page_of(key: str) -> str:
    visitor = Client(headers={"host": "127.0.0.1", "accept-language": "en"})
    answer = visitor.post("/usage/", {"key": key}, follow=True)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.text)


def parts_of(page: str) -> list[int]:
    found = re.search(r"bought ([\d,]+), used ([\d,]+), held ([\d,]+), left ([\d,]+)", page)
    assert found
    return [int(part.replace(",", "")) for part in found.groups()]


@pytest.mark.usefixtures("fresh_throttles")
def test_page_look_ups_and_ledger_agree(used_key: str, shop: Shop, client: httpx.Client) -> None:
    page = page_of(used_key)
    bought, used, held, left = parts_of(page)
    grants = look_up(client, used_key, "credit_grants")
    assert [grants[name] for name in ("total_granted", "total_used", "total_available")] == [
        bought,
        used,
        left,
    ]
    assert look_up(client, used_key, "subscription")["hard_limit_usd"] == bought
    usage = look_up(client, used_key, "usage")
    assert -(-usage["total_usage"] // 100) == used
    with tenant_scope(shop.tenant.pk):
        wallet = Wallet.objects.get()
        charged = sum(row.charged_ubt for row in UsageRecord.objects.all())
    assert wallet.credits_ubt == bought * BASE_TOKEN
    assert wallet.debits_ubt == charged
    assert (used, left) == (-(-charged // BASE_TOKEN), wallet.available_ubt // BASE_TOKEN)
    assert bought == used + held + left
    shop.check_books()


@pytest.mark.usefixtures("fresh_throttles")
def test_the_calls_and_the_period_add_up_to_what_was_used(used_key: str, shop: Shop) -> None:
    page = page_of(used_key)
    _bought, used, _held, _left = parts_of(page)
    assert f"<dt>base tokens used</dt><dd>{used:,}</dd>" in page
    totals = re.findall(r'Base tokens charged</th><td class="num">([\d,.]+)</td>', page)
    with tenant_scope(shop.tenant.pk):
        charges = [row.charged_ubt for row in UsageRecord.objects.order_by("-id")]
        assert ApiKey.objects.count() == 1
    exact = [round(float(total.replace(",", "")) * BASE_TOKEN) for total in totals]
    assert exact == charges
