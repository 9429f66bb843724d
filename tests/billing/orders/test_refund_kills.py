"""A refund whose process is killed anywhere is made once, or never."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connections

from billing import orders
from billing.ledger.clock import database_now
from billing.ledger.reconcile import reconcile
from billing.models import Order, Refund
from billing.scoping import all_tenants, tenant_scope
from tests.billing.orders import dying
from tests.billing.orders.making import (
    GRANT_UBT,
    PRICE_MINOR,
    bought,
    left_ubt,
    new_product,
    open_shop,
    payment_of,
)
from tests.databases import Database
from tests.plugins.proof import is_asked_for, size

pytestmark = pytest.mark.proof

PART_MINOR = 100
PLACES = range(1, 90, size(17, proof=1))
"""Which statement of a refund is its last; the last ones are more than it takes."""
DATABASES = ["sqlite_database", *(["postgres_database"] if is_asked_for() else [])]


@pytest.mark.parametrize("kind", DATABASES)
def test_a_refund_that_is_cut_anywhere_is_made_once_or_never(
    request: pytest.FixtureRequest, kind: str
) -> None:
    database: Database = request.getfixturevalue(kind)
    assert database
    shop = open_shop()
    with tenant_scope(shop.pk):
        product = new_product(shop)
        sold = {place: bought(product) for place in PLACES}
    connections.close_all()
    killed = 0
    for place, order in sold.items():
        dying.act_and_die(lambda order=order: ask(order), tenant_id=shop.pk, place=place)  # type: ignore[misc]
        killed += dying.wait()
    assert 0 < killed < len(PLACES)
    with all_tenants():
        left = Refund.objects.filter(status=Refund.PENDING).count()
        after = database_now() + timedelta(minutes=3)
        assert (orders.poll_refunds(after), orders.poll_refunds(after)) == (left, 0)
        gone_minor = {gone_of(order) for order in sold.values()}
        assert gone_minor == {0, PART_MINOR}
        assert reconcile().is_clean


def ask(order: Order) -> Refund:
    return orders.refund(
        order.payments.get().pk,
        refund_id=uuid4(),
        amount_minor=PART_MINOR,
        actor="anna",
        reason="",
    )


def gone_of(order: Order) -> int:
    """Return what of an order has gone back, on which everybody agrees."""
    payment = payment_of(order)
    gone_minor = sum(payment.refunds.filter(status="done").values_list("amount_minor", flat=True))
    assert payment.refunds.exclude(status="done").count() == 0
    assert payment.demo_charge.refunded_minor == gone_minor
    assert left_ubt(order) == [GRANT_UBT - GRANT_UBT * gone_minor // PRICE_MINOR]
    assert payment.receipts.exclude(cancels=None).count() == bool(gone_minor)
    return gone_minor
