"""Finding an order again: the link goes to its buyer, and the page says the same to everyone."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import Order
from billing.orders import mailboxes
from portal.tasks import mail_order_link
from tests.portal.buying.buyer import EMAIL, Buyer, without_tokens


@pytest.fixture
def order(buyer: Buyer) -> Order:
    """An order that was paid."""
    return buyer.bought()


def wanted(order: Order, **changes: object) -> dict[str, object]:
    """Return what the job is told."""
    mailbox = mailboxes.hash_of(EMAIL, tenant_id=order.tenant_id)
    return {"tenant_id": order.tenant_id, "number": order.number, "mailbox": mailbox, **changes}


def test_the_same_is_answered_whatever_there_is_to_find(buyer: Buyer, order: Order) -> None:
    seen = set()
    for number, email in [
        (order.number, EMAIL),
        (order.number, "somebody.else@example.com"),
        ("NO-0000-AAAAAA", EMAIL),
    ]:
        with CaptureQueriesContext(connection) as asked:
            answer = buyer.client.post("/orders/", {"number": number, "email": email}, follow=True)
        seen.add((answer.status_code, without_tokens(answer.text), len(asked)))
    assert len(seen) == 1


def test_the_page_itself_mails_nothing(buyer: Buyer, order: Order) -> None:
    buyer.client.post("/orders/", {"number": order.number, "email": EMAIL})
    assert not buyer.mails("order_link")


def test_the_job_mails_the_link_to_the_buyer(buyer: Buyer, order: Order) -> None:
    assert mail_order_link(**wanted(order))
    (mail,) = buyer.mails("order_link")
    assert (mail.subject_id, mail.recipient, mail.language) == (order.pk, EMAIL, order.language)


def test_a_number_may_be_written_in_small_letters(buyer: Buyer, order: Order) -> None:
    assert mail_order_link(**wanted(order, number=f" {order.number.lower()} "))


def test_asking_again_at_once_mails_once(buyer: Buyer, order: Order) -> None:
    for _ in range(3):
        mail_order_link(**wanted(order))
    assert len(buyer.mails("order_link")) == 1


def test_neither_number_nor_address_alone_is_enough(buyer: Buyer, order: Order) -> None:
    other = mailboxes.hash_of("somebody.else@example.com", tenant_id=order.tenant_id)
    assert not mail_order_link(**wanted(order, mailbox=other))
    assert not mail_order_link(**wanted(order, number="NO-0000-AAAAAA"))
    assert not buyer.mails("order_link")


def test_another_shop_finds_nothing(buyer: Buyer, stranger: Buyer, order: Order) -> None:
    theirs = stranger.shop.tenant.pk
    mailbox = mailboxes.hash_of(EMAIL, tenant_id=theirs)
    assert not mail_order_link(**wanted(order, tenant_id=theirs, mailbox=mailbox))


def test_without_a_queue_the_link_is_mailed_at_once(
    buyer: Buyer, order: Order, broken_queue: None
) -> None:
    answer = buyer.client.post("/orders/", {"number": order.number, "email": EMAIL})
    assert answer["location"] == "/orders/sent/"
    assert len(buyer.mails("order_link")) == 1


@pytest.mark.parametrize("form", [{}, {"number": "x"}, {"number": "x", "email": "lin"}])
def test_an_incomplete_form_says_what_is_missing(buyer: Buyer, form: dict[str, str]) -> None:
    answer = buyer.client.post("/orders/", form)
    assert answer.status_code == 400
    assert 'class="error"' in answer.text


def test_orders_can_not_be_asked_for_all_day(buyer: Buyer) -> None:
    form = {"number": "NO-0000-AAAAAA", "email": EMAIL}
    statuses = [buyer.client.post("/orders/", form).status_code for _ in range(21)]
    assert statuses == [303] * 20 + [429]
