"""API keys and their budget windows. Secrets are never stored: only a MAC and a hint."""

from typing import NamedTuple

from django.db import models
from django.db.models import F, Q

from billing.guards import SameTenant
from billing.models.tenant import Tenant
from billing.models.wallet import Wallet
from billing.scoping import ScopedModel


class RateLimits(NamedTuple):
    """Requests and tokens a minute, and requests at once; None does not limit."""

    rpm: int | None
    tpm: int | None
    concurrency: int | None


class ApiKey(ScopedModel):
    """What a client authenticates with. `kid` is public, `mac` proves the secret.

    Null limits do not limit. `limit_ubt` is a lifetime cap of this key on a shared wallet;
    `budget_ubt` one per `budget_period` ("day", "week", "month" in the tenant's zone).
    Empty allow-lists allow everything. A key that was replaced may live on for a while.
    """

    ACTIVE, DISABLED = "active", "disabled"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="api_keys")
    kid = models.CharField(max_length=8, unique=True)
    mac = models.BinaryField(max_length=32)
    pepper_version = models.SmallIntegerField()
    prefix = models.CharField(max_length=8, default="ak-")
    hint = models.CharField(max_length=4)
    name = models.CharField(max_length=60, blank=True)
    status = models.CharField(max_length=16, default=ACTIVE)
    expires_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaced_at = models.DateTimeField(null=True, blank=True)
    limit_ubt = models.BigIntegerField(null=True, blank=True)
    spent_ubt = models.BigIntegerField(default=0)
    pending_ubt = models.BigIntegerField(default=0)
    budget_period = models.CharField(max_length=8, blank=True)
    budget_ubt = models.BigIntegerField(null=True, blank=True)
    allowed_models = models.JSONField(default=list, blank=True)
    allowed_endpoints = models.JSONField(default=list, blank=True)
    allowed_addresses = models.JSONField(default=list, blank=True)
    rpm = models.PositiveIntegerField(null=True, blank=True)
    tpm = models.PositiveIntegerField(null=True, blank=True)
    concurrency = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "api_key"
        constraints = [
            models.CheckConstraint(
                condition=Q(spent_ubt__gte=0) & Q(pending_ubt__gte=0),
                name="api_key_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(limit_ubt__isnull=True)
                | Q(limit_ubt__gte=F("spent_ubt") + F("pending_ubt")),
                name="api_key_cap_never_overspent",
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="api_key_tenant_id"),
            SameTenant(field="wallet", name="api_key_wallet_tenant"),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=Q(expires_at__isnull=False), name="api_key_expiry"
            )
        ]

    def __str__(self) -> str:
        return self.name or self.masked

    @property
    def rate_limits(self) -> RateLimits:
        """What it may do: its own limits or those of its wallet, whichever are tighter."""
        return RateLimits(
            rpm=_tighter(self.rpm, self.wallet.rpm),
            tpm=_tighter(self.tpm, self.wallet.tpm),
            concurrency=_tighter(self.concurrency, self.wallet.concurrency),
        )

    @property
    def masked(self) -> str:
        """The key as it may be shown: prefix, first characters of the public id, last four."""
        return f"{self.prefix}{self.kid[:4]}***{self.hint}"


def _tighter(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


class BudgetWindow(ScopedModel):
    """One day, week or month of a key with a budget. Made by the first hold in it."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="budget_windows")
    period = models.CharField(max_length=8)
    starts_at = models.DateTimeField()
    limit_ubt = models.BigIntegerField()
    spent_ubt = models.BigIntegerField(default=0)
    pending_ubt = models.BigIntegerField(default=0)

    class Meta(ScopedModel.Meta):
        db_table = "budget_window"
        constraints = [
            models.UniqueConstraint(
                fields=["key", "period", "starts_at"], name="budget_window_once"
            ),
            models.CheckConstraint(
                condition=Q(spent_ubt__gte=0)
                & Q(pending_ubt__gte=0)
                & Q(limit_ubt__gte=F("spent_ubt") + F("pending_ubt")),
                name="budget_window_never_overspent",
            ),
            SameTenant(field="key", name="budget_window_key_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} {self.period} {self.starts_at:%Y-%m-%d}"
