"""Orders that are paid by epay, from the checkout to the key, with a gateway that misbehaves."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

import pytest

from billing import orders
from billing.errors import CallbackRefused, PaymentAway
from billing.models import Order, Payment, PaymentInstance
from billing.payments.base import Callback
from tests.billing.orders import making
from tests.billing.payments.epay import accounts
from tests.fakes.epay import Canned, FakeEpay


class Doorbell:
    """Takes notifications as a shop's server does, and keeps them as they came."""

    def __init__(self) -> None:
        self.callbacks: list[Callback] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Ring)
        self._server.bell = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/pay/0193/notify/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


class _Ring(BaseHTTPRequestHandler):
    wbufsize = -1

    def do_GET(self) -> None:
        self._keep()

    def do_POST(self) -> None:
        self._keep()

    def _keep(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        bell: Doorbell = self.server.bell  # type: ignore[attr-defined]
        bell.callbacks.append(Callback(self.command, urlsplit(self.path).query, {}, body))
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"success")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def doorbell() -> Iterator[Doorbell]:
    with Doorbell() as bell:
        yield bell


@pytest.fixture
def order(payment: Payment) -> Order:
    return payment.order


def confirmed(payment: Payment) -> Payment:
    return orders.confirm(payment.pk)


def test_an_order_is_paid_and_delivered_once(
    payment: Payment, order: Order, gateway: FakeEpay
) -> None:
    gateway.pay(payment.public_id.hex)
    assert [confirmed(payment).status for _ in range(3)] == ["confirmed"] * 3
    order.refresh_from_db()
    assert (order.status, order.delivery_status) == ("paid", "delivered")
    assert len(making.deliveries_of(order)) == 1


def test_the_gateways_number_is_noted(payment: Payment, gateway: FakeEpay) -> None:
    paid = gateway.pay(payment.public_id.hex)
    confirmed(payment)
    assert payment.references.get().reference == paid.trade_no


@pytest.mark.parametrize("money", ["4.99", "5.01", "0.05", "500"])
def test_another_amount_is_left_to_a_person(
    payment: Payment, order: Order, gateway: FakeEpay, money: str
) -> None:
    gateway.pay(payment.public_id.hex, money=money)
    assert confirmed(payment).status == "review"
    order.refresh_from_db()
    assert (order.status, order.delivery_status) == ("pending", "review")
    assert not making.deliveries_of(order)


def test_who_pays_one_order_has_not_paid_another(
    payment: Payment, instance: PaymentInstance, gateway: FakeEpay
) -> None:
    other = accounts.opened(making.order_of(making.new_product(instance.tenant)), instance)
    gateway.pay(other.public_id.hex)
    assert (confirmed(payment).status, confirmed(other).status) == ("pending", "confirmed")


def test_an_answer_about_another_order_pays_nothing(
    payment: Payment, instance: PaymentInstance, gateway: FakeEpay
) -> None:
    other = accounts.opened(making.order_of(making.new_product(instance.tenant)), instance)
    gateway.pay(payment.public_id.hex)
    gateway.says = {"out_trade_no": other.public_id.hex}
    assert confirmed(payment).status == "review"


def test_one_number_of_the_gateway_pays_one_order(
    payment: Payment, instance: PaymentInstance, gateway: FakeEpay
) -> None:
    other = accounts.opened(making.order_of(making.new_product(instance.tenant)), instance)
    gateway.says = {"trade_no": "1", "status": 1}
    assert (confirmed(payment).status, confirmed(other).status) == ("confirmed", "review")


def test_what_is_not_paid_stays_open(payment: Payment, order: Order) -> None:
    assert confirmed(payment).status == "pending"
    order.refresh_from_db()
    assert order.status == "pending"


@pytest.mark.parametrize("status", [302, 403, 500])
def test_nothing_is_booked_while_the_gateway_is_away(
    payment: Payment, gateway: FakeEpay, status: int
) -> None:
    gateway.pay(payment.public_id.hex)
    gateway.instead = Canned(b'{"code":1,"status":1}', status)
    with pytest.raises(PaymentAway):
        confirmed(payment)
    gateway.instead = None
    assert confirmed(payment).status == "confirmed"


def test_what_has_gone_back_already_is_not_delivered(
    payment: Payment, order: Order, gateway: FakeEpay
) -> None:
    gateway.refund(payment.public_id.hex)
    assert confirmed(payment).status == "refunded"
    assert not making.deliveries_of(order)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_gateway_delivers_leads_to_the_key(
    instance: PaymentInstance, gateway: FakeEpay, doorbell: Doorbell, method: str
) -> None:
    order = making.order_of(making.new_product(instance.tenant))
    payment = accounts.opened(order, instance, notify_url=doorbell.url)
    paid = gateway.pay(payment.public_id.hex)
    assert gateway.deliver(paid, method=method, repeat_count=3) == [(200, "success")] * 3
    for callback in doorbell.callbacks:
        assert orders.hear(instance.public_id, callback) == "success"
    order.refresh_from_db()
    assert (order.status, len(making.deliveries_of(order))) == ("paid", 1)
    assert payment.events.get().handled_at


def test_what_others_deliver_is_refused(
    payment: Payment, instance: PaymentInstance, gateway: FakeEpay, doorbell: Doorbell
) -> None:
    gateway.open_account("2002", key="another")
    paid = gateway.pay(payment.public_id.hex)
    gateway.deliver(paid, to=doorbell.url, forged_with="")
    gateway.deliver(paid, to=doorbell.url, forged_with="another", pid="2002")
    gateway.deliver(paid, to=doorbell.url, pid="2002")
    assert len(doorbell.callbacks) == 3
    for callback in doorbell.callbacks:
        with pytest.raises(CallbackRefused):
            orders.hear(instance.public_id, callback)
    assert not payment.events.exists()


def test_an_account_speaks_of_its_own_payments_only(
    v1_payment: Payment, v1: PaymentInstance, gateway: FakeEpay
) -> None:
    twin = accounts.new_instance(v1.tenant, accounts.v1_secrets(gateway))
    told = accounts.callback(gateway.notification(gateway.pay(v1_payment.public_id.hex)))
    assert orders.hear(twin.public_id, told) == "success"
    v1_payment.refresh_from_db()
    assert v1_payment.status == "pending"


def test_a_leaked_key_pays_nothing(
    v1_payment: Payment, v1: PaymentInstance, gateway: FakeEpay
) -> None:
    unpaid = gateway.order(v1_payment.public_id.hex)
    told = accounts.callback(gateway.notification(unpaid, forged_with="k3y"))
    with pytest.raises(PaymentAway):
        orders.hear(v1.public_id, told)
    gateway.pay(v1_payment.public_id.hex, money="0.01")
    assert orders.hear(v1.public_id, told) == "success"
    v1_payment.refresh_from_db()
    assert v1_payment.status == "review"
