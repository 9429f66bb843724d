"""Look-ups of a key as new-api has them."""

from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from relay.local_newapi import MAX_ROWS
from relay.paths import is_relay_path
from tests.relay.asking import CHAT, bearer, chat
from tests.relay.conftest import Shop

USAGE, LOG = "/api/usage/token", "/api/log/token"


@pytest.mark.parametrize("path", [USAGE, USAGE + "/", "/openai" + USAGE])
def test_a_key_tells_what_it_was_granted_and_has_used(
    path: str, shop: Shop, demo_key: str, client: httpx.Client
) -> None:
    key = shop.key(1_000, name="mine")
    client.post(CHAT, headers=bearer(key), json=chat(max_tokens=2))
    answer = client.get(path, headers=bearer(key)).json()
    data = answer["data"]
    assert (answer["code"], data["object"], data["name"]) == (True, "token_usage", "mine")
    assert data["total_granted"] == 1_000
    assert data["total_used"] + data["total_available"] == 1_000
    assert data["total_used"] > 80
    assert (data["model_limits"], data["model_limits_enabled"]) == ({}, False)
    assert (data["unlimited_quota"], data["expires_at"]) == (False, 0)


def test_limits_and_end_of_a_key_are_told(shop: Shop, demo_key: str, client: httpx.Client) -> None:
    end = timezone.now() + timedelta(days=1)
    key = shop.key(allowed_models=["gpt-4"], expires_at=end)
    data = client.get(USAGE, headers=bearer(key)).json()["data"]
    assert (data["model_limits"], data["model_limits_enabled"]) == ({"gpt-4": True}, True)
    assert data["expires_at"] == int(end.timestamp())


def test_the_log_has_the_calls_of_a_key_newest_first(
    shop: Shop, demo_key: str, client: httpx.Client
) -> None:
    key = shop.key(name="mine")
    client.post(CHAT, headers=bearer(key), json=chat("[demo tokens=7]"))
    client.post(CHAT, headers=bearer(key), json=chat("[demo tokens=9]", stream=True))
    client.post(CHAT, headers=bearer(key), json=chat("[demo status=400]"))
    answer = client.get(LOG, params={"key": key}).json()
    failed, streamed, whole = answer["data"]
    assert (answer["success"], failed["type"], failed["quota"]) == (True, 5, 0)
    assert [row["completion_tokens"] for row in (streamed, whole)] == [9, 7]
    assert [row["is_stream"] for row in (streamed, whole)] == [True, False]
    assert whole["quota"] == 20 * whole["prompt_tokens"] + 40 * 7
    assert (whole["type"], whole["model_name"], whole["token_name"]) == (2, "gpt-4", "mine")
    assert abs(whole["created_at"] - timezone.now().timestamp()) < 60


def test_the_log_tells_nothing_of_other_keys(
    shop: Shop, demo_key: str, client: httpx.Client
) -> None:
    client.post(CHAT, headers=bearer(demo_key), json=chat())
    assert client.get(LOG, headers=bearer(shop.key())).json()["data"] == []


def test_a_wrong_key_learns_nothing(demo_key: str, client: httpx.Client) -> None:
    for path in (USAGE, LOG, f"{LOG}?key=ak-wrong", f"{USAGE}?key={demo_key}"):
        assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", [USAGE, LOG + "/", "/api//usage/token"])
def test_the_look_ups_are_the_relays_and_their_neighbours_are_not(path: str) -> None:
    assert is_relay_path(path)
    assert not any(map(is_relay_path, ("/api/v1/key", "/api/usage", "/api/", path + "/x")))


def test_the_log_is_bounded() -> None:
    assert MAX_ROWS <= 200
