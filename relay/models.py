"""Channels: our credential, address and models at one provider. Written by `channels`, admin."""

from django.db import models
from django.db.models import Q

from billing.guards import SameTenant
from billing.models import PriceBook, Tenant
from billing.scoping import ScopedModel


class Channel(ScopedModel):
    """A way to an upstream. A channel of the platform is shared by all tenants.

    Higher `priority` is tried first; among equals `weight` decides. No rows in `models` means
    every priced model. `concurrency` null does not limit.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=60)
    provider = models.CharField(max_length=16)
    base_url = models.CharField(max_length=300, blank=True)
    allows_private_network = models.BooleanField(default=False)
    priority = models.IntegerField(default=0)
    weight = models.PositiveIntegerField(default=1)
    concurrency = models.PositiveIntegerField(null=True, blank=True)
    allowed_endpoints = models.JSONField(default=list, blank=True)
    extra_headers = models.JSONField(default=dict, blank=True)
    proxy_url = models.CharField(max_length=300, blank=True)
    connect_timeout_ms = models.PositiveIntegerField(default=5_000)
    first_byte_timeout_ms = models.PositiveIntegerField(default=300_000)
    idle_timeout_ms = models.PositiveIntegerField(default=120_000)
    total_timeout_ms = models.PositiveIntegerField(default=1_800_000)
    test_model = models.CharField(max_length=64, blank=True)
    cost_book = models.ForeignKey(
        PriceBook, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "channel"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="channel_name_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="channel_tenant_id"),
            models.CheckConstraint(condition=Q(weight__gte=1), name="channel_weight_positive"),
            SameTenant(field="cost_book", name="channel_cost_book_tenant"),
        ]

    def __str__(self) -> str:
        return self.name


class ChannelCredential(ScopedModel):
    """A secret of a channel, sealed at rest; only its hint is ever shown."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="credentials")
    sealed = models.BinaryField(max_length=4096)
    hint = models.CharField(max_length=16)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "channel_credential"
        constraints = [SameTenant(field="channel", name="channel_credential_channel_tenant")]

    def __str__(self) -> str:
        return self.hint


class ChannelModel(ScopedModel):
    """A model that a channel offers: asked by clients, served by upstream under another name."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="models")
    asked = models.CharField(max_length=64)
    served = models.CharField(max_length=64)

    class Meta(ScopedModel.Meta):
        db_table = "channel_model"
        constraints = [
            models.UniqueConstraint(fields=["channel", "asked"], name="channel_model_once"),
            SameTenant(field="channel", name="channel_model_channel_tenant"),
        ]

    def __str__(self) -> str:
        return self.asked if self.asked == self.served else f"{self.asked} = {self.served}"
