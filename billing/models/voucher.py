"""What makes an order cheaper or pays for it: coupons, and codes that were sold elsewhere."""

from django.db import models
from django.db.models import Q

from billing.guards import SameTenant
from billing.ids import uuid7
from billing.models.shop import Order, Product, Terms
from billing.models.tenant import Tenant
from billing.scoping import ScopedModel


class Coupon(ScopedModel):
    """A word that takes a percentage or a sum off an order, for a while and for so many.

    `used_count` is changed by conditional updates alone. Without rows of `CouponProduct` it is good
    for every product; `code` is in capitals.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    code = models.CharField(max_length=32)
    note = models.CharField(max_length=120, blank=True)
    percent = models.PositiveSmallIntegerField(null=True, blank=True)
    amount_minor = models.BigIntegerField(null=True, blank=True)
    minimum_minor = models.BigIntegerField(default=0)
    max_uses = models.PositiveIntegerField(null=True, blank=True)
    max_per_person = models.PositiveIntegerField(null=True, blank=True, default=1)
    used_count = models.PositiveIntegerField(default=0)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "coupon"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code"], name="coupon_code"),
            models.UniqueConstraint(fields=["tenant", "id"], name="coupon_tenant_id"),
            models.CheckConstraint(
                condition=Q(percent__gte=1, percent__lte=100, amount_minor__isnull=True)
                | Q(percent__isnull=True, amount_minor__gt=0),
                name="coupon_takes_one_thing",
            ),
            models.CheckConstraint(condition=Q(minimum_minor__gte=0), name="coupon_minimum"),
        ]

    def __str__(self) -> str:
        return self.code


class CouponProduct(ScopedModel):
    """A product that a coupon is good for."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    coupon = models.ForeignKey(Coupon, on_delete=models.CASCADE, related_name="products")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")

    class Meta(ScopedModel.Meta):
        db_table = "coupon_product"
        constraints = [
            models.UniqueConstraint(fields=["coupon", "product"], name="coupon_product_once"),
            SameTenant(field="coupon", name="coupon_product_coupon_tenant"),
            SameTenant(field="product", name="coupon_product_product_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.coupon_id}: {self.product_id}"


class CouponUse(ScopedModel):
    """An order that a coupon has made cheaper; given back when the order is not paid in time."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT, related_name="uses")
    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="coupon_use")
    mailbox_hash = models.CharField(max_length=64)
    discount_minor = models.BigIntegerField()
    given_back_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "coupon_use"
        constraints = [
            models.CheckConstraint(condition=Q(discount_minor__gt=0), name="coupon_use_discount"),
            SameTenant(field="coupon", name="coupon_use_coupon_tenant"),
            SameTenant(field="order", name="coupon_use_order_tenant"),
        ]
        indexes = [
            models.Index(
                fields=["coupon", "mailbox_hash"],
                condition=Q(given_back_at__isnull=True),
                name="coupon_use_person",
            )
        ]

    def __str__(self) -> str:
        return f"{self.coupon_id}: {self.order_id}"


class CodeBatch(Terms):
    """Redemption codes that were made together. What a code gives is what the product gave then.

    The codes lie here sealed until they are exported, once; afterwards nobody can read them.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    note = models.CharField(max_length=120, blank=True)
    count = models.PositiveIntegerField()
    sealed_codes = models.BinaryField(null=True, blank=True)
    exported_at = models.DateTimeField(null=True, blank=True)
    exported_by = models.CharField(max_length=64, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    actor = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(Terms.Meta):
        db_table = "code_batch"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="code_batch_tenant_id"),
            models.CheckConstraint(
                condition=Q(count__gt=0) & Q(grant_ubt__gt=0), name="code_batch_amounts"
            ),
            models.CheckConstraint(
                condition=Q(sealed_codes__isnull=False) | Q(exported_at__isnull=False),
                name="code_batch_sealed_or_exported",
            ),
            SameTenant(field="product", name="code_batch_product_tenant"),
        ]

    def __str__(self) -> str:
        return self.note or f"#{self.pk}"


class RedemptionCode(ScopedModel):
    """One code, known by its digest and its last letters. `used_at` is set once, by `order`."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(CodeBatch, on_delete=models.PROTECT, related_name="codes")
    digest = models.CharField(max_length=64)
    hint = models.CharField(max_length=4)
    order = models.OneToOneField(
        Order, on_delete=models.PROTECT, null=True, blank=True, related_name="code"
    )
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta(ScopedModel.Meta):
        db_table = "redemption_code"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "digest"], name="redemption_code_once"),
            models.CheckConstraint(
                condition=Q(used_at__isnull=True, order__isnull=True)
                | Q(used_at__isnull=False, order__isnull=False),
                name="redemption_code_used_by_order",
            ),
            SameTenant(field="batch", name="redemption_code_batch_tenant"),
            SameTenant(field="order", name="redemption_code_order_tenant"),
        ]

    def __str__(self) -> str:
        return f"...{self.hint}"
