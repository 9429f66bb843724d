"""What a shop sells and what was bought: products, orders, their lines, what was delivered.

Money is in minor units of the order's currency. An order's line keeps what was agreed when it was
placed, so that a later change of the product changes no order.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.guards import SameTenant
from billing.ids import uuid7
from billing.models.key import ApiKey
from billing.models.ledger import Transfer
from billing.models.tenant import Tenant
from billing.models.wallet import Wallet
from billing.scoping import ScopedModel


class Terms(ScopedModel):
    """What a buyer gets for one unit: base tokens, for how long, and within which limits.

    No `valid_days` is no end. `also_tops_up` lets a key product be bought for a key that is there.
    Credit goes to the wallet of someone who is signed in.
    """

    KEY, TOP_UP, TRIAL, CREDIT = "key", "top_up", "trial", "credit"

    kind = models.CharField(max_length=16, default=KEY)
    name = models.CharField(max_length=60, blank=True)
    grant_ubt = models.BigIntegerField()
    valid_days = models.PositiveIntegerField(null=True, blank=True)
    allowed_models = models.JSONField(default=list, blank=True)
    rpm = models.PositiveIntegerField(null=True, blank=True)
    tpm = models.PositiveIntegerField(null=True, blank=True)
    concurrency = models.PositiveIntegerField(null=True, blank=True)

    class Meta(ScopedModel.Meta):
        abstract = True


class Product(Terms):
    """An offer of a shop, in the tenant's currency. A trial costs nothing.

    It is sold between `starts_at` and `ends_at`. `max_per_person` and `max_per_day` are units that
    one mailbox may buy in all, and within 24 hours.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    slug = models.SlugField(max_length=40)
    note = models.CharField(max_length=200, blank=True)
    price_minor = models.BigIntegerField()
    max_quantity = models.PositiveIntegerField(default=10)
    max_per_person = models.PositiveIntegerField(null=True, blank=True)
    max_per_day = models.PositiveIntegerField(null=True, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    also_tops_up = models.BooleanField(default=True)
    is_featured = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    position = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(Terms.Meta):
        db_table = "product"
        ordering = ("position", "price_minor", "id")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="product_slug"),
            models.UniqueConstraint(fields=["tenant", "id"], name="product_tenant_id"),
            models.CheckConstraint(condition=Q(grant_ubt__gt=0), name="product_grants"),
            models.CheckConstraint(
                condition=Q(kind=Terms.TRIAL, price_minor=0)
                | (~Q(kind=Terms.TRIAL) & Q(price_minor__gt=0)),
                name="product_costs_unless_trial",
            ),
            models.CheckConstraint(condition=Q(max_quantity__gt=0), name="product_quantity"),
        ]

    def __str__(self) -> str:
        return self.name or self.slug


