"""A buyer as tests see one: a browser at a shop, its forms as they are sent, its orders.

Pages are asked for as a browser would; what a test looks at in the database, it looks at in the
shop's scope.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.test import Client

from billing import orders
from billing.models import Delivery, Mail, Order, Payment, PaymentInstance, Product
from billing.orders import links
from billing.payments import demo
from billing.scoping import tenant_scope
from tests.billing.orders import making
from tests.cast import Shop

Answer = Any
"""What a test client returns; its type has no public name."""

EMAIL = "lin.xiaoyu@example.com"
KEY = re.compile(r"ak-tg1[0-9A-Za-z]{45}")


@dataclass
class Buyer:
    """Somebody at a shop that sells one pack and takes demo payments."""

    shop: Shop
    client: Client
    product: Product
    instance: PaymentInstance

    def form(self, slug: str | None = None, **changes: Any) -> dict[str, Any]:
        """Return the checkout form as the page offers it, filled in."""
        page = self.client.get(f"/buy/{slug or self.product.slug}/").text
        sent = {name: hidden(page, name) for name in ("checkout_id", "agreement_version")}
        filled = {
            "to": "new",
            "email": EMAIL,
            "quantity": "1",
            "payment": str(self.instance.public_id),
            "agreed": "on",
        }
        return {**sent, **filled, **changes}

    def send(self, form: dict[str, Any], slug: str | None = None) -> Answer:
        """Send a checkout form."""
        sent = {name: value for name, value in form.items() if value is not None}
        return self.client.post(f"/buy/{slug or self.product.slug}/", sent)

    def order(self, **changes: Any) -> Order:
        """Order the pack, as far as the payment."""
        with tenant_scope(self.shop.tenant.pk):
            order = making.order_of(self.product, email=EMAIL, **changes)
            making.begin(order)
        return order

    def bought(self, **changes: Any) -> Order:
        """Order the pack, pay for it and have that confirmed."""
        with tenant_scope(self.shop.tenant.pk):
            return making.bought(self.product, email=EMAIL, **changes)

    def see(self, order: Order) -> str:
        """Return the page of an order."""
        answer = self.client.get(self.path(order))
        assert answer.status_code == 200
        return answer.text

    def do(self, deed: str, order: Order, **form: Any) -> Answer:
        """Press a button of an order's page."""
        return self.client.post(f"{self.path(order)}{deed}/", form)

    def reveal(self, order: Order) -> str:
        """Have the order's page show its key; return it."""
        return shown_key(self.press("reveal", order).text)

    def path(self, order: Order) -> str:
        """Return the secret path of an order."""
        with tenant_scope(self.shop.tenant.pk):
            return links.path_of(order)

    def delivery(self, order: Order) -> Delivery:
        """Return what was delivered first."""
        with tenant_scope(self.shop.tenant.pk):
            return making.deliveries_of(order)[0]

    def payment(self, order: Order) -> Payment:
        """Return the last try to pay."""
        with tenant_scope(self.shop.tenant.pk):
            return order.payments.latest("pk")

    def payments(self, order: Order) -> list[str]:
        """Return how the tries to pay stand, the first one first."""
        with tenant_scope(self.shop.tenant.pk):
            return list(order.payments.values_list("status", flat=True))

    def press(self, deed: str, order: Order) -> Answer:
        """Press a button of the first key: reveal, saved or replace."""
        return self.do(f"{deed}/{self.delivery(order).public_id}", order)

    def pay(self, order: Order) -> None:
        """Pay at the demo provider; nobody here is told."""
        payment = self.payment(order)
        with tenant_scope(self.shop.tenant.pk):
            demo.pay(payment)

    def confirmed(self, order: Order) -> Order:
        """Have the job ask for the payment; return the order as it then is."""
        payment = self.payment(order)
        with tenant_scope(self.shop.tenant.pk):
            orders.confirm(payment.pk)
            order.refresh_from_db()
        return order

    def orders(self) -> list[Order]:
        """Return every order of the shop."""
        with tenant_scope(self.shop.tenant.pk):
            return list(Order.objects.order_by("pk"))

    def mails(self, kind: str) -> list[Mail]:
        """Return the mails of a kind in the shop's outbox."""
        with tenant_scope(self.shop.tenant.pk):
            return list(Mail.objects.filter(kind=kind).order_by("pk"))


def buyer_at(shop: Shop, browser: Callable[..., Client]) -> Buyer:
    """Return a buyer at a shop, which is given a pack and a way to pay."""
    with tenant_scope(shop.tenant.pk):
        product = making.new_product(shop.tenant, slug=f"pack-{shop.tenant.slug}")
        instance = PaymentInstance.objects.create(tenant=shop.tenant, provider="demo")
    return Buyer(shop, browser(shop.host), product, instance)


def hidden(page: str, name: str) -> str:
    """Return the value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, f"no hidden {name}"
    return found[1]


def shown_key(page: str) -> str:
    """Return the key that a page shows."""
    found = re.search(r'<code class="secret" id="key" data-revealed-key>([^<]+)<', page)
    assert found, "no key is shown"
    return found[1]


def without_tokens(page: str) -> str:
    """Return a page without what differs between any two: its CSRF tokens and fresh ids."""
    page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", page)
    return re.sub(r'name="checkout_id" value="[^"]+"', "", page)
