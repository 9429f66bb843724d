"""Money in the admin: given back once, noted when it has come, settled where nobody knew."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from billing import orders
from billing.models import (
    Dispute,
    ManualReceipt,
    Member,
    Order,
    Payment,
    PaymentInstance,
    Refund,
)
from billing.orders import disputes
from billing.payments.base import DisputeState, Outcome
from billing.scoping import tenant_scope
from tests.billing.orders import making
from tests.cast import Shop
from tests.sales import Sale, sell

Browser = Callable[..., Client]
BACK, NOTIFY = "https://north.example/back", "https://north.example/notify"


@pytest.fixture
def sale(north: Shop) -> Iterator[Sale]:
    """A sale of 58 yuan at north, whose scope is open."""
    with tenant_scope(north.tenant.pk):
        yield sell(north.tenant)


@pytest.fixture
def transfer(north: Shop) -> Iterator[Payment]:
    """A payment by hand of five yuan that has begun; north's scope is open."""
    with tenant_scope(north.tenant.pk):
        way = PaymentInstance.objects.create(
            tenant=north.tenant, provider="manual", instructions="To account 1"
        )
        yield orders.begin_payment(
            making.order_of(making.new_product(north.tenant)),
            instance_id=way.pk,
            return_url=BACK,
            notify_url=NOTIFY,
        )


def address(row: Model, button: str) -> str:
    return reverse(f"admin:billing_{row._meta.model_name}_{button}", args=[row.pk])


def press(visitor: Client, row: Model, button: str, **form: Any) -> int:
    """Fill in a step; 302 when it did something."""
    given = {"once": str(uuid4()), "reason": "Asked for", **form}
    if button == "refund":
        payment = row if isinstance(row, Payment) else Payment.objects.filter(order=row.pk).first()
        given = {"payment": str(payment.public_id) if payment else "", **given}
    return visitor.post(address(row, button), given).status_code


@pytest.mark.parametrize("page", ["order", "payment"])
def test_a_refund_is_given_once_for_each_form(sale: Sale, staff: Client, page: str) -> None:
    row = sale.order if page == "order" else sale.payment
    form = {"once": str(uuid4()), "amount_minor": "8.00"}
    assert [press(staff, row, "refund", **form) for _ in range(2)] == [302, 302]
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.status, refund.reason) == (800, Refund.DONE, "Asked for")
    assert refund.actor == "owner@north.example"
    assert LogEntry.objects.get().change_message == "Refund: ¥8.00, Asked for"


def test_a_whole_refund_that_is_sent_twice_is_one(sale: Sale, staff: Client) -> None:
    form = {"once": str(uuid4()), "amount_minor": "58"}
    assert [press(staff, sale.order, "refund", **form) for _ in range(2)] == [302, 302]
    sale.order.refresh_from_db()
    assert (sale.order.status, Refund.objects.count()) == (Order.REFUNDED, 1)


def test_a_page_about_one_payment_gives_no_other_one_back(
    transfer: Payment, sale: Sale, staff: Client
) -> None:
    """Between page and button its payment was given back, so the order's is another one now."""
    order = sale.order
    Payment.objects.filter(pk=transfer.pk).update(
        order=order, status=Payment.REVIEW, amount_minor=5_800, received_minor=5_800
    )
    form = {"payment": str(sale.payment.public_id), "amount_minor": "58"}
    assert [press(staff, order, "refund", **form) for _ in range(2)] == [302, 200]
    assert Refund.objects.get().payment == sale.payment


def test_a_refund_says_what_can_go_back(sale: Sale, staff: Client) -> None:
    press(staff, sale.payment, "refund", amount_minor="8")
    page = staff.get(address(sale.payment, "refund")).text
    assert all(text in page for text in ("¥58.00", "¥8.00", "¥50.00", 'value="50.00"'))
    assert Refund.objects.count() == 1


def test_a_refund_needs_a_reason_and_what_is_there(sale: Sale, staff: Client) -> None:
    for wrong in ({"amount_minor": "58.01"}, {"amount_minor": "0"}, {"reason": ""}):
        assert press(staff, sale.payment, "refund", **{"amount_minor": "1", **wrong}) == 200
    assert not Refund.objects.exists()


def test_who_may_move_money(sale: Sale, transfer: Payment, staff: Client) -> None:
    for role, status in (("support", 403), ("viewer", 403), ("manager", 302)):
        Member.objects.update(role=role)
        assert press(staff, sale.payment, "refund", amount_minor="1") == status
        assert press(staff, transfer, "money_arrived", amount_minor="5") == status
        assert Refund.objects.count() == ManualReceipt.objects.count() == (status == 302)


