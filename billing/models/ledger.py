"""Transfers and holds: why a balance changed, and what running requests have reserved."""

from django.db import models
from django.db.models import Q

from billing.guards import SameTenant
from billing.models.tenant import Tenant
from billing.models.wallet import Wallet
from billing.scoping import ScopedModel


class Transfer(ScopedModel):
    """An immutable change of a wallet's balance. Usage has none: a usage record is its own entry.

    `source` and `source_id` make it exactly-once; `input_hash` tells a repeat from a conflict.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="transfers")
    kind = models.CharField(max_length=24)
    direction = models.SmallIntegerField()
    amount_ubt = models.BigIntegerField()
    source = models.CharField(max_length=24)
    source_id = models.CharField(max_length=64)
    input_hash = models.CharField(max_length=64)
    reverses = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversed_by"
    )
    actor = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "transfer"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "source", "source_id", "kind"], name="transfer_once"
            ),
            models.CheckConstraint(condition=Q(amount_ubt__gt=0), name="transfer_positive"),
            models.CheckConstraint(condition=Q(direction__in=(1, -1)), name="transfer_direction"),
            models.UniqueConstraint(fields=["tenant", "id"], name="transfer_tenant_id"),
            SameTenant(field="wallet", name="transfer_wallet_tenant"),
            SameTenant(field="reverses", name="transfer_reverses_tenant"),
        ]
        indexes = [models.Index(fields=["wallet", "id"], name="transfer_wallet")]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Hold(ScopedModel):
    """The amount reserved for a running request; deleted when it is resolved.

    Ids of tenant, wallet, key and channel are plain: the ledger checks them under the wallet's lock
    (decision 0002). `delivered_ubt` is the checkpoint that a crash is settled at.
    """

    id = models.UUIDField(primary_key=True)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    wallet_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    window_id = models.BigIntegerField(null=True)
    amount_ubt = models.BigIntegerField()
    wholesale_wallet_id = models.BigIntegerField(null=True)
    wholesale_ubt = models.BigIntegerField(default=0)
    retail_price_id = models.BigIntegerField()
    wholesale_price_id = models.BigIntegerField(null=True)
    cost_price_id = models.BigIntegerField(null=True)
    model_asked = models.CharField(max_length=64)
    model_served = models.CharField(max_length=64)
    endpoint = models.CharField(max_length=32)
    channel_id = models.BigIntegerField(null=True)
    line_id = models.BigIntegerField(null=True)
    stream = models.BooleanField()
    counted_input = models.BigIntegerField(default=0)
    counted_output = models.BigIntegerField(default=0)
    delivered_ubt = models.BigIntegerField(default=0)
    heartbeat_at = models.DateTimeField()
    owner = models.CharField(max_length=32)
    created_at = models.DateTimeField()

    class Meta(ScopedModel.Meta):
        db_table = "hold"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_ubt__gte=0)
                & Q(wholesale_ubt__gte=0)
                & Q(delivered_ubt__gte=0)
                & Q(counted_input__gte=0)
                & Q(counted_output__gte=0),
                name="hold_amounts_not_negative",
            )
        ]

    def __str__(self) -> str:
        return str(self.id)
