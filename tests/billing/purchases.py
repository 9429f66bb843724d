"""Rows of the shop, for tests of what the database refuses: each refers to one row too many."""

from typing import Any
from uuid import uuid4

from django.db import models
from django.utils import timezone

from billing.models import (
    ApiKey,
    CodeBatch,
    Coupon,
    CouponProduct,
    CouponUse,
    Delivery,
    DemoCharge,
    Dispute,
    ManualReceipt,
    Order,
    OrderLine,
    Payment,
    PaymentEvent,
    PaymentInstance,
    PriceStep,
    Product,
    ProviderReference,
    Receipt,
    RedemptionCode,
    Refund,
    Tenant,
    Transfer,
    Wallet,
)

MONEY = {"amount_minor": 1, "currency": "CNY"}


def purchase(tenant: Tenant) -> dict[str, models.Model]:
    """Store a purchase, its rows by what others call them."""
    wallet = Wallet.objects.create(tenant=tenant)
    key = ApiKey.objects.create(
        tenant=tenant, wallet=wallet, kid=uuid4().hex[:8], pepper_version=1, mac=b""
    )
    transfer = Transfer.objects.create(
        tenant=tenant, wallet=wallet, kind="purchase", direction=1, amount_ubt=1
    )
    product = Product.objects.create(tenant=tenant, slug="p", grant_ubt=1, price_minor=1)
    order = Order.objects.create(
        tenant=tenant,
        number="N",
        checkout_id=uuid4(),
        currency="CNY",
        total_minor=1,
        expires_at=timezone.now(),
    )
    line = OrderLine.objects.create(
        tenant=tenant, order=order, product=product, quantity=1, unit_minor=1, grant_ubt=1
    )
    instance = PaymentInstance.objects.create(tenant=tenant, provider="demo")
    payment = Payment.objects.create(tenant=tenant, order=order, instance=instance, **MONEY)
    return {
        "wallet": wallet,
        "key": key,
        "transfer": transfer,
        "product": product,
        "order": order,
        "line": line,
        "instance": instance,
        "payment": payment,
        **_papers(payment, product),
    }


def _papers(payment: Payment, product: Product) -> dict[str, models.Model]:
    """Store what may follow a payment, and what may come before it."""
    tenant = payment.tenant
    return {
        "refund": Refund.objects.create(tenant=tenant, payment=payment, amount_minor=1),
        "dispute": Dispute.objects.create(tenant=tenant, payment=payment, amount_minor=1),
        "cancels": Receipt.objects.create(tenant=tenant, payment=payment, number="R", **MONEY),
        "coupon": Coupon.objects.create(tenant=tenant, code="C", percent=1),
        "batch": CodeBatch.objects.create(
            tenant=tenant, product=product, count=1, grant_ubt=1, sealed_codes=b"-"
        ),
    }


LINE = {"quantity": 1, "unit_minor": 1, "grant_ubt": 1}

REFERENCES: tuple[tuple[type[models.Model], tuple[str, ...], dict[str, Any]], ...] = (
    (OrderLine, ("order", "product", "key"), {"kind": "top_up", **LINE}),
    (OrderLine, ("order", "product", "wallet"), {"kind": "credit", **LINE}),
    (PriceStep, ("product",), {"min_quantity": 2, "unit_minor": 1}),
    (Delivery, ("line", "wallet", "key", "transfer"), {"index": 0}),
    (Payment, ("order", "instance"), MONEY),
    (PaymentEvent, ("instance", "payment"), {"event_id": "e", "kind": "k"}),
    (ProviderReference, ("instance", "payment"), {"reference": "r"}),
    (DemoCharge, ("payment",), MONEY),
    (ManualReceipt, ("payment",), {"amount_minor": 1, "received_at": timezone.now()}),
    (Refund, ("payment",), {"amount_minor": 1}),
    (Dispute, ("payment",), {"amount_minor": 1, "reference": "d"}),
    (Receipt, ("payment", "cancels", "refund"), {"number": "S", **MONEY}),
    (Receipt, ("payment", "cancels", "dispute"), {"number": "S", **MONEY}),
    (CouponProduct, ("coupon", "product"), {}),
    (CouponUse, ("coupon", "order"), {"discount_minor": 1}),
    (CodeBatch, ("product",), {"count": 1, "grant_ubt": 1, "sealed_codes": b"-"}),
    (RedemptionCode, ("batch", "order"), {"digest": "d", "used_at": timezone.now()}),
)
"""What each table of the shop refers to, and what else a row of it needs."""


def foreign_rows(owner: Tenant, other: Tenant) -> dict[str, models.Model]:
    """Return rows of `owner`, not stored, that are right but for one reference to `other`."""
    own, foreign = purchase(owner), purchase(other)
    return {
        f"{model.__name__}.{name}": model(
            tenant=owner,
            **fields,
            **{each: (foreign if each == name else own)[each] for each in names},
        )
        for model, names, fields in REFERENCES
        for name in names
    }
