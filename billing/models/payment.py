"""Payments: the tries to pay an order, and what providers told us of them.

No card data, no raw payload: an event keeps the id and the hash of what was received.
"""

from django.db import models
from django.db.models import Q

from billing.guards import SameTenant
from billing.ids import uuid7
from billing.models.shop import Order
from billing.models.tenant import Tenant
from billing.scoping import ScopedModel


class PaymentInstance(ScopedModel):
    """A tenant's own account at one payment provider; its secrets are sealed as one JSON object.

    `public_id` stands in the callback address, so a callback can only speak of this instance.
    `instructions` are what buyers read who pay by hand. `tested_at` and `test_error` are of the
    last test, `refused_at` and `refused_count` of callbacks that were not genuine.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    provider = models.CharField(max_length=16)
    name = models.CharField(max_length=60, blank=True)
    sealed_secrets = models.BinaryField(null=True, blank=True)
    instructions = models.TextField(max_length=2_000, blank=True, default="", db_default="")
    tested_at = models.DateTimeField(null=True, blank=True)
    test_error = models.CharField(max_length=200, blank=True, default="", db_default="")
    refused_at = models.DateTimeField(null=True, blank=True)
    refused_count = models.PositiveIntegerField(default=0, db_default=0)
    is_enabled = models.BooleanField(default=True)
    position = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "payment_instance"
        ordering = ("position", "id")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="payment_instance_tenant_id")
        ]

    def __str__(self) -> str:
        return self.name or self.provider


class Payment(ScopedModel):
    """One try to pay an order. `instance` is null where nothing had to be paid.

    `redirect_url` is where the buyer pays, and `qr_text` what a phone can scan instead.
    `received_minor` is what the provider says was paid, once it does. `checked_at` and
    `check_count` pace the poller; `closed_at` is when the provider was told that nobody is to pay.
    """

    CREATED, PENDING, CONFIRMED, REVIEW = "created", "pending", "confirmed", "review"
    FAILED, CANCELLED, EXPIRED = "failed", "cancelled", "expired"
    PARTLY_REFUNDED, REFUNDED, DISPUTED = "partly_refunded", "refunded", "disputed"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="payments")
    instance = models.ForeignKey(
        PaymentInstance, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    provider = models.CharField(max_length=16)
    status = models.CharField(max_length=16, default=CREATED)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    received_minor = models.BigIntegerField(null=True, blank=True)
    redirect_url = models.CharField(max_length=2000, blank=True)
    qr_text = models.CharField(max_length=1000, blank=True, default="", db_default="")
    review_reason = models.CharField(max_length=200, blank=True)
    check_count = models.PositiveIntegerField(default=0)
    checked_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "payment"
        ordering = ("id",)
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gte=0), name="payment_amount"),
            models.UniqueConstraint(fields=["tenant", "id"], name="payment_tenant_id"),
            SameTenant(field="order", name="payment_order_tenant"),
            SameTenant(field="instance", name="payment_instance_tenant"),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=Q(
                    status__in=("created", "pending", "failed", "cancelled", "expired"),
                    check_count__lt=4,
                ),
                name="payment_unpaid",
            )
        ]

    def __str__(self) -> str:
        return str(self.public_id)


class PaymentEvent(ScopedModel):
    """One message of a provider. Written first; `handled_at` is set by what it led to."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    instance = models.ForeignKey(PaymentInstance, on_delete=models.PROTECT, related_name="events")
    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="events"
    )
    event_id = models.CharField(max_length=128)
    kind = models.CharField(max_length=64)
    payload_hash = models.CharField(max_length=64)
    handled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "payment_event"
        constraints = [
            models.UniqueConstraint(fields=["instance", "event_id"], name="payment_event_once"),
            SameTenant(field="instance", name="payment_event_instance_tenant"),
            SameTenant(field="payment", name="payment_event_payment_tenant"),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=Q(handled_at__isnull=True),
                name="payment_event_waiting",
            )
        ]

    def __str__(self) -> str:
        return self.event_id


class ProviderReference(ScopedModel):
    """A provider's own name of a payment; it can name one payment only."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    instance = models.ForeignKey(PaymentInstance, on_delete=models.PROTECT, related_name="+")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="references")
    reference = models.CharField(max_length=128)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "provider_reference"
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "reference"], name="provider_reference_once"
            ),
            SameTenant(field="instance", name="provider_reference_instance_tenant"),
            SameTenant(field="payment", name="provider_reference_payment_tenant"),
        ]

    def __str__(self) -> str:
        return self.reference


class DemoCharge(ScopedModel):
    """What the demo provider knows of a payment: its books, not ours.

    `refunds` are the public ids of those it was asked for and has made. `dispute` is "" where there
    was none, else `open`, `won` or `lost`.
    """

    OPEN, PAID, FAILED = "open", "paid", "failed"
    WON, LOST = "won", "lost"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    payment = models.OneToOneField(Payment, on_delete=models.PROTECT, related_name="demo_charge")
    status = models.CharField(max_length=16, default=OPEN)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    pays_at = models.DateTimeField(null=True, blank=True)
    refunded_minor = models.BigIntegerField(default=0, db_default=0)
    refunds = models.JSONField(
        default=list, blank=True, db_default=models.Value([], models.JSONField())
    )
    dispute = models.CharField(max_length=8, blank=True, default="", db_default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "demo_charge"
        constraints = [SameTenant(field="payment", name="demo_charge_payment_tenant")]

    def __str__(self) -> str:
        return f"demo {self.payment_id}"


class ManualReceipt(ScopedModel):
    """Money that a person has seen arrive for a payment: all that the manual provider knows."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    payment = models.OneToOneField(Payment, on_delete=models.PROTECT, related_name="manual_receipt")
    amount_minor = models.BigIntegerField()
    note = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "manual_receipt"
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="manual_receipt_amount"),
            SameTenant(field="payment", name="manual_receipt_payment_tenant"),
        ]

    def __str__(self) -> str:
        return f"manual {self.payment_id}"
