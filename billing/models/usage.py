"""Usage records, and what replaces them when a period is closed. Append-only, no text of chats."""

from django.db import models
from django.db.models import Q

from billing.models.tenant import Tenant
from billing.scoping import ScopedModel


class UsageRecord(ScopedModel):
    """The metered facts and the charge of one request; its id is the request id (UUIDv7).

    Partitioned by id on PostgreSQL. Plain ids, integers and words of at most 64 characters: no
    column could hold a sentence. Null plain ids mean "none".
    """

    id = models.UUIDField(primary_key=True)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    wallet_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    window_id = models.BigIntegerField(null=True)
    channel_id = models.BigIntegerField(null=True)
    line_id = models.BigIntegerField(null=True)
    model_asked = models.CharField(max_length=64)
    model_served = models.CharField(max_length=64)
    endpoint = models.CharField(max_length=32)
    retail_price_id = models.BigIntegerField(null=True)
    wholesale_price_id = models.BigIntegerField(null=True)
    cost_price_id = models.BigIntegerField(null=True)

    input_count = models.BigIntegerField(default=0)
    cached_input_count = models.BigIntegerField(default=0)
    cache_write_5m_count = models.BigIntegerField(default=0)
    cache_write_1h_count = models.BigIntegerField(default=0)
    output_count = models.BigIntegerField(default=0)
    reasoning_count = models.BigIntegerField(default=0)
    audio_in_count = models.BigIntegerField(default=0)
    audio_out_count = models.BigIntegerField(default=0)
    image_count = models.BigIntegerField(default=0)
    second_count = models.BigIntegerField(default=0)
    character_count = models.BigIntegerField(default=0)
    request_count = models.BigIntegerField(default=0)
    search_count = models.BigIntegerField(default=0)

    held_ubt = models.BigIntegerField(default=0)
    charged_ubt = models.BigIntegerField(default=0)
    absorbed_ubt = models.BigIntegerField(default=0)
    wholesale_wallet_id = models.BigIntegerField(null=True)
    wholesale_ubt = models.BigIntegerField(default=0)
    cost_ubt = models.BigIntegerField(default=0)

    resolution = models.CharField(max_length=16)
    usage_source = models.CharField(max_length=16)
    status = models.SmallIntegerField(default=0)
    error_type = models.CharField(max_length=32, blank=True)
    stream = models.BooleanField(default=False)
    attempts = models.SmallIntegerField(default=0)
    first_token_ms = models.IntegerField(null=True)
    total_ms = models.IntegerField(default=0)
    upstream_request_id = models.CharField(max_length=64, blank=True)
    address_hash = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta(ScopedModel.Meta):
        db_table = "usage_record"
        constraints = [
            models.CheckConstraint(
                condition=Q(held_ubt__gte=0)
                & Q(charged_ubt__gte=0)
                & Q(absorbed_ubt__gte=0)
                & Q(wholesale_ubt__gte=0),
                name="usage_amounts_not_negative",
            )
        ]
        indexes = [
            models.Index(fields=["wallet_id", "id"], name="usage_wallet"),
            models.Index(fields=["key_id", "id"], name="usage_key"),
            models.Index(
                fields=["wholesale_wallet_id", "id"],
                condition=Q(wholesale_wallet_id__isnull=False),
                name="usage_wholesale",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class UsageOpening(ScopedModel):
    """What a wallet's dropped usage amounted to, written before its partition goes."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    wallet_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    through = models.UUIDField()
    record_count = models.BigIntegerField()
    charged_ubt = models.BigIntegerField()
    wholesale_ubt = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "usage_opening"
        constraints = [
            models.UniqueConstraint(
                fields=["wallet_id", "key_id", "through"], name="usage_opening_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.wallet_id} through {self.through}"


class Seal(models.Model):
    """A closed period of usage: count, sum and hash, chained to the one before."""

    period = models.CharField(max_length=16, unique=True)
    record_count = models.BigIntegerField()
    charged_ubt = models.DecimalField(max_digits=38, decimal_places=0)
    sha256 = models.CharField(max_length=64)
    previous = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="next"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "seal"

    def __str__(self) -> str:
        return self.period
