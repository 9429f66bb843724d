"""A month of life for a demo shop: orders in every state, a key with calls, an announcement.

`python -m tests.e2e.life` in the environment of an installation prints where to find it all; see
`Life.of`. Run by the tests of pages and by `screenshots.py`.
"""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

if TYPE_CHECKING:
    from billing.models import ApiKey, Order, UsageRecord
    from billing.pricing import Price
    from tests.system.running import RunningSystem

EMAIL = "lin@buyer.example"
SLUG = "demo"
_SEED = 7
_DAYS = 30
_MODELS = {"gpt-4o-mini": 34, "gpt-4.1-mini": 22, "claude-sonnet-4-5": 12, "gpt-5": 10, "gpt-4o": 8}
_TROUBLES = (
    *(("", 200),) * 150,
    *(("upstream_timeout", 504), ("upstream_unavailable", 502)),
    *(("policy_rate", 429), ("caller_gone", 200)),
)


@dataclass(frozen=True)
class Life:
    """Where to find what happened: a key in full, and the paths of orders by their state.

    `receipt` is the path of a receipt that was cancelled in part.
    """

    key: str
    orders: dict[str, str]
    receipt: str
    state_folder: str

    @classmethod
    def of(cls, system: "RunningSystem") -> Self:
        """Let it happen in a running installation, by a process with its secrets."""
        made = json.loads(system.run("-m", "tests.e2e.life"))
        return cls(**made, state_folder=str(system.state_folder))


def main() -> None:
    """Make it all, and print where it is."""
    import django

    import manage

    manage.prepare_environment()
    os.environ["TOLLGATE_DEMO_PAYMENTS"] = "1"
    django.setup()
    from billing import tenants
    from billing.models import Announcement, Tenant
    from billing.scoping import tenant_scope

    shop = Tenant.objects.get(slug=SLUG)
    # As long as there is one shop alone, it answers on every hostname.
    tenants.create_tenant(slug="next-door", name="Next door", hosts=["next-door.test"])
    with tenant_scope(shop.pk):
        Announcement.objects.create(
            tenant=shop, text="claude-sonnet-4-5 降价 20%，9 月起生效", language="zh-hans"
        )
        Announcement.objects.create(
            tenant=shop, text="claude-sonnet-4-5 is 20% cheaper from September on", language="en"
        )
        key, made = _key_with_a_past(), dict(_orders())
        receipt = _receipt_of(made["partly_refunded"])
    print(json.dumps({"key": key, "orders": made, "receipt": receipt}))


def _place(slug: str, *, quantity: int = 1, key: "ApiKey | None" = None) -> "Order":
    from billing import orders
    from billing.models import Product

    product = Product.objects.get(slug=slug)
    return orders.place(
        tenant_id=product.tenant_id,
        checkout_id=uuid4(),
        product_id=product.pk,
        quantity=quantity,
        email=EMAIL,
        agreement_version="1",
        language="zh-hans",
        key_id=key.pk if key else None,
    )


def _begun(slug: str, **wish: Any) -> "Order":
    from billing import orders, payments

    order = _place(slug, **wish)
    (instance,) = payments.offered(order.tenant)
    orders.begin_payment(order, instance_id=instance.pk, return_url="", notify_url="")
    return order


def _paid(slug: str, **wish: Any) -> "Order":
    from billing import orders
    from billing.payments import demo

    order = _begun(slug, **wish)
    payment = order.payments.get()
    demo.pay(payment)
    orders.confirm(payment.pk)
    return order


def _delivered_key(order: "Order") -> tuple["ApiKey", str]:
    from billing.models import Delivery
    from billing.orders import deliveries

    delivery = Delivery.objects.select_related("key").get(line__order=order)
    return delivery.key, deliveries.reveal(delivery)


