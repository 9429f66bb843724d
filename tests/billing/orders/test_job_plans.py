"""What jobs ask of the database every minute: an index answers, however much was sold before."""

import re
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from billing import orders
from billing.ledger.clock import database_now
from billing.ledger.paid import odd_payments
from billing.models import Order, OrderLine, Payment, PaymentEvent, Transfer
from billing.scoping import all_tenants
from tests.billing.orders.making import begin, bought, new_product, open_shop, order_of
from tests.databases import Database

ROWS = 5_000
MINUTE = timedelta(minutes=1)
WHOLE = re.compile(r"Seq Scan on (payment|payment_event|shop_order|order_line|transfer) ")

Row = TypeVar("Row", bound=Model)


@pytest.fixture
def busy(postgres_database: Database) -> None:
    """A shop that has sold a lot, and waits for one payment."""
    with all_tenants():
        product = new_product(open_shop())
        sell_much(bought(product))
        begin(order_of(product))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SET random_page_cost = 1.1")


def sell_much(sold: Order) -> None:
    """Store an order, and what belongs to it, often."""
    payment, line, now = sold.payments.get(), sold.lines.get(), database_now()
    numbers = [f"copy {n}" for n in range(ROWS)]
    copies = [like(sold, number=number, checkout_id=uuid4()) for number in numbers]
    Order.objects.bulk_create(copies)
    lines = [like(line, order_id=order.pk) for order in copies]
    OrderLine.objects.bulk_create(lines)
    paid = [like(payment, order_id=order.pk) for order in copies]
    Payment.objects.bulk_create(paid)
    names = [f"{one.public_id}:{line.pk}:0" for one, line in zip(paid, lines, strict=True)]
    grant = Transfer.objects.get()
    Transfer.objects.bulk_create(like(grant, source_id=name) for name in names)
    event = PaymentEvent(tenant_id=sold.tenant_id, instance=payment.instance, handled_at=now)
    PaymentEvent.objects.bulk_create(
        like(event, payment_id=one.pk, event_id=name) for one, name in zip(paid, names, strict=True)
    )
    Payment.objects.exclude(pk=payment.pk).update(created_at=now - 60 * 24 * 60 * MINUTE)


def like(row: Row, **other: object) -> Row:
    """Return another row like this one, under a public id of its own."""
    fields = [field.attname for field in row._meta.concrete_fields]
    same = {name: getattr(row, name) for name in fields if name not in ("id", "public_id")}
    return type(row)(**{**same, **other})


@pytest.mark.usefixtures("busy")
def test_no_job_of_every_minute_reads_all_that_was_sold() -> None:
    now = database_now() + 2 * MINUTE
    with all_tenants(), CaptureQueriesContext(connection) as queries:
        orders.poll_open(now)
        orders.poll_refunds(now)
        orders.expire_unpaid(now)
        odd_payments(tenant_id=None, since=now - 10 * MINUTE, now=now, most=10)
    plans = [plan_of(each["sql"]) for each in queries if each["sql"].startswith("SELECT")]
    assert [plan for plan in plans if WHOLE.search(plan)] == []


def plan_of(statement: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        return "\n".join(line for (line,) in cursor.fetchall())