def test_another_shops_money_is_not_there(sale: Sale, south: Shop, browser: Browser) -> None:
    visitor = browser(south.host, south.owner)
    for button in ("refund", "money_arrived"):
        assert press(visitor, sale.payment, button, amount_minor="1") == 404
        assert press(visitor, sale.order, button, amount_minor="1") == 404


def test_what_nobody_paid_offers_no_refund(north: Shop, sale: Sale, staff: Client) -> None:
    order = making.order_of(making.new_product(north.tenant))
    assert address(order, "refund") not in staff.get(address(order, "change")).text
    assert press(staff, order, "refund", amount_minor="1") == 302
    assert not Refund.objects.exists()


def test_money_that_has_come_pays_the_order_once(transfer: Payment, staff: Client) -> None:
    form = {"amount_minor": "5.00", "note": "ICBC, Li"}
    assert [press(staff, transfer, "money_arrived", **form) for _ in range(2)] == [302, 302]
    transfer.order.refresh_from_db()
    assert (transfer.order.status, transfer.order.delivery_status) == ("paid", "delivered")
    receipt = ManualReceipt.objects.get()
    assert (receipt.note, receipt.actor) == ("ICBC, Li", "owner@north.example")
    assert "ICBC, Li" in staff.get(address(transfer, "change")).text
    assert LogEntry.objects.get().change_message == "Money has arrived: ¥5.00 ICBC, Li"


def test_a_button_pressed_twice_pays_one_of_two_transfers(transfer: Payment, staff: Client) -> None:
    way = PaymentInstance.objects.create(
        tenant_id=transfer.tenant_id, provider="manual", instructions="To account 2"
    )
    orders.begin_payment(transfer.order, instance_id=way.pk, return_url=BACK, notify_url=NOTIFY)
    for _ in range(2):
        assert press(staff, transfer.order, "money_arrived", amount_minor="5") == 302
    assert ManualReceipt.objects.count() == 1


def test_money_that_is_due_is_filled_in(transfer: Payment, staff: Client) -> None:
    page = staff.get(address(transfer.order, "money_arrived")).text
    assert 'value="5.00"' in page
    assert transfer.order.number in page
    assert not ManualReceipt.objects.exists()


def test_another_sum_is_warned_of_first(transfer: Payment, staff: Client) -> None:
    assert press(staff, transfer.order, "money_arrived", amount_minor="4") == 200
    assert not ManualReceipt.objects.exists()
    meant = {"amount_minor": "4", "is_meant": "on"}
    assert press(staff, transfer.order, "money_arrived", **meant) == 302
    transfer.refresh_from_db()
    assert transfer.status == Payment.REVIEW
    page = staff.get(address(transfer, "change")).text
    assert "Give it back whole" in page


def test_a_payment_in_review_goes_back_whole_by_hand(transfer: Payment, staff: Client) -> None:
    press(staff, transfer, "money_arrived", amount_minor="4", is_meant="on")
    assert "Send the money back by hand" in staff.get(address(transfer, "refund")).text
    assert press(staff, transfer, "refund", amount_minor="3") == 200
    assert press(staff, transfer, "refund", amount_minor="4") == 302
    transfer.refresh_from_db()
    assert transfer.status == Payment.REFUNDED


@pytest.mark.parametrize(("found", "status"), [("went", Refund.DONE), ("stayed", Refund.FAILED)])
def test_a_refund_of_which_nobody_knows_is_settled(
    sale: Sale, staff: Client, found: str, status: str
) -> None:
    refund = Refund.objects.create(
        tenant=sale.payment.tenant,
        payment=sale.payment,
        amount_minor=100,
        status=Refund.REVIEW,
        failure="No answer.",
    )
    assert "No answer." in staff.get(address(refund, "settle")).text
    assert press(staff, refund, "settle") == 200
    assert [press(staff, refund, "settle", found=found) for _ in range(2)] == [302, 302]
    refund.refresh_from_db()
    assert refund.status == status
    assert LogEntry.objects.count() == 1


def test_a_dispute_leads_to_what_it_has_frozen(sale: Sale, staff: Client) -> None:
    said = (DisputeState("dp_1", Outcome.OPEN, 5_800, "fraudulent"),)
    disputes.book(sale.order, sale.payment, said)
    page = staff.get(address(Dispute.objects.get(), "change")).text
    assert "Answer at the provider" in page
    assert reverse("admin:billing_wallet_change", args=[sale.wallet.pk]) in page
    assert "Frozen" in page
    assert "dp_1" in page
