"""The page of a key: numbers that add up, in the shop's time; every state says what it means."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from billing import keys
from billing.models import ApiKey, Tenant, UsageRecord, User, Wallet
from tests.billing.reports.making import failed, second_key, used
from tests.cast import Shop
from tests.portal.usage.conftest import BASE_TOKEN, Browser

PAGE = "/usage/key/"


def page(visitor: Client, **query: Any) -> str:
    answer = visitor.get(PAGE, query)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.text)


def text(visitor: Client, **query: Any) -> str:
    """Return what is to be read, without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page(visitor, **query)))


def test_used_held_and_left_make_up_what_was_bought(visitor: Client) -> None:
    shown = page(visitor)
    found = re.search(r"bought ([\d,]+), used ([\d,]+), held ([\d,]+), left ([\d,]+)", shown)
    assert found
    assert [int(part.replace(",", "")) for part in found.groups()] == [1_000, 140, 20, 840]
    assert "1 request is being answered" in shown


def test_the_figures_of_the_period_can_be_checked(visitor: Client) -> None:
    figures = re.findall(r"<dt>([^<]+)</dt><dd>([\d.,]+)", page(visitor))
    assert dict(figures) | {
        "base tokens used": "140",
        "calls": "2",
        "first token, median": "0.41",
        "success rate": "50",
        "failed, not charged": "1",
    } == dict(figures)


def test_the_period_switch_rules_the_page(visitor: Client, key: ApiKey) -> None:
    used(key, 60 * BASE_TOKEN, at=timezone.now() - timedelta(days=20))
    assert "<dd>140</dd>" in page(visitor, period="24h")
    assert "<dd>140</dd>" in page(visitor, period="7d")
    assert "<dd>200</dd>" in page(visitor, period="30d")


@pytest.mark.parametrize("period", ["", "1y", "7D", "<script>", "7d' OR 1=1"])
def test_a_period_that_is_none_is_the_usual_one(visitor: Client, period: str) -> None:
    assert 'href="?period=7d" aria-current="true"' in page(visitor, period=period)


def test_every_chart_has_its_table(visitor: Client) -> None:
    shown = page(visitor)
    tables = re.findall(r"<caption>(.*?)</caption>.*?</table>", shown)
    assert tables == ["Base tokens used a day", "Calls an hour", "Time to the first token"]
    assert re.search(r'data-tick="today" data-values="140">.*?<td class="num">140</td>', shown)


def test_the_models_that_cost_most_have_names_in_the_chart(visitor: Client, key: ApiKey) -> None:
    for n in range(6):
        used(key, (n + 1) * BASE_TOKEN, model_asked=f"model-{n}")
    head = re.search(r'data-chart="stack".*?</thead>', page(visitor))
    assert head
    assert re.findall(r'class="num">([^<]+)<', head[0]) == [
        "gpt-4",
        "model-5",
        "model-4",
        "4 others",
        "Sum",
    ]


def test_days_are_those_of_the_shops_zone(visitor: Client, key: ApiKey, north: Shop) -> None:
    Tenant.objects.filter(pk=north.tenant.pk).update(time_zone="Pacific/Auckland")
    noon = datetime(2026, 12, 3, 12, tzinfo=ZoneInfo("Pacific/Auckland"))
    used(key, 5 * BASE_TOKEN, at=noon - timedelta(hours=12, seconds=1))
    with time_machine.travel(noon, tick=False):
        visitor.post("/usage/", {"key": north.plaintext})
        shown = page(visitor, period="7d")
    row = re.search(r'<th scope="row">2 Dec</th><td class="num">\d+</td>', shown)
    assert row and row[0].endswith("5</td>")
    assert "Times are those of Pacific/Auckland" in shown
    assert "12-02 23:59:59" in shown


def test_a_shop_without_whole_hours_has_whole_days(visitor: Client, north: Shop) -> None:
    Tenant.objects.filter(pk=north.tenant.pk).update(time_zone="Asia/Kathmandu")
    for period in ("24h", "7d", "30d"):
        assert "<dd>140</dd>" in page(visitor, period=period)


def test_days_left_follow_the_pace(visitor: Client) -> None:
    assert "enough for 6 days" in text(visitor)


def test_the_balance_is_told_in_tokens_of_the_model_that_is_used(visitor: Client) -> None:
    assert "About 21 gpt-4 output tokens" in text(visitor)


def test_a_new_key_has_an_empty_page(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host)
    visitor.post("/usage/", {"key": north.plaintext})
    shown = text(visitor, period="30d")
    assert "5" in shown
    assert "canvas" not in page(visitor)


STATES = {
    "revoked": ("This key was revoked", "Revoked"),
    "frozen": ("This key is paused", "Paused"),
    "expired": ("This key has expired", "Expired"),
    "used_up": ("The balance is used up", "Used up"),
}