class PriceStep(ScopedModel):
    """What one unit of a product costs from a quantity on; below the first step, its price."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="steps")
    min_quantity = models.PositiveIntegerField()
    unit_minor = models.BigIntegerField()

    class Meta(ScopedModel.Meta):
        db_table = "price_step"
        ordering = ("min_quantity",)
        constraints = [
            models.UniqueConstraint(fields=["product", "min_quantity"], name="price_step_once"),
            models.CheckConstraint(
                condition=Q(min_quantity__gt=1) & Q(unit_minor__gt=0), name="price_step_amounts"
            ),
            SameTenant(field="product", name="price_step_product_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.min_quantity}+"


class Order(ScopedModel):
    """What one buyer bought in one go. `checkout_id` makes a form that is sent twice one order.

    `link_version` is part of what the secret link is derived from. `mailbox_hash` is that of
    the normalised e-mail address and `address_hash` that of the buyer's network, for limits;
    `trial_mailbox` is the former again, but of trials alone: one for each mailbox. `total_minor` is
    the sum of the lines less `discount_minor`. `user` is who was signed in.
    """

    PENDING, PAID, EXPIRED, CANCELLED = "pending", "paid", "expired", "cancelled"
    PARTLY_REFUNDED, REFUNDED = "partly_refunded", "refunded"
    NONE, DELIVERED, REVIEW = "none", "delivered", "review"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    number = models.CharField(max_length=24)
    checkout_id = models.UUIDField()
    link_version = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=16, default=PENDING)
    delivery_status = models.CharField(max_length=16, default=NONE)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    email = models.EmailField(max_length=254)
    mailbox_hash = models.CharField(max_length=64, blank=True)
    trial_mailbox = models.CharField(max_length=64, blank=True)
    address_hash = models.BigIntegerField(default=0)
    language = models.CharField(max_length=12)
    currency = models.CharField(max_length=3)
    total_minor = models.BigIntegerField()
    discount_minor = models.BigIntegerField(default=0, db_default=0)
    agreement_version = models.CharField(max_length=40)
    expires_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "shop_order"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="order_number"),
            models.UniqueConstraint(fields=["tenant", "checkout_id"], name="order_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="order_tenant_id"),
            models.UniqueConstraint(
                fields=["tenant", "trial_mailbox"],
                condition=~Q(trial_mailbox=""),
                name="order_one_trial",
            ),
            models.CheckConstraint(condition=Q(total_minor__gte=0), name="order_total"),
            models.CheckConstraint(condition=Q(discount_minor__gte=0), name="order_discount"),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=Q(status="pending"), name="order_pending"
            ),
            models.Index(fields=["tenant", "email"], name="order_email"),
            models.Index(fields=["tenant", "mailbox_hash"], name="order_mailbox"),
            models.Index(
                fields=["tenant", "address_hash", "created_at"],
                condition=~Q(trial_mailbox=""),
                name="order_trials",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class OrderLine(Terms):
    """One product of an order as it was agreed.

    A top-up names the key that it is for, credit the wallet.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField()
    unit_minor = models.BigIntegerField()
    key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta(Terms.Meta):
        db_table = "order_line"
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gt=0) & Q(unit_minor__gte=0) & Q(grant_ubt__gt=0),
                name="order_line_amounts",
            ),
            models.CheckConstraint(
                condition=Q(kind=Terms.TOP_UP, key__isnull=False, quantity=1)
                | (~Q(kind=Terms.TOP_UP) & Q(key__isnull=True)),
                name="order_line_top_up_has_key",
            ),
            models.CheckConstraint(
                condition=Q(kind=Terms.CREDIT, wallet__isnull=False, quantity=1)
                | (~Q(kind=Terms.CREDIT) & Q(wallet__isnull=True)),
                name="order_line_credit_has_wallet",
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="order_line_tenant_id"),
            SameTenant(field="order", name="order_line_order_tenant"),
            SameTenant(field="product", name="order_line_product_tenant"),
            SameTenant(field="key", name="order_line_key_tenant"),
            SameTenant(field="wallet", name="order_line_wallet_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.name or self.grant_ubt}"


class Delivery(ScopedModel):
    """One unit of a line, delivered: the wallet that was credited, and the key if one was made.

    A new key lies here sealed until its buyer has saved it or `sealed_until` has passed. `key` is
    the key that works now; replacing it puts the next one here. Credit needs no delivery.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="deliveries")
    index = models.PositiveIntegerField()
    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="+")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="+")
    transfer = models.OneToOneField(Transfer, on_delete=models.PROTECT, related_name="+")
    sealed_key = models.BinaryField(null=True, blank=True)
    sealed_until = models.DateTimeField(null=True, blank=True)
    reveal_count = models.PositiveIntegerField(default=0)
    revealed_at = models.DateTimeField(null=True, blank=True)
    saved_at = models.DateTimeField(null=True, blank=True)
    replaced_at = models.DateTimeField(null=True, blank=True)
    replace_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "delivery"
        constraints = [
            models.UniqueConstraint(fields=["line", "index"], name="delivery_once"),
            models.CheckConstraint(
                condition=Q(sealed_key__isnull=True) | Q(sealed_until__isnull=False),
                name="delivery_seal_ends",
            ),
            SameTenant(field="line", name="delivery_line_tenant"),
            SameTenant(field="wallet", name="delivery_wallet_tenant"),
            SameTenant(field="key", name="delivery_key_tenant"),
            SameTenant(field="transfer", name="delivery_transfer_tenant"),
        ]
        indexes = [
            models.Index(
                fields=["sealed_until"],
                condition=Q(sealed_key__isnull=False),
                name="delivery_sealed",
            )
        ]

    def __str__(self) -> str:
        return f"{self.line_id}:{self.index}"
