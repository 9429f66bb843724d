"""Wallets: the balances. Only `billing.ledger` writes the `_ubt` columns."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from billing.models.tenant import Tenant
from billing.scoping import ScopedModel


class Wallet(ScopedModel):
    """A balance in micro base tokens. A guest's key has one of its own; `owner` is then null.

    available = credits - debits - pending, never below zero. `debits_ubt` holds what was charged
    and every debit transfer; `pending_ubt` is the sum of the open holds. Notices go to
    `notify_email`, one of them when the balance first falls below `alert_below_ubt`. `rpm`, `tpm`
    and `concurrency` hold for all its keys together; null does not limit.
    """

    ACTIVE, FROZEN = "active", "frozen"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
    )
    name = models.CharField(max_length=60, blank=True)
    credits_ubt = models.BigIntegerField(default=0)
    debits_ubt = models.BigIntegerField(default=0)
    pending_ubt = models.BigIntegerField(default=0)
    debt_ubt = models.BigIntegerField(default=0)
    status = models.CharField(max_length=16, default=ACTIVE)
    notify_email = models.EmailField(max_length=254, blank=True, default="", db_default="")
    alert_below_ubt = models.BigIntegerField(null=True, blank=True)
    alerted_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True)
    rpm = models.PositiveIntegerField(null=True, blank=True)
    tpm = models.PositiveIntegerField(null=True, blank=True)
    concurrency = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "wallet"
        constraints = [
            models.CheckConstraint(
                condition=Q(credits_ubt__gte=0)
                & Q(debits_ubt__gte=0)
                & Q(pending_ubt__gte=0)
                & Q(debt_ubt__gte=0),
                name="wallet_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(credits_ubt__gte=F("debits_ubt") + F("pending_ubt")),
                name="wallet_never_overspent",
            ),
            models.CheckConstraint(
                condition=Q(credits_ubt__lt=2**62), name="wallet_sum_below_2_62"
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="wallet_tenant_id"),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=Q(expires_at__isnull=False), name="wallet_expiry"
            ),
            models.Index(
                fields=["id"], condition=Q(alert_below_ubt__isnull=False), name="wallet_alert"
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"#{self.pk}"

    @property
    def available_ubt(self) -> int:
        """What a new request may still hold."""
        return self.credits_ubt - self.debits_ubt - self.pending_ubt
