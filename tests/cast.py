"""The cast of the portal's tests: two shops that must not know of each other, and who visits them.

`north` is the shop that most tests look at; `south` is the other one. Imported by conftests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.cache import cache
from django.db.models import Model
from django.test import Client
from django.test.client import ClientHandler
from django.utils import timezone

from billing import account_keys, accounts, catalogue, codes, keys, sign_in, tenants
from billing.ids import uuid7
from billing.models import (
    Announcement,
    ApiKey,
    CodeBatch,
    Coupon,
    Delivery,
    Dispute,
    Domain,
    Hold,
    LegalText,
    Mail,
    Member,
    Order,
    OrderLine,
    Payment,
    PaymentInstance,
    PriceBook,
    PriceVersion,
    Product,
    Receipt,
    ReconcileFinding,
    RedemptionCode,
    Refund,
    Tenant,
    Transfer,
    UsageRecord,
    User,
    Wallet,
)
from billing.scoping import tenant_scope
from relay.channels import create_channel
from relay.models import Channel, ChannelCredential, ChannelModel, GenericRoute, UpstreamObject
from tests.billing.orders import making

CREDIT_UBT = 5_000_000


@dataclass(frozen=True)
class Shop:
    """A shop with an owner, a key with credit and a channel of its own."""

    tenant: Tenant
    host: str
    owner: User
    key: ApiKey
    plaintext: str
    channel: Channel
    credential: str


def open_shop(slug: str) -> Shop:
    """Open a shop with everything that a visitor could ask for."""
    cache.clear()  # what was remembered of a shop with the same id in another database
    host = f"{slug}.example"
    tenant = tenants.create_tenant(slug=slug, name=f"{slug.title()} shop", hosts=[host])
    owner = User.objects.create_user(f"owner@{slug}.example")
    credential = f"secret-of-{slug}-0123456789"
    with tenant_scope(tenant.pk):
        Member.objects.create(tenant=tenant, user=owner, role="owner")
        key, plaintext = keys.issue(
            tenant_id=tenant.pk, credit_ubt=CREDIT_UBT, name=f"{slug} key", actor="test"
        )
        channel = create_channel(
            tenant=tenant,
            name=f"{slug} channel",
            provider="openai",
            base_url=f"https://upstream.{slug}.example/v1",
            credential=credential,
            models={"gpt-4o": f"served-by-{slug}"},
        )
    return Shop(tenant, host, owner, key, plaintext, channel, credential)


SHOWN: tuple[type[Model], ...] = (
    Domain,
    Member,
    ApiKey,
    Wallet,
    Transfer,
    Hold,
    UsageRecord,
    Channel,
    ChannelModel,
    ChannelCredential,
    GenericRoute,
    UpstreamObject,
    PriceBook,
    PriceVersion,
    ReconcileFinding,
)


def stock(shop: Shop) -> dict[type[Model], Any]:
    """Give a shop one row of everything that the admin shows; return the rows by model."""
    with tenant_scope(shop.tenant.pk):
        catalogue.load_retail(shop.tenant.pk, {f"model-of-{shop.tenant.slug}": {"input": 2}})
        for model in (UsageRecord, Hold):
            model.objects.create(**request_row(shop, model))
        _keep(shop)
        ReconcileFinding.objects.create(
            tenant=shop.tenant,
            invariant="I1",
            subject=f"wallet {shop.key.wallet_id}",
            observed=f"seen at {shop.tenant.slug}",
            expected="0",
        )
        rows = {model: model._default_manager.first() for model in SHOWN}
    return {**rows, Tenant: shop.tenant, User: shop.owner}


def _keep(shop: Shop) -> None:
    """Give a shop a generic route, and a job that its upstream runs."""
    slug = shop.tenant.slug
    GenericRoute.objects.create(
        tenant=shop.tenant,
        name=f"route of {slug}",
        prefix=f"/{slug}",
        channel=shop.channel,
        methods=["GET", "POST"],
    )
    UpstreamObject.objects.create(
        id=uuid7(),
        tenant=shop.tenant,
        wallet_id=shop.key.wallet_id,
        key_id=shop.key.pk,
        channel_id=shop.channel.pk,
        credential_id=shop.channel.credentials.get().pk,
        kind="video",
        upstream_id=f"video-of-{slug}",
        model=f"asked-at-{slug}",
        state=UpstreamObject.RUNNING,
        next_poll_at=timezone.now(),
        created_at=timezone.now(),
        expires_at=timezone.now(),
    )


def sell(shop: Shop) -> dict[type[Model], Any]:
    """Sell a pack of a shop that offers a trial, too; return a row of each table of the sale."""
    with tenant_scope(shop.tenant.pk):
        making.new_trial(shop.tenant, slug=f"trial-of-{shop.tenant.slug}")
        product = making.new_product(shop.tenant, slug=f"pack-of-{shop.tenant.slug}")
        order = making.bought(product, email=f"buyer@{shop.tenant.slug}.example")
        return {
            Product: product,
            Order: order,
            OrderLine: order.lines.get(),
            Payment: order.payments.get(),
            PaymentInstance: PaymentInstance.objects.get(),
            Receipt: Receipt.objects.get(payment__order=order),
            Delivery: making.deliveries_of(order)[0],
            Mail: Mail.objects.get(subject_id=order.pk, kind="order"),
        }


def say(shop: Shop, payment: Payment) -> dict[type[Model], Any]:
    """Give a shop texts of its own, and let it give something of a payment back."""
    tenant, slug = shop.tenant, shop.tenant.slug
    with tenant_scope(tenant.pk):
        line = Announcement.objects.create(tenant=tenant, text=f"said at {slug}", is_active=False)
        text = LegalText.objects.create(
            tenant=tenant,
            purpose="agreement",
            language="en",
            version=f"{slug} 1",
            body=f"agreed at {slug}",
            published_at=timezone.now(),
        )
        refund = Refund.objects.create(
            tenant=tenant, payment=payment, amount_minor=100, reason=f"refund at {slug}"
        )
        dispute = Dispute.objects.create(
            tenant=tenant, payment=payment, reference=f"case at {slug}", amount_minor=100
        )
        receipt = payment.receipts.get()
        coupon = Coupon.objects.create(tenant=tenant, code=f"{slug.upper()}-10", percent=10)
        batch = codes.make_batch(making.new_product(tenant), count=1, actor=f"maker at {slug}")
        code = RedemptionCode.objects.get(batch=batch)
    return {
        Announcement: line,
        LegalText: text,
        Refund: refund,
        Dispute: dispute,
        Receipt: receipt,
        Coupon: coupon,
        CodeBatch: batch,
        RedemptionCode: code,
    }


@dataclass(frozen=True)
class Account:
    """A buyer who has signed in and made a key, and a link that would sign in again."""

    key: ApiKey
    mail_id: str
    proof: str

    @property
    def path(self) -> str:
        """The link's path."""
        return f"/account/sign-in/{self.mail_id}/{self.proof}/"


