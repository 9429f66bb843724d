"""A stranger buys a key, calls with it, looks at its usage, tops it up and takes the calls home.

In both languages with a mouse, and once more by keyboard alone.
"""

import csv
import re

import httpx
import pytest
from playwright.sync_api import Page

from billing import units
from billing.models import UsageRecord
from tests.e2e import books
from tests.e2e.buying import KeyboardVisitor, Visitor, new_mailbox
from tests.system import asking
from tests.system.running import PATIENCE_S, RunningSystem, wait_until

MODEL = "gpt-4o-mini"


@pytest.fixture(params=[("zh-hans", Visitor), ("en", Visitor), ("zh-hans", KeyboardVisitor)])
def way(request: pytest.FixtureRequest) -> tuple[str, type[Visitor]]:
    """Language and hand of a visitor."""
    spoken, hand = request.param
    return spoken, hand


@pytest.fixture
def language(way: tuple[str, type[Visitor]]) -> str:
    """The language that `page` opens in."""
    return way[0]


@pytest.fixture
def visitor(page: Page, way: tuple[str, type[Visitor]]) -> Visitor:
    """Whoever comes along."""
    return way[1](page)


def call(system: RunningSystem, key: str) -> UsageRecord:
    """Make one real call; return what was booked for it."""
    asked = asking.body(MODEL, "What is a token?", stream=True)
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx.post(system.url + asking.CHAT, json=asked, headers=headers, timeout=30)
    assert answer.status_code == 200
    assert "data: [DONE]" in answer.text
    request = asking.request_id(answer)
    wait_until(lambda: asking.record_of(system, request), patience_s=PATIENCE_S)
    record = asking.record_of(system, request)
    assert record
    return record


def number(text: str) -> int:
    """Return the number that a text of a page has."""
    return int(re.sub(r"\D", "", text))


def left(visitor: Visitor) -> int:
    """Return the base tokens that the usage page says are left."""
    return number(visitor.page.locator(".hero-num").first.inner_text())


def test_a_stranger_buys_calls_looks_tops_up_and_exports(
    visitor: Visitor, installation: RunningSystem, language: str
) -> None:
    key = visitor.buy(new_mailbox())
    assert visitor.page.locator("html").get_attribute("lang") == language
    assert visitor.copied() == key
    visitor.try_key()

    record = call(installation, key)
    assert record.charged_ubt > 0
    visitor.enter_key(key)
    charge = visitor.page.locator("#calls td.charge").first.inner_text()
    assert number(charge) == units.ceil_base_tokens(record.charged_ubt)
    assert MODEL in visitor.page.locator("#calls tbody tr").first.inner_text()
    before = left(visitor)
    wallet = books.wallet_of(installation, key)
    assert before == units.floor_base_tokens(wallet.credits_ubt - wallet.debits_ubt)

    visitor.top_up()
    granted = books.last_credit(installation, key)
    assert left(visitor) == before + units.floor_base_tokens(granted) > before

    (row,) = csv.DictReader(visitor.export().path().read_text("utf-8-sig").splitlines())
    assert row["request_id"] == str(record.pk)
    assert units.to_ubt(row["charged_base_tokens"]) == record.charged_ubt
