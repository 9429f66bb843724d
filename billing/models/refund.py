"""Money that went back, and the papers of what came and went: refunds, disputes, receipts."""

from django.db import models
from django.db.models import Q

from billing.guards import SameTenant
from billing.ids import uuid7
from billing.models.payment import Payment
from billing.models.tenant import Tenant
from billing.scoping import ScopedModel


class Refund(ScopedModel):
    """Money that goes back, for which base tokens are taken back when it begins.

    `origin` says whether the shop began it or the provider told of it. `sent_at` is set before the
    provider is asked for it, `reference` is the provider's name of it. One whose fate nobody knows
    is in `review`.
    """

    PENDING, DONE, FAILED, REVIEW = "pending", "done", "failed", "review"
    SHOP, PROVIDER = "shop", "provider"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    status = models.CharField(max_length=16, default=PENDING)
    origin = models.CharField(max_length=16, default=SHOP, db_default=SHOP)
    amount_minor = models.BigIntegerField()
    reference = models.CharField(max_length=128, blank=True, default="", db_default="")
    actor = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    failure = models.CharField(max_length=200, blank=True, default="", db_default="")
    check_count = models.PositiveIntegerField(default=0, db_default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "refund"
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="refund_amount"),
            models.UniqueConstraint(fields=["tenant", "id"], name="refund_tenant_id"),
            SameTenant(field="payment", name="refund_payment_tenant"),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(status="pending"), name="refund_pending")
        ]

    def __str__(self) -> str:
        return str(self.public_id)


class Dispute(ScopedModel):
    """A payment that its buyer wants back from their bank, by the provider's name of the case.

    `frozen_wallets` lists the ids of the wallets that it has frozen, to be let go when it is won.
    """

    OPEN, WON, LOST = "open", "won", "lost"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="disputes")
    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    reference = models.CharField(max_length=128)
    status = models.CharField(max_length=16, default=OPEN)
    amount_minor = models.BigIntegerField()
    reason = models.CharField(max_length=64, blank=True)
    frozen_wallets = models.JSONField(default=list, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "dispute"
        constraints = [
            models.UniqueConstraint(fields=["payment", "reference"], name="dispute_once"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="dispute_amount"),
            models.UniqueConstraint(fields=["tenant", "id"], name="dispute_tenant_id"),
            SameTenant(field="payment", name="dispute_payment_tenant"),
        ]

    def __str__(self) -> str:
        return self.reference


class ReceiptCounter(ScopedModel):
    """The last number of a shop's receipts in a year, by the shop's calendar."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    year = models.PositiveSmallIntegerField()
    last = models.PositiveIntegerField(default=0)

    class Meta(ScopedModel.Meta):
        db_table = "receipt_counter"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "year"], name="receipt_counter_once")
        ]

    def __str__(self) -> str:
        return f"{self.year}: {self.last}"


class Receipt(ScopedModel):
    """A paper about money that came, or went back: numbered without gaps, never changed.

    A counter-receipt names the receipt that it `cancels`, in part or whole, and the refund or the
    dispute that made it. `seller` is what the shop calls itself on paper, as it was then.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    number = models.CharField(max_length=24)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="receipts")
    cancels = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="counters"
    )
    refund = models.OneToOneField(
        Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="receipt"
    )
    dispute = models.OneToOneField(
        Dispute, on_delete=models.PROTECT, null=True, blank=True, related_name="receipt"
    )
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    seller = models.TextField(max_length=700)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "receipt"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="receipt_number"),
            models.UniqueConstraint(
                fields=["payment"], condition=Q(cancels__isnull=True), name="receipt_once"
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="receipt_tenant_id"),
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="receipt_amount"),
            models.CheckConstraint(
                condition=Q(cancels__isnull=True, refund__isnull=True, dispute__isnull=True)
                | Q(cancels__isnull=False, refund__isnull=False, dispute__isnull=True)
                | Q(cancels__isnull=False, refund__isnull=True, dispute__isnull=False),
                name="receipt_cancels_for_a_cause",
            ),
            SameTenant(field="payment", name="receipt_payment_tenant"),
            SameTenant(field="cancels", name="receipt_cancels_tenant"),
            SameTenant(field="refund", name="receipt_refund_tenant"),
            SameTenant(field="dispute", name="receipt_dispute_tenant"),
        ]
        indexes = [models.Index(fields=["tenant", "created_at"], name="receipt_month")]

    def __str__(self) -> str:
        return self.number
