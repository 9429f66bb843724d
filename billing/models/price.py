"""Prices: books, dated immutable versions, long-context tiers. Published by `catalogue`."""

from django.db import models
from django.db.models import Q

from billing.guards import SameTenant
from billing.models.tenant import Tenant
from billing.pricing import BUCKETS
from billing.scoping import ScopedModel


def no_negative_price() -> Q:
    """Return the condition that no bucket has a price below zero."""
    return Q(**{f"{bucket}_ubt__gte": 0 for bucket in BUCKETS})


class BucketPrices(ScopedModel):
    """One integer column per bucket, in ubt per unit; the same set as `pricing.BUCKETS`."""

    input_ubt = models.BigIntegerField(default=0)
    cached_input_ubt = models.BigIntegerField(default=0)
    cache_write_5m_ubt = models.BigIntegerField(default=0)
    cache_write_1h_ubt = models.BigIntegerField(default=0)
    output_ubt = models.BigIntegerField(default=0)
    reasoning_ubt = models.BigIntegerField(default=0)
    audio_in_ubt = models.BigIntegerField(default=0)
    audio_out_ubt = models.BigIntegerField(default=0)
    image_ubt = models.BigIntegerField(default=0)
    second_ubt = models.BigIntegerField(default=0)
    character_ubt = models.BigIntegerField(default=0)
    request_ubt = models.BigIntegerField(default=0)
    search_ubt = models.BigIntegerField(default=0)

    class Meta(ScopedModel.Meta):
        abstract = True


class PriceBook(ScopedModel):
    """The prices a tenant sells, buys or is billed at. The platform's retail book is the list."""

    RETAIL, WHOLESALE, COST = "retail", "wholesale", "cost"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=16)
    group = models.CharField(max_length=40, blank=True)
    customer = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "price_book"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "purpose", "group"],
                condition=Q(customer__isnull=True),
                name="price_book_once",
            ),
            models.UniqueConstraint(
                fields=["tenant", "purpose", "group", "customer"],
                condition=Q(customer__isnull=False),
                name="price_book_once_per_customer",
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="price_book_tenant_id"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant} {self.purpose} {self.group}".strip()


class PriceVersion(BucketPrices):
    """The price of a model from `valid_from` on, in ubt per unit of each bucket. Immutable.

    The newest version with `valid_from <= now` counts. `usual_output` is what a request without a
    limit of its own is assumed to need; `*_input_tokens` are bounds for input that is not text.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    book = models.ForeignKey(PriceBook, on_delete=models.PROTECT, related_name="versions")
    model = models.CharField(max_length=64)
    valid_from = models.DateTimeField()
    context_limit = models.PositiveIntegerField(default=0)
    output_limit = models.PositiveIntegerField(default=0)
    usual_output = models.PositiveIntegerField(default=4096)
    image_input_tokens = models.PositiveIntegerField(default=0)
    audio_second_tokens = models.PositiveIntegerField(default=0)
    file_input_tokens = models.PositiveIntegerField(default=0)
    is_reasoning = models.BooleanField(default=False)
    is_withdrawn = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "price_version"
        constraints = [
            models.UniqueConstraint(
                fields=["book", "model", "valid_from"], name="price_version_once"
            ),
            models.CheckConstraint(
                condition=no_negative_price(), name="price_version_not_negative"
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="price_version_tenant_id"),
            SameTenant(field="book", name="price_version_book_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from:%Y-%m-%d}"


class PriceTier(BucketPrices):
    """Other prices of the same version once a request's whole input reaches `min_input` tokens."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(PriceVersion, on_delete=models.PROTECT, related_name="tiers")
    min_input = models.PositiveIntegerField()

    class Meta(ScopedModel.Meta):
        db_table = "price_tier"
        constraints = [
            models.UniqueConstraint(fields=["version", "min_input"], name="price_tier_once"),
            models.CheckConstraint(condition=no_negative_price(), name="price_tier_not_negative"),
            SameTenant(field="version", name="price_tier_version_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.version} at {self.min_input}"
