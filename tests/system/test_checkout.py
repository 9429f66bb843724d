"""One checkout sent by two hundred at once, over HTTP: one order, paid once, credited once."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import httpx
import pytest

from billing.models import Order, Payment, Transfer
from tests.system.running import RunningSystem

pytestmark = pytest.mark.system

SUBMITS = 200
PAYS = 20
EMAIL = "impatient@buyer.example"


@pytest.fixture
def buyer(running_system: RunningSystem) -> httpx.Client:
    """A browser, as far as HTTP goes."""
    limits = httpx.Limits(max_connections=SUBMITS, max_keepalive_connections=SUBMITS)
    return httpx.Client(base_url=running_system.url, limits=limits, timeout=60)


def hidden_fields(page: httpx.Response) -> dict[str, str]:
    """Return what the form of a page sends besides what its reader fills in."""
    fields = {}
    for tag in re.findall(r"<input[^>]*>", page.text.partition("<main")[2]):
        said = dict(re.findall(r'(?<![-\w])(\w+)="([^"]*)"', tag))
        if said["type"] == "hidden" or "checked" in tag:
            fields[said["name"]] = unescape(said["value"])
    return fields


def at_once(count: int, send: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Send so many requests in the same moment."""
    together = threading.Barrier(count)

    def one(number: int) -> httpx.Response:
        together.wait(timeout=30)
        return send(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def from_network(number: int) -> dict[str, str]:
    """Return the header by which a trusted proxy tells of a network: each may try a few times."""
    return {"x-forwarded-for": f"10.{number}.0.1"}


def test_two_hundred_submits_of_a_checkout_make_one_order_paid_and_credited_once(
    running_system: RunningSystem, buyer: httpx.Client
) -> None:
    form = hidden_fields(buyer.get("/buy/1m/")) | {"email": EMAIL, "quantity": "1", "agreed": "on"}
    answers = at_once(
        SUBMITS, lambda number: buyer.post("/buy/1m/", data=form, headers=from_network(number))
    )
    assert {answer.status_code for answer in answers} == {303}
    (gateway,) = {answer.headers["location"] for answer in answers}
    deed = hidden_fields(buyer.get(gateway)) | {"deed": "pay"}
    at_once(PAYS, lambda number: buyer.post(gateway, data=deed, follow_redirects=True))
    with running_system.books():
        order = Order.objects.get(email=EMAIL)
        payment = Payment.objects.get(order=order)
        credit = Transfer.objects.get(wallet__notify_email=EMAIL)
    assert (order.status, order.delivery_status) == (Order.PAID, "delivered")
    assert (payment.status, payment.amount_minor) == (Payment.CONFIRMED, order.total_minor)
    assert (credit.kind, credit.direction) == ("purchase", 1)
    assert running_system.reconcile() == []
