"""Answers of our own: models, the billing look-ups as OpenAI's dashboard gave them, health."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from tests.relay.asking import CHAT, bearer, chat, until
from tests.relay.conftest import Shop


def look_up(client: httpx.Client, key: str, what: str, **query: str) -> Any:
    """Return the JSON of a billing look-up."""
    answer = client.get(f"/v1/dashboard/billing/{what}", headers=bearer(key), params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_key_lists_the_models_that_are_priced_and_served(
    shop: Shop, client: httpx.Client
) -> None:
    shop.channel(models={"gpt-4": "gpt-4", "unpriced": "unpriced"})
    shop.wait_for_relays()
    answer = client.get("/v1/models", headers=bearer(shop.key())).json()
    assert answer["object"] == "list"
    assert [model["id"] for model in answer["data"]] == ["gpt-4"]
    assert answer["data"][0]["object"] == "model"


def test_a_key_lists_only_the_models_that_it_may_use(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(allowed_models=["gpt-3.5-turbo", "gpt-unheard-of"])
    answer = client.get("/openai/v1/models", headers=bearer(key)).json()
    assert [model["id"] for model in answer["data"]] == ["gpt-3.5-turbo"]


def test_one_model_is_described_or_not_found(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    assert client.get("/v1/models/gpt-4", headers=bearer(demo_key)).json()["id"] == "gpt-4"
    answer = client.get("/v1/models/gpt-unheard-of", headers=bearer(demo_key))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_a_wrong_key_learns_nothing(client: httpx.Client) -> None:
    for path in ("/v1/models", "/dashboard/billing/usage", "/v1/dashboard/billing/credit_grants"):
        answer = client.get(path, headers=bearer("ak-wrong"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_a_subscription_tells_what_was_granted(demo_key: str, client: httpx.Client) -> None:
    assert look_up(client, demo_key, "subscription") == {
        "object": "billing_subscription",
        "has_payment_method": True,
        "canceled": False,
        "access_until": 0,
        "soft_limit_usd": 90000,
        "hard_limit_usd": 90000,
        "system_hard_limit_usd": 90000,
        "plan": {"title": "Prepaid", "id": "prepaid"},
    }


def test_usage_is_told_in_hundredths_as_soon_as_the_answer_is_there(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    used = client.post(CHAT, headers=bearer(demo_key), json=chat()).json()["usage"]
    expected = 100 * (20 * used["prompt_tokens"] + 40 * used["completion_tokens"])
    answer = look_up(client, demo_key, "usage")
    assert (answer["object"], answer["total_usage"]) == ("list", expected)
    (day,) = answer["daily_costs"]
    assert day["line_items"] == [{"name": "gpt-4", "cost": expected}]
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert abs(day["timestamp"] - midnight.timestamp()) <= 86_400


def test_a_new_key_has_used_nothing(demo_key: str, client: httpx.Client) -> None:
    answer = look_up(client, demo_key, "usage", start_date="2023-01-01", end_date="2030-01-01")
    assert answer == {"object": "list", "total_usage": 0, "daily_costs": []}


def test_only_the_days_follow_the_dates(demo_key: str, shop: Shop, client: httpx.Client) -> None:
    client.post(CHAT, headers=bearer(demo_key), json=chat())
    past = look_up(client, demo_key, "usage", start_date="2024-01-01", end_date="2024-02-01")
    assert past["total_usage"] > 0
    assert past["daily_costs"] == []
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    month = look_up(client, demo_key, "usage", start_date="2023-01-01", end_date=tomorrow)
    assert len(month["daily_costs"]) == 1


@pytest.mark.parametrize("date", ["0001-01-01", "1969-12-31", "1970-01-01", "9999-12-31"])
@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_a_date_may_be_as_far_away_as_it_likes(
    demo_key: str, client: httpx.Client, name: str, date: str
) -> None:
    assert look_up(client, demo_key, "usage", **{name: date})["daily_costs"] == []


def test_a_date_that_is_none_is_refused(demo_key: str, client: httpx.Client) -> None:
    answer = client.get(
        "/v1/dashboard/billing/usage", headers=bearer(demo_key), params={"start_date": "soon"}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "start_date")


def test_credit_grants_tell_granted_used_and_left(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    client.post(CHAT, headers=bearer(demo_key), json=chat())
    answer = look_up(client, demo_key, "credit_grants")
    assert answer["object"] == "credit_summary"
    assert answer["total_granted"] == 90000
    assert answer["total_used"] + answer["total_available"] == 90000
    assert answer["total_used"] > 0


def test_a_refund_lowers_what_was_granted(demo_key: str, shop: Shop, client: httpx.Client) -> None:
    shop.take_away(30_000)
    assert look_up(client, demo_key, "subscription")["hard_limit_usd"] == 60000


def test_a_key_with_a_cap_answers_for_itself(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    key = shop.key(90_000, limit_ubt=500 * 1_000_000)
    assert look_up(client, key, "subscription")["hard_limit_usd"] == 500


@pytest.mark.parametrize("what", ["subscription", "usage", "credit_grants"])
def test_expired_and_exhausted_keys_may_still_ask(
    what: str, demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    look_up(client, shop.key(0), what)
    look_up(client, shop.key(expires_at=timezone.now() - timedelta(days=1)), what)


def test_an_end_of_access_is_told_in_epoch_seconds(
    demo_key: str, shop: Shop, client: httpx.Client
) -> None:
    end = timezone.now() + timedelta(days=30)
    answer = look_up(client, shop.key(expires_at=end), "subscription")
    assert answer["access_until"] == int(end.timestamp())


def test_readiness_tells_that_migrations_are_missing(shop: Shop, client: httpx.Client) -> None:
    from django.db import connection

    assert client.get("/readyz").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'relay'")
    until(lambda: client.get("/readyz").status_code == 503)
    assert client.get("/readyz").json()["problems"] == ["migrations"]
