"""What tests of orders are made of: a shop with offers, and buyers who order and pay."""

from typing import Any
from uuid import UUID, uuid4

from billing import orders, tenants
from billing.ledger import transfers
from billing.models import Delivery, Order, Payment, PaymentInstance, Product, Refund, Tenant
from billing.payments import demo

GRANT_UBT, PRICE_MINOR = 7_000_000, 500
BUYER = "buyer@example.com"


def open_shop(slug: str = "north") -> Tenant:
    """Open a shop without offers."""
    return tenants.create_tenant(slug=slug, name=slug, hosts=[f"{slug}.example"])


def new_product(shop: Tenant, **changes: Any) -> Product:
    """Put a pack on sale; what is not given is usual."""
    fields = {"slug": f"p-{uuid4().hex[:8]}", "grant_ubt": GRANT_UBT, "price_minor": PRICE_MINOR}
    return Product.objects.create(tenant=shop, **{**fields, **changes})


def new_trial(shop: Tenant, **changes: Any) -> Product:
    """Put a trial on offer."""
    return new_product(shop, kind=Product.TRIAL, price_minor=0, **changes)


def order_of(product: Product, **changes: Any) -> Order:
    """Place an order as the shop's page would."""
    fields: dict[str, Any] = {
        "tenant_id": product.tenant_id,
        "checkout_id": uuid4(),
        "product_id": product.pk,
        "quantity": 1,
        "email": BUYER,
        "agreement_version": "2026-05-01",
        "language": "en",
    }
    return orders.place(**{**fields, **changes})


def begin(order: Order) -> Payment:
    """Open a demo payment of an order."""
    known = PaymentInstance.objects.filter(tenant_id=order.tenant_id, provider="demo")
    instance = known.first() or PaymentInstance.objects.create(
        tenant_id=order.tenant_id, provider="demo"
    )
    return orders.begin_payment(
        order,
        instance_id=instance.pk,
        return_url="https://north.example/back",
        notify_url="https://north.example/notify",
    )


def paid(order: Order) -> Payment:
    """Pay an order at the demo provider, and have that confirmed."""
    payment = begin(order)
    demo.pay(payment)
    return orders.confirm(payment.pk)


def bought(product: Product, **changes: Any) -> Order:
    """Order a product and pay for it; return the order as it then is."""
    order = order_of(product, **changes)
    paid(order)
    order.refresh_from_db()
    return order


def deliveries_of(order: Order) -> list[Delivery]:
    """Return what was delivered for an order."""
    found = Delivery.objects.filter(line__order=order).select_related("key", "wallet", "transfer")
    return list(found.order_by("line", "index"))


def payment_of(order: Order) -> Payment:
    """Return the payment that an order was paid by, as it is now."""
    return order.payments.get(confirmed_at__isnull=False)


def give_back(order: Order, amount_minor: int, *, refund_id: UUID | None = None) -> Refund:
    """Refund a part of what was paid for an order."""
    return orders.refund(
        payment_of(order).pk,
        refund_id=refund_id or uuid4(),
        amount_minor=amount_minor,
        actor="anna",
        reason="not wanted",
    )


def spend(order: Order, amount_ubt: int) -> None:
    """Take base tokens from the wallet of an order's first delivery, as usage would."""
    transfers.debit(
        wallet_id=deliveries_of(order)[0].wallet_id,
        kind="adjustment",
        amount_ubt=amount_ubt,
        source="test",
        source_id=uuid4().hex,
    )


def left_ubt(order: Order) -> list[int]:
    """Return what is left in the wallets of an order, less what they owe."""
    wallets = [delivery.wallet for delivery in deliveries_of(order)]
    return [wallet.available_ubt - wallet.debt_ubt for wallet in wallets]


def states_of(order: Order) -> tuple[str, str, str]:
    """Return the states of an order, of its delivery and of what paid it."""
    order.refresh_from_db()
    return order.status, order.delivery_status, payment_of(order).status
