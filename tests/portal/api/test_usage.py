"""A key's calls: what a row says, how rows are found, and how a script reads on."""

from typing import Any

import pytest

from billing.models import User, Wallet
from billing.scoping import tenant_scope
from tests.billing.reports.making import second_key, used
from tests.cast import Shop
from tests.portal.api.conftest import Script

PATH = "/api/v1/key/usage"


def read(script: Script, shop: Shop, query: str = "") -> Any:
    answer = script(shop, f"{PATH}?{query}", shop.plaintext)
    assert answer.status_code == 200, answer.content
    return answer.json()


def refused(script: Script, shop: Shop, query: str) -> dict[str, str]:
    """Return what is said to be wrong, by parameter."""
    answer = script(shop, f"{PATH}?{query}", shop.plaintext)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    return {error["parameter"]: error["detail"] for error in answer.json()["errors"]}


def ids(page: Any) -> list[str]:
    return [row["request_id"] for row in page["data"]]


def test_calls_are_listed_newest_first(north: Shop, script: Script, calls: list[str]) -> None:
    page = read(script, north)
    assert (ids(page), page["next"]) == (calls, None)


def test_a_row_says_what_was_used_and_charged(
    north: Shop, script: Script, calls: list[str]
) -> None:
    row = read(script, north)["data"][-1]
    assert (row["model"], row["charge"], row["status"]) == ("gpt-4", "1.25", "done")
    assert (row["counts"]["input"], row["counts"]["output"], row["counts"]["image"]) == (7, 3, 0)
    assert (row["first_token_ms"], row["http_status"], row["error"]) == (12, 200, None)


def test_a_failed_call_says_why_and_costs_nothing(
    north: Shop, script: Script, calls: list[str]
) -> None:
    row = read(script, north)["data"][0]
    assert (row["status"], row["error"], row["charge"]) == ("failed", "upstream_timeout", "0")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("model=gpt-4o", [1]),
        ("status=failed", [0]),
        ("status=done&stream=false", [2]),
        ("stream=true", [1]),
        ("endpoint=embeddings", []),
        ("from=2020-01-01", [0, 1, 2]),
        ("to=2020-01-01", []),
        ("from=2999-01-01T00:00:00%2B08:00", []),
        ("model=g%25", []),
    ],
)
def test_filters_narrow(
    north: Shop, script: Script, calls: list[str], query: str, found: list[int]
) -> None:
    assert ids(read(script, north, query)) == [calls[number] for number in found]


def test_a_date_includes_its_whole_day(north: Shop, script: Script, calls: list[str]) -> None:
    today = read(script, north)["data"][0]["began_at"][:10]
    assert ids(read(script, north, f"from={today}&to={today}")) == calls


def test_next_leads_through_all_calls_once(north: Shop, script: Script, calls: list[str]) -> None:
    seen, address = [], f"http://{north.host}{PATH}?limit=1"
    while address:
        page = script(north, address.removeprefix(f"http://{north.host}"), north.plaintext).json()
        seen += ids(page)
        address = page["next"]
    assert seen == calls


def test_next_keeps_the_filters(north: Shop, script: Script, calls: list[str]) -> None:
    page = read(script, north, "limit=1&status=done")
    assert "status=done" in page["next"]
    rest = script(north, page["next"].removeprefix(f"http://{north.host}"), north.plaintext)
    assert ids(page) + ids(rest.json()) == calls[1:]


def cursor_of(script: Script, shop: Shop, query: str = "limit=1") -> str:
    return str(read(script, shop, query)["next"].rpartition("cursor=")[2])


def test_a_cursor_that_was_changed_is_none(north: Shop, script: Script, calls: list[str]) -> None:
    cursor = cursor_of(script, north)
    for number in range(len(cursor)):
        other = "A" if cursor[number] != "A" else "B"
        changed = cursor[:number] + other + cursor[number + 1 :]
        assert "cursor" in refused(script, north, f"cursor={changed}")


def test_a_cursor_is_good_for_its_filters_only(
    north: Shop, script: Script, calls: list[str]
) -> None:
    cursor = cursor_of(script, north)
    assert "cursor" in refused(script, north, f"cursor={cursor}&model=gpt-4")


def test_a_cursor_is_good_for_its_key_only(
    north: Shop, south: Shop, script: Script, calls: list[str]
) -> None:
    cursor = cursor_of(script, north)
    assert "cursor" in refused(script, south, f"cursor={cursor}")


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("status=broken", "status"),
        ("stream=yes", "stream"),
        ("from=yesterday", "from"),
        ("to=2026-01-31T12:00:00", "to"),
        ("to=2026-02-30", "to"),
        ("model=", "model"),
        ("model=%00", "model"),
        ("endpoint=" + "x" * 65, "endpoint"),
        ("cursor=short", "cursor"),
        ("colour=blue", "other"),
    ],
)
def test_a_wrong_parameter_is_named_and_not_repeated(
    north: Shop, script: Script, query: str, wrong: str
) -> None:
    errors = refused(script, north, query)
    assert set(errors) == {wrong}
    assert query.partition("=")[2][:20] not in errors[wrong] or query.endswith(("=", "0", "2", "1"))


def test_all_that_is_wrong_is_said_at_once(north: Shop, script: Script) -> None:
    assert set(refused(script, north, "limit=x&stream=x&colour=x")) == {"limit", "stream", "other"}


def test_more_parameters_than_anybody_needs_are_refused(north: Shop, script: Script) -> None:
    query = "&".join(f"p{number}=1" for number in range(1_100))
    assert script(north, f"{PATH}?{query}", north.plaintext).status_code == 400


def test_another_shops_calls_are_not_there(
    north: Shop, south: Shop, script: Script, calls: list[str]
) -> None:
    assert read(script, south)["data"] == []


def test_a_key_of_an_account_sees_its_own_calls_only(
    north: Shop, script: Script, calls: list[str]
) -> None:
    with tenant_scope(north.tenant.pk):
        owner = User.objects.create_user("holder@north.example")
        Wallet.objects.filter(pk=north.key.wallet_id).update(owner=owner)
        used(second_key(north.key), 5)
    assert ids(read(script, north)) == calls


def test_a_page_costs_few_queries(
    north: Shop, script: Script, calls: list[str], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(8):
        read(script, north)
