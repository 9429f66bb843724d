"""Single calls: newest first, in pages both ways, filtered, and only those that a key may see."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing import tenants
from billing.ids import uuid7
from billing.models import ApiKey
from billing.reports import CallFilters, Page, calls
from billing.scoping import tenant_scope
from tests.billing.reports.making import failed, second_key, successor, used

DAY = datetime(2026, 3, 1, tzinfo=UTC)
EVERYTHING = CallFilters()


def booked(key: ApiKey, count: int, **facts: Any) -> list[UUID]:
    """Book calls a minute apart; return their ids, newest first."""
    return [used(key, 1, at=DAY + timedelta(minutes=n), **facts) for n in range(count)][::-1]


def ids(page: Page) -> list[UUID]:
    return [row.pk for row in page.records]


def test_a_page_shows_the_newest_first(key: ApiKey) -> None:
    made = booked(key, 3)
    page = calls(key, EVERYTHING, limit=2)
    assert ids(page) == made[:2]
    assert (page.newer, page.older) == (None, made[1])


def test_pages_lead_to_the_end_and_back(key: ApiKey) -> None:
    made = booked(key, 5)
    second = calls(key, EVERYTHING, after=made[1], limit=2)
    last = calls(key, EVERYTHING, after=second.older, limit=2)
    assert (ids(second), ids(last), last.older) == (made[2:4], made[4:], None)
    back = calls(key, EVERYTHING, before=last.newer, limit=2)
    assert (ids(back), back.newer, back.older) == (made[2:4], made[2], made[3])
    assert calls(key, EVERYTHING, before=back.newer, limit=2).newer is None


def test_a_full_last_page_has_no_older_one(key: ApiKey) -> None:
    booked(key, 2)
    assert calls(key, EVERYTHING, limit=2).older is None


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (CallFilters(model="gpt-4o"), {"other model"}),
        (CallFilters(endpoint="embeddings"), {"other endpoint"}),
        (CallFilters(stream=True), {"streamed"}),
        (CallFilters(state="failed"), {"failed"}),
        (CallFilters(state="interrupted"), {"interrupted"}),
        (CallFilters(state="done", stream=False, model="gpt-4"), {"plain", "other endpoint"}),
        (CallFilters(since=DAY + timedelta(days=1)), {"later"}),
        (CallFilters(before=DAY), set()),
    ],
)
def test_filters_narrow(key: ApiKey, filters: CallFilters, expected: set[str]) -> None:
    made = {
        used(key, 1, at=DAY): "plain",
        used(key, 1, at=DAY, model_asked="gpt-4o"): "other model",
        used(key, 1, at=DAY, endpoint="embeddings"): "other endpoint",
        used(key, 1, at=DAY, stream=True): "streamed",
        failed(key, at=DAY): "failed",
        used(key, 1, at=DAY, error_type="upstream_cut"): "interrupted",
        used(key, 1, at=DAY + timedelta(days=2), model_asked="o1", stream=True): "later",
    }
    found = {made[row.pk] for row in calls(key, filters).records}
    assert found - {"later"} == expected - {"later"}
    assert ("later" in found) == ("later" in expected or filters.stream is True)


def test_a_rare_call_is_found_stretch_by_stretch(
    key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.reports.listing.SCAN", 4)
    rare = used(key, 1, at=DAY - timedelta(hours=1), model_asked="rare")
    made = booked(key, 6)
    page = calls(key, CallFilters(model="rare"))
    assert (ids(page), page.older) == ([], made[3])
    page = calls(key, CallFilters(model="rare"), after=page.older)
    assert (ids(page), page.older) == ([rare], None)


def test_a_rare_call_is_found_on_the_way_back(key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.reports.listing.SCAN", 4)
    made = booked(key, 6)
    rare = used(key, 1, at=DAY + timedelta(hours=1), model_asked="rare")
    page = calls(key, CallFilters(model="rare"), before=made[5])
    assert (ids(page), page.newer) == ([], made[1])
    page = calls(key, CallFilters(model="rare"), before=page.newer)
    assert (ids(page), page.newer) == ([rare], None)


def test_a_key_sees_what_the_key_before_it_has_used(key: ApiKey) -> None:
    made = booked(key, 1)
    assert ids(calls(successor(key), EVERYTHING)) == made


def test_a_key_that_was_replaced_sees_its_own_calls_only(key: ApiKey) -> None:
    made = booked(key, 1)
    used(successor(key), 1)
    assert ids(calls(key, EVERYTHING)) == made


def test_a_key_of_an_account_sees_its_own_calls_only(key: ApiKey) -> None:
    booked(key, 1)
    second = second_key(key)
    own = used(second, 1)
    assert ids(calls(second, EVERYTHING)) == [own]


def test_a_cursor_of_anothers_call_shows_nothing_of_it(key: ApiKey) -> None:
    booked(key, 2)
    bert = tenants.create_tenant(slug="bert", name="Bert", hosts=["bert.example"])
    with tenant_scope(bert.pk):
        assert not calls(key, EVERYTHING, after=uuid7()).records
