"""Shops and the people behind them: tenants, their hostnames, their members. Read by everyone."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from billing.errors import FieldInvalid
from billing.hostnames import hostname
from billing.scoping import ScopedModel


class Tenant(models.Model):
    """A shop. The platform itself is the one row with `is_platform`.

    `brand_light` and `brand_dark` are its accents as `#rrggbb`; none is the accent of Tollgate.
    `seller` is what stands on its receipts: name, address, tax number. `mails_keys` puts new keys
    into mails themselves.
    """

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    is_platform = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    time_zone = models.CharField(max_length=64, default="Asia/Shanghai")
    language = models.CharField(max_length=12, default="zh-hans")
    currency = models.CharField(max_length=3, default="CNY")
    brand_light = models.CharField(max_length=7, blank=True, default="", db_default="")
    brand_dark = models.CharField(max_length=7, blank=True, default="", db_default="")
    contact_email = models.EmailField(max_length=254, blank=True, default="", db_default="")
    contact_url = models.URLField(max_length=200, blank=True, default="", db_default="")
    seller = models.TextField(max_length=500, blank=True, default="", db_default="")
    mails_keys = models.BooleanField(default=False, db_default=False)
    key_prefix = models.CharField(max_length=8, default="ak-")
    shows_money = models.BooleanField(default=False)
    finishes_abandoned = models.BooleanField(default=False)
    wholesale_wallet_id = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "tenant"
        constraints = [
            models.UniqueConstraint(
                fields=["is_platform"],
                condition=models.Q(is_platform=True),
                name="tenant_one_platform",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Domain(ScopedModel):
    """A hostname of a tenant: a portal host and a relay line. Looked up before any scope exists.

    Those a tenant was made with share its `created_at`.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="domains")
    hostname = models.CharField(max_length=253, unique=True)
    label = models.CharField(max_length=60, blank=True)
    is_primary = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ScopedModel.Meta):
        db_table = "domain"

    def __str__(self) -> str:
        return self.hostname

    def clean(self) -> None:
        """Bring the hostname into its stored form; raises ValidationError if it has none."""
        try:
            self.hostname = hostname(self.hostname)
        except FieldInvalid as error:
            raise ValidationError({"hostname": str(error)}) from None


class Member(ScopedModel):
    """A user who works for a tenant, in one role."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=16)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "member"
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="member_once")]

    def __str__(self) -> str:
        return f"{self.user} · {self.role}"