def _orders() -> Iterator[tuple[str, str]]:
    """Yield the path of an order in each state that its page knows."""
    from billing import orders
    from billing.models import Order
    from billing.orders import deliveries, links
    from billing.payments import demo

    made = {name: _begun("5m") for name in ("waiting", "failed", "expired", "cancelled")}
    demo.fail(made["failed"].payments.get())
    orders.confirm(made["failed"].payments.get().pk)
    Order.objects.filter(pk=made["expired"].pk).update(expires_at=made["expired"].created_at)
    orders.expire_unpaid()
    orders.cancel(made["cancelled"])
    made |= {name: _paid("5m") for name in ("fresh", "revealed", "saved", "lapsed", "replaced")}
    made["several"] = _paid("1m", quantity=3)
    for name in ("revealed", "saved", "lapsed", "replaced"):
        key, _ = _delivered_key(made[name])
        delivery = made[name].lines.get().deliveries.get()
        if name == "saved":
            deliveries.confirm_saved(delivery)
        if name == "lapsed":
            type(delivery).objects.filter(pk=delivery.pk).update(sealed_until=key.created_at)
            deliveries.forget_lapsed()
        if name == "replaced":
            deliveries.replace_key(delivery)
    made["topped_up"] = _paid("1m", key=_delivered_key(_paid("1m"))[0])
    made |= {name: _paid("5m") for name in ("partly_refunded", "refunded", "disputed")}
    demo.give_back(made["partly_refunded"].payments.get(), amount_minor=500)
    demo.give_back(made["refunded"].payments.get(), amount_minor=made["refunded"].total_minor)
    demo.dispute(made["disputed"].payments.get())
    for name in ("partly_refunded", "refunded", "disputed"):
        orders.confirm(made[name].payments.get().pk)
    made["transfer"] = _waiting_for_a_transfer()
    for name, order in made.items():
        yield name, links.path_of(order)


def _waiting_for_a_transfer() -> "Order":
    """Return an order that is to be paid by hand; nobody else is offered that way."""
    from billing import orders
    from billing.models import PaymentInstance

    order = _place("5m")
    way = PaymentInstance.objects.create(
        tenant=order.tenant,
        provider="manual",
        name="银行转账",
        instructions="招商银行 6225 8888 0000 1234\n户名：渡口科技有限公司",
    )
    orders.begin_payment(order, instance_id=way.pk, return_url="", notify_url="")
    PaymentInstance.objects.filter(pk=way.pk).update(is_enabled=False)
    return order


def _receipt_of(path: str) -> str:
    """Return the path of the first receipt of an order."""
    from billing.models import Receipt

    number = path.split("/")[2]
    receipt = Receipt.objects.get(payment__order__number=number, cancels=None)
    return f"{path}receipts/{receipt.number}/"


def _key_with_a_past() -> str:
    """Return a key that was bought, used for a month, and topped up."""
    from django.utils import timezone

    from billing import catalogue
    from billing.models import UsageRecord, Wallet

    key, plaintext = _delivered_key(_paid("20m"))
    _paid("5m", key=key)
    dice = random.Random(_SEED)
    now = timezone.now()
    prices = catalogue.current_prices(key.tenant_id)
    records = [_call(dice, key, at, prices) for at in _moments(dice, now)]
    UsageRecord.objects.bulk_create(records)
    spent_ubt = sum(record.charged_ubt for record in records)
    Wallet.objects.filter(pk=key.wallet_id).update(debits_ubt=spent_ubt)
    key.name, key.spent_ubt = "Chatbox", spent_ubt
    key.save(update_fields=["name", "spent_ubt"])
    return plaintext


def _moments(dice: random.Random, now: datetime) -> Iterator[datetime]:
    """Yield moments of calls, of each 24 hours more at their end than at their beginning."""
    for days_ago in range(_DAYS, -1, -1):
        for _ in range(dice.randint(60, 160)):
            yield now - timedelta(days=days_ago, minutes=dice.triangular(1, 24 * 60, 300))


def _call(
    dice: random.Random, key: "ApiKey", at: datetime, prices: "dict[str, Price]"
) -> "UsageRecord":
    """Return one call as the relay would have booked it."""
    from billing import pricing
    from billing.ids import uuid7
    from billing.models import UsageRecord
    from billing.partitions import first_id

    model = dice.choices(list(_MODELS), list(_MODELS.values()))[0]
    price = prices[model]
    error, status = dice.choice(_TROUBLES)
    asked, cached = dice.randint(40, 4_000), dice.choice([0, 0, 0, 1_024])
    counts = pricing.Counts(input=asked, cached_input=cached, output=dice.randint(20, 900))
    fine = error in ("", "caller_gone")
    first_ms = int(dice.lognormvariate(6.1, 0.5))
    return UsageRecord(
        id=first_id(at).replace("-", "")[:12] + uuid7().hex[12:],
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        key_id=key.pk,
        model_asked=model,
        model_served=model,
        endpoint="chat_completions",
        retail_price_id=price.id,
        charged_ubt=pricing.charge(price, counts) if fine else 0,
        input_count=asked if fine else 0,
        cached_input_count=cached if fine else 0,
        output_count=counts.output if fine else 0,
        resolution="client_gone" if error == "caller_gone" else "settled" if fine else "voided",
        usage_source="upstream" if fine else "none",
        status=status,
        error_type=error,
        stream=dice.random() < 0.8,
        attempts=1,
        first_token_ms=first_ms if fine else None,
        total_ms=first_ms + counts.output * dice.randint(8, 20),
        created_at=at,
    )


if __name__ == "__main__":
    main()
