"""Steps of tests about notifications: to a gateway, what it says, and what comes of that."""

import re
from html import unescape
from urllib.parse import urlencode, urlsplit

from django.test import Client

from billing.models import PaymentEvent, PaymentInstance
from billing.scoping import tenant_scope
from tests.fakes.epay import Fields, Placed
from tests.portal.buying.buyer import Answer, Buyer

FORM = "application/x-www-form-urlencoded"
REFRESH = re.compile(r'<meta http-equiv="refresh" content="0; url=([^"]+)">')


def send(buyer: Buyer, account: PaymentInstance) -> str:
    """Send the checkout form; return where it leads."""
    answer = buyer.send(buyer.form(payment=str(account.public_id)))
    assert answer.status_code == 303
    return str(answer["location"])


def target(path: str, buyer: Buyer) -> str:
    """Return where a page leads by itself."""
    found = REFRESH.search(buyer.client.get(path).text)
    assert found
    return unescape(found[1])


def tell(client: Client, placed: Placed, fields: Fields, *, method: str = "get") -> Answer:
    """Send a notification to the address that the gateway was given."""
    path = urlsplit(str(placed.asked["notify_url"])).path
    if method == "post":
        return client.post(path, urlencode(fields), content_type=FORM)
    return client.get(path, fields)


def events(buyer: Buyer) -> list[bool]:
    """Return of every event whether it was handled."""
    with tenant_scope(buyer.shop.tenant.pk):
        return [event.handled_at is not None for event in PaymentEvent.objects.order_by("pk")]


def state(buyer: Buyer) -> tuple[str, str, list[str]]:
    """Return how the order, its delivery and its payments stand."""
    [order] = buyer.orders()
    return order.status, order.delivery_status, buyer.payments(order)
