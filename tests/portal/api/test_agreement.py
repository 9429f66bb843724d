"""One truth: API, usage page, relay and ledger tell the same numbers of the same key."""

import json
import warnings
from decimal import Decimal
from math import ceil
from typing import Any

import httpx
import pytest
from django.test import Client

from billing.units import exact_base_tokens
from tests.relay.asking import CHAT, bearer, chat
from tests.relay.conftest import Shop, client, demo_key, relay_server, shop, trust

__all__ = ["client", "demo_key", "relay_server", "shop", "trust"]

pytestmark = pytest.mark.usefixtures("fresh_throttles")


def ask(path: str, key: str) -> Any:
    """Return what the API answers to a key."""
    answer = Client(headers={"host": "127.0.0.1", **bearer(key)}).get(path)
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.fixture
def told(shop: Shop, demo_key: str, client: httpx.Client) -> dict[str, Any]:
    """What everybody tells of a key that was used three times, once in vain."""
    for model in ("gpt-4", "gpt-3.5-turbo", "gpt-unheard-of"):
        client.post(CHAT, headers=bearer(demo_key), json=chat() | {"model": model})
    shop.settled(2)
    look_up = "/v1/dashboard/billing/"
    return {
        "key": ask("/api/v1/key", demo_key),
        "usage": ask("/api/v1/key/usage", demo_key)["data"],
        "grants": client.get(f"{look_up}credit_grants", headers=bearer(demo_key)).json(),
        "days": client.get(f"{look_up}usage", headers=bearer(demo_key)).json(),
        **see(demo_key),
    }


def see(key: str) -> dict[str, Any]:
    """Return what the usage page shows to a key, and its file of calls."""
    visitor = Client(headers={"host": "127.0.0.1", "accept-language": "en"})
    page = visitor.post("/usage/", {"key": key}, follow=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the test's client is no server of ASGI
        file = b"".join(visitor.get("/usage/key/calls.json"))
    return {"page": page.text, "file": json.loads(file)}


def test_the_balance_is_the_wallets(shop: Shop, told: dict[str, Any]) -> None:
    [wallet] = shop.wallets()
    assert told["key"]["granted"] == exact_base_tokens(wallet.credits_ubt)
    assert told["key"]["used"] == exact_base_tokens(wallet.debits_ubt)
    assert told["key"]["left"] == exact_base_tokens(wallet.available_ubt)


def test_the_calls_add_up_to_what_was_used(shop: Shop, told: dict[str, Any]) -> None:
    charges = sum(Decimal(row["charge"]) for row in told["usage"])
    assert charges == Decimal(told["key"]["used"]) > 0
    booked = {str(row.pk): exact_base_tokens(row.charged_ubt) for row in shop.usage()}
    assert {row["request_id"]: row["charge"] for row in told["usage"]} == booked


def test_the_relay_tells_the_same_in_its_roundings(told: dict[str, Any]) -> None:
    key, grants = told["key"], told["grants"]
    assert Decimal(key["granted"]) == grants["total_granted"]
    assert 0 <= grants["total_used"] - Decimal(key["used"]) < 1
    assert 0 <= Decimal(key["left"]) - grants["total_available"] < 1
    assert 0 <= told["days"]["total_usage"] - 100 * Decimal(key["used"]) < 1


def test_the_usage_page_shows_the_same(told: dict[str, Any]) -> None:
    left, used = (Decimal(told["key"][name]) for name in ("left", "used"))
    assert f"{int(left):,} <span" in told["page"]
    assert f"<b>{ceil(used):,}</b>" in told["page"]


def test_the_file_of_calls_is_the_list(told: dict[str, Any]) -> None:
    same = ("request_id", "model", "first_token_ms", "total_ms", "counted_by")
    file = [[row[name] for name in same] for row in told["file"]]
    assert file == [[row[name] for name in same] for row in told["usage"]]
    charged = [row["charged_base_tokens"] for row in told["file"]]
    assert charged == [row["charge"] for row in told["usage"]]


def test_what_was_taken_back_was_not_granted(
    shop: Shop, told: dict[str, Any], demo_key: str
) -> None:
    shop.take_away(80_000)
    key = ask("/api/v1/key", demo_key)
    parts = sum(Decimal(key[name]) for name in ("used", "held", "left"))
    assert Decimal(key["granted"]) == parts == 10_000
