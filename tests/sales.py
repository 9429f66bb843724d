"""What a shop has sold, as rows: an order that was paid and delivered, and what belongs to it.

For tests that look at sales (mails, admin, isolation); how a sale is made is tested in
`tests/billing/orders`.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from billing import keys
from billing.ids import uuid7
from billing.ledger import transfers
from billing.models import (
    ApiKey,
    Delivery,
    Mail,
    Order,
    OrderLine,
    Payment,
    PaymentInstance,
    Product,
    Tenant,
    Transfer,
    Wallet,
)
from billing.scoping import tenant_scope
from billing.sealing import seal

GRANT_UBT = 5_000_000 * 1_000_000


@dataclass(frozen=True)
class Sale:
    """One delivered order of one key; `plaintext` is the key that lies sealed in the delivery."""

    product: Product
    instance: PaymentInstance
    order: Order
    line: OrderLine
    payment: Payment
    delivery: Delivery
    key: ApiKey
    plaintext: str

    @property
    def wallet(self) -> Wallet:
        """The wallet that the sale has credited, as it is now."""
        return Wallet.objects.get(pk=self.delivery.wallet_id)


def sell(
    tenant: Tenant, *, email: str = "li@example.com", language: str = "zh-hans", number: str = ""
) -> Sale:
    """Sell a key with five million base tokens. Opens the shop's scope."""
    with tenant_scope(tenant.pk):
        product, _ = Product.objects.get_or_create(
            tenant=tenant,
            slug="5m",
            defaults={"grant_ubt": GRANT_UBT, "price_minor": 5_800, "name": f"of {tenant.slug}"},
        )
        instance, _ = PaymentInstance.objects.get_or_create(
            tenant=tenant, provider="demo", name=f"demo at {tenant.slug}"
        )
        order = _order(tenant, email=email, language=language, number=number)
        line = OrderLine.objects.create(
            tenant=tenant,
            order=order,
            product=product,
            quantity=1,
            unit_minor=order.total_minor,
            name=product.name,
            grant_ubt=product.grant_ubt,
        )
        payment = Payment.objects.create(
            tenant=tenant,
            order=order,
            instance=instance,
            provider="demo",
            status=Payment.CONFIRMED,
            amount_minor=order.total_minor,
            currency=order.currency,
            confirmed_at=order.paid_at,
        )
        delivery, key, plaintext = _deliver(line, email=email)
    return Sale(product, instance, order, line, payment, delivery, key, plaintext)


def _order(tenant: Tenant, *, email: str, language: str, number: str) -> Order:
    now = timezone.now()
    return Order.objects.create(
        tenant=tenant,
        number=number or f"{tenant.slug[:5].upper()}-{uuid7().hex[-8:].upper()}",
        checkout_id=uuid7(),
        status=Order.PAID,
        delivery_status=Order.DELIVERED,
        email=email,
        language=language,
        currency="CNY",
        total_minor=5_800,
        agreement_version="1",
        expires_at=now + timedelta(hours=1),
        paid_at=now,
    )


def _deliver(line: OrderLine, *, email: str) -> tuple[Delivery, ApiKey, str]:
    key, plaintext = keys.issue(tenant_id=line.tenant_id, name="", actor="test")
    Wallet.objects.filter(pk=key.wallet_id).update(notify_email=email)
    transfer: Transfer = transfers.credit(
        wallet_id=key.wallet_id,
        kind="purchase",
        amount_ubt=line.grant_ubt,
        source="payment",
        source_id=str(uuid7()),
    )
    delivery = Delivery(
        tenant_id=line.tenant_id,
        line=line,
        index=0,
        wallet=key.wallet,
        key=key,
        transfer=transfer,
        sealed_until=timezone.now() + timedelta(hours=72),
    )
    delivery.sealed_key = seal(plaintext.encode(), context=f"delivery:{delivery.public_id}")
    delivery.save()
    return delivery, key, plaintext


def mail_of(tenant: Tenant, kind: str, subject_id: int, **columns: object) -> Mail:
    """Put a mail into the shop's outbox, due now."""
    row = {
        "kind": kind,
        "subject_id": subject_id,
        "recipient": "li@example.com",
        "language": "zh-hans",
        "once": f"{kind}:{subject_id}:{uuid7()}",
        "next_try_at": timezone.now() - timedelta(seconds=1),
        **columns,
    }
    with tenant_scope(tenant.pk):
        return Mail.objects.create(tenant=tenant, **row)