def enrol(shop: Shop) -> Account:
    """Give a shop a buyer with an account; who that is says the shop's name."""
    email = f"anna@{shop.tenant.slug}.example"
    user = User.objects.create_user(email)
    with tenant_scope(shop.tenant.pk):
        wallet = accounts.wallet_of(user, tenant_id=shop.tenant.pk)
        key, _plaintext = account_keys.create(
            wallet, name=f"made at {shop.tenant.slug}", expires_at=None
        )
    _, _, _, mail_id, proof, _ = sign_in_path(shop, email).split("/")
    return Account(key, mail_id, proof)


def sign_in_path(shop: Shop, email: str) -> str:
    """Ask for a link that signs in at a shop; return its path as the letter has it."""
    with tenant_scope(shop.tenant.pk):
        sign_in.ask(tenant_id=shop.tenant.pk, email=email, language="en")
        mail = Mail.objects.filter(kind="sign_in", recipient=email).latest("pk")
        return sign_in.path_of(mail.pk)


def signed_in(browser: Callable[..., Client], shop: Shop, email: str) -> Client:
    """Return a browser that is signed in at a shop as a buyer, and reads English."""
    client = browser(shop.host)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    assert client.post(sign_in_path(shop, email)).status_code == 303
    return client


def request_row(shop: Shop, model: type[Model]) -> dict[str, Any]:
    """Return the columns of a request that runs (Hold) or has run (UsageRecord)."""
    row: dict[str, Any] = {
        "id": uuid7(),
        "tenant": shop.tenant,
        "wallet_id": shop.key.wallet_id,
        "key_id": shop.key.pk,
        "model_asked": f"asked-at-{shop.tenant.slug}",
        "model_served": f"served-by-{shop.tenant.slug}",
        "endpoint": "chat_completions",
        "channel_id": shop.channel.pk,
        "retail_price_id": 1,
        "stream": True,
        "created_at": timezone.now(),
    }
    if model is Hold:
        return row | {"amount_ubt": 5, "heartbeat_at": timezone.now(), "owner": "test"}
    return row | {"charged_ubt": 7, "resolution": "settled", "usage_source": "upstream"}


@pytest.fixture
def north(db: None, fresh_throttles: None) -> Shop:
    """The shop that is looked at."""
    return open_shop("north")


@pytest.fixture
def south(db: None) -> Shop:
    """The other shop."""
    return open_shop("south")


@pytest.fixture
def operator(db: None) -> User:
    """Someone who runs the installation."""
    return User.objects.create_superuser("operator@platform.example")


@pytest.fixture
def browser() -> Callable[..., Client]:
    """Return browsers at a host, signed in or not."""

    handler = ClientHandler(enforce_csrf_checks=False)

    def at(host: str, user: User | None = None) -> Client:
        client = Client(headers={"host": host})
        client.handler = handler  # one for all: each of its own would look up all static files
        if user is not None:
            client.force_login(user)
        return client

    return at
