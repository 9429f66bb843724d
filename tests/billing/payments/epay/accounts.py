"""What tests of epay are made of: a shop's secrets, payments that were begun, what is delivered."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
from pytest_django import Settings

from billing import orders
from billing.models import Order, Payment, PaymentInstance, Tenant
from billing.payments import credentials
from billing.payments.base import Callback
from billing.payments.epay import EpayProvider
from tests.fakes.epay import FakeEpay, browser, key_pair

EPAY = EpayProvider()
NOTIFY_URL = "https://north.example/pay/0193/notify/"


@contextmanager
def open_gateway(settings: Settings) -> Iterator[FakeEpay]:
    """Run a gateway at an address that the settings allow, with a merchant of its own."""
    settings.PAYMENT_PRIVATE_NETWORK = True
    with FakeEpay() as fake:
        fake.open_account("1001", key="k3y")
        yield fake


def v1_secrets(gateway: FakeEpay, **changes: str) -> dict[str, str]:
    """Return what a merchant of V1 is told."""
    return {"url": gateway.url, "pid": "1001", "key": "k3y", "type": "alipay", **changes}


def v2_secrets(gateway: FakeEpay, **changes: str) -> dict[str, str]:
    """Return what a merchant of V2 is told."""
    return {
        "url": gateway.url,
        "pid": "1001",
        "private_key": gateway.accounts["1001"].keys.private,
        "gateway_key": key_pair("gateway").public,
        "type": "alipay",
        **changes,
    }


def new_instance(shop: Tenant, secrets: dict[str, str]) -> PaymentInstance:
    """Give a shop an account."""
    instance = PaymentInstance.objects.create(tenant=shop, provider="epay")
    credentials.store(instance, secrets)
    return instance


def begun(order: Order, instance: PaymentInstance, *, notify_url: str = NOTIFY_URL) -> Payment:
    """Begin a payment as the checkout does."""
    return orders.begin_payment(
        order,
        instance_id=instance.pk,
        return_url="https://north.example/orders/N1/secret/",
        notify_url=notify_url,
    )


def opened(order: Order, instance: PaymentInstance, **options: str) -> Payment:
    """Begin a payment and go where it leads, as its buyer does."""
    payment = begun(order, instance, **options)
    visit(payment.redirect_url)
    return payment


def visit(url: str) -> httpx.Response:
    """Open a page of the gateway in a browser."""
    return browser().get(url)


def callback(fields: dict[str, Any], *, method: str = "GET") -> Callback:
    """Return fields as they come to the notify address."""
    text = urlencode(fields)
    if method == "GET":
        return Callback("GET", text, {}, b"")
    return Callback("POST", "", {}, text.encode())
