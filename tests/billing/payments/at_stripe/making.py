"""What tests of Stripe are made of: an account, a payment that is begun there, events about it."""

from typing import Any

from billing import orders
from billing.models import Order, Payment, PaymentInstance, Tenant
from billing.payments import Callback, credentials
from tests.fakes.stripe import Event, FakeStripe, Json

SECRET = "whsec_of_north"
SECRETS = {"api_key": "sk_test_north", "webhook_secret": SECRET}
RETURN_URL = "https://north.example/orders/NO-1/link/"


def new_account(shop: Tenant, **secrets: str) -> PaymentInstance:
    """Give a shop an account at Stripe; what is not given is usual."""
    account = PaymentInstance.objects.create(tenant=shop, provider="stripe")
    credentials.store(account, {**SECRETS, **secrets})
    return account


def begin(order: Order, account: PaymentInstance, return_url: str = RETURN_URL) -> Payment:
    """Begin to pay an order."""
    return orders.begin_payment(
        order, instance_id=account.pk, return_url=return_url, notify_url="https://north.example/n/"
    )


def session_of(payment: Payment) -> str:
    """Return the id of a payment's only session."""
    return payment.references.get(reference__startswith="cs_").reference


def told(event: Event) -> Callback:
    """Return an event as it arrives."""
    return Callback(method="POST", query="", headers=event.headers, body=event.body)


def completed(fake: FakeStripe, session: Json, **changes: Any) -> Event:
    """Return the event of a session that was completed."""
    return fake.event("checkout.session.completed", session, **{"secret": SECRET, **changes})
