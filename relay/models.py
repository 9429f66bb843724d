"""What the relay stores: channels, generic routes, and what upstreams keep for a wallet.

Channels and routes are written by `channels`, `generic_routes` and the admin; the other rows by
`objects` and `jobs` alone.
"""

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
    write_timeout_ms = models.PositiveIntegerField(default=30_000, db_default=30_000)
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


class GenericRoute(ScopedModel):
    """Requests below a path prefix, passed on to one channel. The platform's serve every shop.

    `price_model` names the price of a call (empty: free; reading is always free). `task_field` is
    where an answer names the job it has begun; `poll_path` (below the prefix, with `{task}`) is
    where its state can be asked for, in `state_field`. A job that fails is given back.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=60)
    prefix = models.CharField(max_length=100)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="routes")
    upstream_prefix = models.CharField(max_length=100, blank=True)
    methods = models.JSONField(default=list)
    price_model = models.CharField(max_length=64, blank=True)
    task_field = models.CharField(max_length=64, blank=True)
    poll_path = models.CharField(max_length=200, blank=True)
    state_field = models.CharField(max_length=64, blank=True)
    done_values = models.JSONField(default=list, blank=True)
    failed_values = models.JSONField(default=list, blank=True)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "generic_route"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "prefix"], name="generic_route_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="generic_route_tenant_id"),
            SameTenant(field="channel", name="generic_route_channel_tenant"),
        ]

    def __str__(self) -> str:
        return self.name


class UpstreamObject(ScopedModel):
    """Something that an upstream keeps for a wallet: a response, a video, the job of a route.

    Its id is that of the request that made it, so a request makes one at most. Ids are plain, as
    in usage records (decision 0002); no column could hold a sentence. Two upstreams may give the
    same `upstream_id`: whose a look-up means is decided by the wallet, then by age. `next_poll_at`
    null: nobody asks for its state any more. `given_back_at` is when a failed job's charge was.
    """

    RUNNING, DONE, FAILED, LOST = "running", "done", "failed", "lost"

    id = models.UUIDField(primary_key=True)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    wallet_id = models.BigIntegerField()
    key_id = models.BigIntegerField()
    channel_id = models.BigIntegerField()
    credential_id = models.BigIntegerField()
    route_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=16)
    upstream_id = models.CharField(max_length=128)
    model = models.CharField(max_length=64, blank=True)
    second_count = models.IntegerField(default=0)
    size = models.CharField(max_length=16, blank=True)
    state = models.CharField(max_length=16, default=DONE)
    poll_count = models.IntegerField(default=0)
    next_poll_at = models.DateTimeField(null=True)
    given_back_at = models.DateTimeField(null=True)
    given_back_ubt = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta(ScopedModel.Meta):
        db_table = "upstream_object"
        constraints = [
            models.CheckConstraint(
                condition=Q(given_back_ubt__gte=0) & Q(second_count__gte=0),
                name="upstream_object_amounts_not_negative",
            )
        ]
        indexes = [
            models.Index(fields=["wallet_id", "kind", "upstream_id"], name="upstream_object_owner"),
            models.Index(
                fields=["next_poll_at"],
                condition=Q(next_poll_at__isnull=False),
                name="upstream_object_poll",
            ),
            models.Index(fields=["expires_at"], name="upstream_object_expiry"),
        ]

    def __str__(self) -> str:
        return self.upstream_id
