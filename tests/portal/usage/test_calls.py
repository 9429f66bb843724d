"""The calls on the page: their bills, pages both ways, filters, and addresses that mean nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.ledger.giving_back import give_back
from billing.models import ApiKey, PriceVersion
from tests.billing.reports.making import failed, used
from tests.portal.usage.conftest import BASE_TOKEN
from tests.portal.usage.test_page import page


def models_shown(visitor: Client, **query: Any) -> list[str]:
    return re.findall(r'<td class="mono model">([^<]+)</td>', page(visitor, **query))


def link(shown: str, rel: str) -> dict[str, str]:
    """Return the query of the link to an earlier or later page."""
    found = re.search(rf'href="\?([^"#]*)#calls" rel="{rel}"', shown)
    assert found
    return dict(pair.split("=", 1) for pair in found[1].replace("&amp;", "&").split("&"))


def fill(key: ApiKey, count: int) -> list[str]:
    """Book calls a minute apart; return their models, newest first."""
    now = timezone.now() - timedelta(hours=1)
    names = [f"m{n:03}" for n in range(count)]
    for n, name in enumerate(names):
        used(key, BASE_TOKEN, at=now - timedelta(seconds=n), model_asked=name)
    return names


def test_a_bill_is_count_times_multiplier(visitor: Client) -> None:
    bill = re.search(r'<div class="bill">.*?</table>', page(visitor, state="done"))
    assert bill
    cells = re.findall(r'<td class="num">([^<]+)</td>', bill[0])
    assert cells == ["3", "× 20", "60", "2", "× 40", "80", "140"]


def test_a_bill_loses_no_digit(visitor: Client, key: ApiKey) -> None:
    price = PriceVersion.objects.get(model="gpt-4", input_ubt=20 * BASE_TOKEN)
    used(key, 59_999_999, retail_price_id=price.pk, input_count=3, absorbed_ubt=1)
    shown = page(visitor)
    assert '<td class="num">59.999999</td>' in shown
    assert "Beyond the balance, borne by the shop" in shown


def test_a_failed_call_is_shown_with_charge_0(visitor: Client) -> None:
    shown = page(visitor, state="failed")
    assert '<span class="state bad">Error here</span>' not in shown
    assert '<span class="state bad">Upstream timed out</span>' in shown
    assert 'data-l="Charged">0</td>' in shown
    assert "Nothing was delivered, so nothing is charged." in shown


def test_a_job_that_has_failed_is_shown_as_given_back(visitor: Client, key: ApiKey) -> None:
    price = PriceVersion.objects.get(model="gpt-4", input_ubt=20 * BASE_TOKEN)
    row = used(key, 60 * BASE_TOKEN, endpoint="videos", retail_price_id=price.pk, input_count=3)
    give_back(usage_id=row)
    shown = page(visitor)
    assert "Given back: the job has failed" in shown
    assert '<td class="num">−60</td>' in shown


def test_pages_lead_to_the_end_and_back(visitor: Client, key: ApiKey) -> None:
    names = fill(key, 103)
    first = page(visitor)
    second = page(visitor, **link(first, "next"))
    third = link(second, "next")
    assert models_shown(visitor, **third) == names[98:]
    assert 'rel="next"' not in page(visitor, **third)
    back = link(page(visitor, **third), "prev")
    assert models_shown(visitor, **back) == names[48:98]
    assert 'rel="prev"' not in first


def test_a_page_keeps_its_filters(visitor: Client, key: ApiKey) -> None:
    for _ in range(51):
        used(key, BASE_TOKEN, model_asked="often", stream=False)
    query = link(page(visitor, model="often", stream="0", period="30d"), "next")
    assert query | {"model": "often", "stream": "0", "period": "30d"} == query
    assert models_shown(visitor, **query) == ["often"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"model": "gpt-4"}, 2),
        ({"model": "gpt"}, 0),
        ({"model": "%"}, 0),
        ({"state": "done"}, 1),
        ({"state": "interrupted"}, 0),
        ({"endpoint": "chat_completions", "stream": "1"}, 2),
        ({"stream": "0"}, 0),
        ({"since": "2020-01-01"}, 2),
    ],
)
def test_filters_narrow_the_calls(visitor: Client, query: dict[str, str], count: int) -> None:
    assert len(models_shown(visitor, **query)) == count


@pytest.mark.parametrize(
    "query",
    [
        {"since": "2026-13-99"},
        {"since": "0001-01-01"},
        {"since": "9999-12-31"},
        {"since": "1969-12-31"},
        {"state": "' OR 1=1 --"},
        {"stream": "2"},
        {"endpoint": "../../etc/passwd"},
        {"model": "x" * 65},
        {"model": "\x00"},
        {"after": "not-an-id"},
        {"after": "0" * 33},
        {"before": "-1"},
        {"before": "\x00"},
    ],
)
def test_what_means_nothing_is_left_out_and_said(visitor: Client, query: dict[str, str]) -> None:
    shown = page(visitor, **query)
    assert "A part of this address means nothing" in shown
    assert models_shown(visitor, **query) == ["gpt-4", "gpt-4"]


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("cursor", ["0" * 32, "f" * 32, "00000000-0000-0000-0000-000000000000"])
def test_a_cursor_at_the_end_of_time_is_a_page(visitor: Client, name: str, cursor: str) -> None:
    assert visitor.get("/usage/key/", {name: cursor}).status_code == 200


def test_names_given_many_times_count_once(visitor: Client) -> None:
    answer = visitor.get("/usage/key/?model=a&model=gpt-4&state=&state=done&period=7d&period=x")
    assert answer.status_code == 200


def test_calls_before_the_period_are_reached_by_a_date(visitor: Client, key: ApiKey) -> None:
    failed(key, at=timezone.now() - timedelta(days=40), model_asked="long-ago")
    assert "long-ago" not in models_shown(visitor)
    day = (timezone.now() - timedelta(days=41)).date().isoformat()
    assert "long-ago" in models_shown(visitor, since=day)


def test_a_call_that_the_client_has_left_is_told_apart(visitor: Client, key: ApiKey) -> None:
    used(key, 0, error_type="caller_gone", status=499, resolution="client_gone")
    used(key, 5, error_type="caller_gone", status=499, resolution="client_gone")
    shown = page(visitor)
    assert '<span class="state off">Client disconnected</span>' in shown
    assert '<span class="state warn">Cut off, charged for what arrived</span>' in shown