def put_into(state: str, key: ApiKey) -> None:
    wallet = Wallet.objects.filter(pk=key.wallet_id)
    if state == "revoked":
        keys.revoke(kid=key.kid)
    elif state == "frozen":
        wallet.update(status="frozen")
    elif state == "expired":
        wallet.update(expires_at=timezone.now() - timedelta(days=1))
    else:
        wallet.update(debits_ubt=1_000 * BASE_TOKEN, pending_ubt=0)


@pytest.mark.parametrize("state", STATES)
def test_a_key_that_does_not_work_still_has_its_page_and_says_so(
    key: ApiKey, north: Shop, browser: Browser, state: str
) -> None:
    put_into(state, key)
    visitor = browser(north.host)
    visitor.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    assert visitor.post("/usage/", {"key": north.plaintext}).status_code == 303
    shown = text(visitor)
    for words in STATES[state]:
        assert words in shown
    assert "140" in shown


@pytest.mark.parametrize("state", STATES)
def test_a_state_that_changes_during_a_visit_is_seen(
    visitor: Client, key: ApiKey, state: str
) -> None:
    put_into(state, key)
    assert STATES[state][0] in text(visitor)


def test_after_a_replacement_the_old_key_sees_its_own_calls_and_can_do_nothing(
    visitor: Client, key: ApiKey
) -> None:
    new, _ = keys.replace(key=key, actor="test")
    used(new, 7 * BASE_TOKEN, model_asked="of-the-new-key")
    shown = page(visitor)
    assert "This key works no more" in shown
    assert "of-the-new-key" not in shown
    assert "enough for" not in shown
    assert "Credits so far" not in shown
    for part in ("top-up/", "replace/", "name/", "alert/"):
        assert f'action="{PAGE}{part}"' not in shown


def test_during_an_overlap_the_old_key_is_told_that_a_new_one_is_there(
    visitor: Client, key: ApiKey
) -> None:
    keys.replace(key=key, overlap_s=3_600, actor="test")
    shown = text(visitor)
    assert "A new key has taken this one" in shown
    assert "Usable" in shown


def test_a_key_of_an_account_shows_itself_alone(visitor: Client, key: ApiKey, north: Shop) -> None:
    other = second_key(key, limit_ubt=500 * BASE_TOKEN)
    used(other, 9 * BASE_TOKEN, model_asked="of-another-key")
    shown = page(visitor)
    assert "of-another-key" not in shown
    assert "Top up" not in shown
    assert User.objects.filter(email="owner@anna.example").exists()


def test_a_model_name_can_not_carry_markup(visitor: Client, key: ApiKey) -> None:
    payload = "<img src=x onerror=alert(1)>\"'"
    for n in range(2):
        used(key, BASE_TOKEN, model_asked=payload, model_served="</script><script>", total_ms=n)
    failed(key, model_asked=payload)
    key.name = payload
    key.save(update_fields=["name"])
    shown = page(visitor, model=payload)
    assert "<img" not in shown
    assert "<script>" not in shown
    assert "&lt;img src=x onerror" in shown


def test_limits_are_told(visitor: Client, key: ApiKey) -> None:
    key.rpm, key.allowed_models = 60, ["gpt-4"]
    key.save(update_fields=["rpm", "allowed_models"])
    assert "Requests a minute 60" in text(visitor)


def test_limits_of_the_wallet_are_told_where_they_are_tighter(visitor: Client, key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(rpm=60, tpm=100)
    Wallet.objects.filter(pk=key.wallet_id).update(rpm=30, tpm=900, concurrency=4)
    told = text(visitor)
    for words in ("Requests a minute 30", "Tokens a minute 100", "Requests at once 4"):
        assert words in told


def test_an_end_is_told_with_the_days_that_are_left(visitor: Client, key: ApiKey) -> None:
    Wallet.objects.filter(pk=key.wallet_id).update(
        expires_at=datetime.now(UTC) + timedelta(days=10, hours=1)
    )
    assert "10 more days" in text(visitor)


def test_what_took_long_to_sum_up_is_kept_for_a_moment(
    visitor: Client, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    page(visitor)
    used(key, 60 * BASE_TOKEN)
    assert "<dd>200</dd>" in page(visitor)
    monkeypatch.setattr("portal.usage.page._SLOW_S", -1.0)
    page(visitor)
    used(key, 60 * BASE_TOKEN)
    assert "<dd>200</dd>" in page(visitor)
    assert "left 720" in page(visitor)


def test_the_page_asks_a_fixed_number_of_questions(
    visitor: Client, key: ApiKey, django_assert_max_num_queries: Any
) -> None:
    for n in range(60):
        used(key, BASE_TOKEN, model_asked=f"m{n % 5}", retail_price_id=1)
    assert UsageRecord.objects.count() > 60
    with django_assert_max_num_queries(50):
        page(visitor)
