"""Receipts in the admin, and the statement of a month's sales: a line for each, and their sum."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, date
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing import orders
from billing.models import Member, Receipt, Tenant, User
from billing.scoping import tenant_scope
from portal.admin import statement
from tests.cast import Shop
from tests.sales import Sale, sell

pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")

Browser = Callable[..., Client]
SHANGHAI = ZoneInfo("Asia/Shanghai")
ADDRESS = "/admin/billing/receipt/statement/"


@pytest.fixture
def sale(north: Shop) -> Iterator[Sale]:
    """A sale at north of which eight yuan went back; north's scope is open."""
    with tenant_scope(north.tenant.pk):
        found = sell(north.tenant)
        orders.refund(
            found.payment.pk, refund_id=uuid4(), amount_minor=800, actor="anna", reason="-"
        )
        yield found


def this_month() -> str:
    """Return the month of receipts that are written now."""
    return f"{timezone.now().astimezone(SHANGHAI):%Y-%m}-01"


def lines_of(visitor: Client, **form: Any) -> list[dict[str, str]]:
    """Download a statement, that of this month unless another one is asked for."""
    answer = visitor.post(ADDRESS, {"month": this_month(), **form})
    assert answer["content-disposition"].startswith('attachment; filename="sales-')
    text = b"".join(answer).decode()
    assert text[0] == "\N{ZERO WIDTH NO-BREAK SPACE}"
    return list(csv.DictReader(io.StringIO(text[1:])))


def test_a_statement_adds_up_to_its_receipts(sale: Sale, staff: Client) -> None:
    first, second, total = lines_of(staff)
    assert (first["Amount"], second["Amount"], total["Amount"]) == ("58.00", "-8.00", "50.00")
    assert (second["Kind"], second["Cancels"]) == ("Counter-receipt", first["Number"])
    assert (first["Order"], first["Currency"], first["Quantity"]) == (sale.order.number, "CNY", "1")
    assert first["The provider's reference"] == sale.payment.references.get().reference
    assert (total["Date"], total["Currency"]) == ("Total", "CNY")


@pytest.mark.parametrize(
    ("zone", "begins", "ends"),
    [
        ("Asia/Shanghai", "2026-02-28T16:00:00", "2026-03-31T16:00:00"),
        ("America/New_York", "2026-03-01T05:00:00", "2026-04-01T04:00:00"),
    ],
)
def test_a_month_is_of_the_shops_calendar(zone: str, begins: str, ends: str) -> None:
    asked = statement.Statement(Tenant(time_zone=zone), date(2026, 3, 1), language="en")
    found = [at.astimezone(UTC).isoformat()[:19] for at in (asked.begins_at, asked.ends_at)]
    assert found == [begins, ends]


def test_a_month_without_sales_comes_to_nothing(sale: Sale, staff: Client) -> None:
    offered = staff.get(ADDRESS).context["form"].fields["month"].choices
    [total] = lines_of(staff, month=offered[1][0])
    assert total["Amount"] == "0.00"


def test_no_name_becomes_a_formula(sale: Sale, staff: Client) -> None:
    sale.order.lines.update(name="=1+1")
    assert lines_of(staff)[0]["Product"] == "'=1+1"


def test_a_statement_goes_on_where_its_page_ends(
    sale: Sale, staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "PAGE_LENGTH", 1)
    assert [row["Amount"] for row in lines_of(staff)] == ["58.00", "-8.00", "50.00"]


def test_a_month_that_is_not_offered_is_refused(sale: Sale, staff: Client) -> None:
    for month in ("2026-13-01", "1999-01-01", "x", ""):
        assert "text/html" in staff.post(ADDRESS, {"month": month})["content-type"]


def test_a_shop_gets_its_own_statement_alone(sale: Sale, south: Shop, browser: Browser) -> None:
    visitor = browser(south.host, south.owner)
    visitor.cookies["django_language"] = "en"
    [total] = lines_of(visitor, shop=str(sale.order.tenant_id))
    assert total["Amount"] == "0.00"


def test_an_operator_chooses_the_shop(
    sale: Sale, operator: User, south: Shop, browser: Browser
) -> None:
    visitor = browser(south.host, operator)
    visitor.cookies["django_language"] = "en"
    rows = lines_of(visitor, shop=str(sale.order.tenant_id))
    assert rows[-1]["Amount"] == "50.00"


def test_who_only_looks_may_read_receipts(sale: Sale, staff: Client) -> None:
    Member.objects.update(role="viewer")
    receipt = Receipt.objects.order_by("pk").first()
    assert receipt
    page = staff.get(reverse("admin:billing_receipt_change", args=[receipt.pk])).text
    counter = receipt.counters.get()
    assert all(text in page for text in (receipt.number, counter.number, "North shop", "¥58.00"))


def test_receipts_are_found_by_their_number_and_their_order(sale: Sale, staff: Client) -> None:
    receipt = Receipt.objects.order_by("pk").first()
    assert receipt
    for text, count in ((receipt.number, 1), (sale.order.number, 2), ("XX-1", 0)):
        page = staff.get("/admin/billing/receipt/", {"q": text})
        assert len(page.context["cl"].result_list) == count
