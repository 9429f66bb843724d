"""One sale of a shop and the mails about it, for tests of mails, notices and the admin."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from billing.ids import uuid7
from billing.models import (
    ApiKey,
    Delivery,
    Mail,
    Order,
    Payment,
    PaymentInstance,
    Tenant,
    Wallet,
)
from billing.orders.fulfilment import seal_context
from billing.scoping import tenant_scope
from billing.sealing import unseal
from tests.billing.orders import making

GRANT_UBT = 5_000_000 * 1_000_000


@dataclass(frozen=True)
class Sale:
    """One delivered order of one key; `plaintext` is the key that lies sealed in the delivery."""

    order: Order
    payment: Payment
    delivery: Delivery
    key: ApiKey
    plaintext: str

    @property
    def wallet(self) -> Wallet:
        """The wallet that the sale has credited, as it is now."""
        return Wallet.objects.get(pk=self.delivery.wallet_id)


def sell(shop: Tenant, *, email: str = "li@example.com", language: str = "zh-hans") -> Sale:
    """Sell a key with five million base tokens; its mail is taken out of the outbox again."""
    with tenant_scope(shop.pk):
        PaymentInstance.objects.get_or_create(tenant=shop, provider="demo", name="demo")
        product = making.new_product(shop, grant_ubt=GRANT_UBT, price_minor=5_800)
        order = making.bought(product, email=email, language=language)
        (delivery,) = making.deliveries_of(order)
        Mail.objects.filter(subject_id=order.pk).delete()
        plaintext = unseal(bytes(delivery.sealed_key or b""), context=seal_context(delivery))
        return Sale(order, order.payments.get(), delivery, delivery.key, plaintext.decode())


def mail_of(shop: Tenant, kind: str, subject_id: int, **columns: object) -> Mail:
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
    with tenant_scope(shop.pk):
        return Mail.objects.create(tenant=shop, **row)
