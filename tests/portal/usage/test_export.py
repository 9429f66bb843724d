"""The calls as files: whole, streamed a page at a time, harmless in a spreadsheet."""

import csv
import io
import json
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone

from billing import keys, tenants
from billing.errors import ScopeMissing
from billing.models import ApiKey
from billing.reports import CallFilters
from billing.scoping import current_scope, tenant_scope
from portal.usage import export
from tests.billing.reports.making import failed, used
from tests.databases import Database
from tests.portal.usage.conftest import BASE_TOKEN

pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")

ZONE = ZoneInfo("Asia/Shanghai")


def body(visitor: Client, kind: str, **query: Any) -> bytes:
    answer = visitor.get(f"/usage/key/calls.{kind}", query)
    assert answer.status_code == 200
    assert answer["content-disposition"].startswith('attachment; filename="calls-')
    return b"".join(answer)


def rows_of(visitor: Client, **query: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body(visitor, "csv", **query).decode("utf-8-sig"))))


def test_csv_begins_with_a_byte_order_mark_and_has_all_calls(visitor: Client) -> None:
    assert body(visitor, "csv").startswith(b"\xef\xbb\xbfrequest_id,began_at,")
    rows = rows_of(visitor)
    assert [row["charged_base_tokens"] for row in rows] == ["0", "140"]
    assert [row["error"] for row in rows] == ["upstream_timeout", ""]
    assert rows[1]["tokens_per_s"] == "1"
    assert rows[1]["began_at"].endswith("+08:00")


def test_json_has_the_same_calls(visitor: Client) -> None:
    found = json.loads(body(visitor, "json"))
    assert [row["request_id"] for row in found] == [row["request_id"] for row in rows_of(visitor)]
    assert (found[1]["charged_base_tokens"], found[1]["input"], found[1]["stream"]) == (
        "140",
        3,
        True,
    )


def test_an_export_takes_the_filters_of_the_page(visitor: Client, key: ApiKey) -> None:
    used(key, BASE_TOKEN, at=timezone.now() - timedelta(days=20), model_asked="older")
    assert len(rows_of(visitor, state="failed")) == 1
    assert len(rows_of(visitor, period="7d")) == 2
    assert len(rows_of(visitor, period="30d")) == 3
    assert rows_of(visitor, model="unheard-of") == []
    assert json.loads(body(visitor, "json", model="unheard-of")) == []


@pytest.mark.parametrize(
    "query", [{"since": "soon"}, {"state": "x"}, {"after": "1"}, {"model": "x" * 65}]
)
def test_a_filter_that_means_nothing_is_refused(visitor: Client, query: dict[str, str]) -> None:
    answer = visitor.get("/usage/key/calls.csv", query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.text


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "＝1"])
def test_no_cell_is_a_formula(visitor: Client, key: ApiKey, start: str) -> None:
    name = f'{start},"\n=cmd|x'
    used(key, BASE_TOKEN, model_asked=name, model_served=name)
    rows = rows_of(visitor)
    assert rows[0]["model"] == f"'{name}"
    assert rows[0]["served_by"] == f"'{name}"
    assert json.loads(body(visitor, "json"))[0]["model"] == name


def test_nothing_is_left_out_or_told_twice(
    visitor: Client, key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE_LENGTH", 3)
    monkeypatch.setattr("billing.reports.listing.SCAN", 4)
    made = {str(failed(key)) for _ in range(8)} | {str(used(key, 1)) for _ in range(8)}
    exported = [row["request_id"] for row in rows_of(visitor)]
    assert len(exported) == len(set(exported)) == len(made) + 2
    assert {row["request_id"] for row in json.loads(body(visitor, "json"))} == set(exported)
    assert len(rows_of(visitor, state="failed")) == 9


@pytest.fixture
def guest(sqlite_database: Database) -> ApiKey:
    """A key whose calls threads can see."""
    shop = tenants.create_tenant(slug="shop", name="Shop", hosts=["shop.example"])
    with tenant_scope(shop.pk):
        key, _plaintext = keys.issue(tenant_id=shop.pk, credit_ubt=BASE_TOKEN)
        for _ in range(5):
            used(key, 1)
        return ApiKey.objects.select_related("wallet").get(pk=key.pk)


async def test_a_file_is_made_page_by_page_without_a_scope_in_between(
    guest: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE_LENGTH", 2)
    parts = []
    async for part in export.stream(guest, CallFilters(), zone=ZONE, form=export.CSV):
        with pytest.raises(ScopeMissing):
            current_scope()
        parts.append(part)
    assert [part.count(b"\n") for part in parts] == [1, 2, 2, 1, 0]


async def test_a_file_is_streamed_by_an_asynchronous_server(
    guest: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE_LENGTH", 2)
    visitor = AsyncClient(headers={"host": "shop.example"})
    session = await visitor.asession()
    session["usage"] = {"key": guest.pk, "until": timezone.now().timestamp() + 60}
    await session.asave()
    answer: Any = await visitor.get("/usage/key/calls.json")
    assert answer.is_async
    parts = [part async for part in answer.streaming_content]
    assert len(parts) == 5
    assert len(json.loads(b"".join(parts))) == 5
