"""`manage.py seed_demo`: a shop to look at, with offers, a channel that answers by itself, a key.

Idempotent: what is there stays as it is, above all passwords. The sign-in and the key are kept in
`demo.json` in the state folder, readable by its owner alone.
"""

import json
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from billing import keys, tenants, units
from billing.models import ApiKey, PaymentInstance, Product, Tenant, User
from billing.scoping import tenant_scope
from portal.dev.state import write_private
from relay.channels import create_channel
from relay.models import Channel

SLUG = "demo"
NAME = "渡口 API"
CONTACT_EMAIL = "help@example.com"
HOSTS = ["127.0.0.1", "localhost"]
ADMIN_EMAIL = "admin@example.com"
CREDIT_UBT = units.to_ubt(10_000_000)
PRODUCTS: dict[str, dict[str, Any]] = {
    "1m": {"grant_ubt": units.to_ubt(1_000_000), "price_minor": 12_00},
    "5m": {"grant_ubt": units.to_ubt(5_000_000), "price_minor": 58_00, "is_featured": True},
    "20m": {"grant_ubt": units.to_ubt(20_000_000), "price_minor": 218_00},
    "100m": {"grant_ubt": units.to_ubt(100_000_000), "price_minor": 1_020_00},
    "trial": {"grant_ubt": units.to_ubt(50_000), "price_minor": 0, "kind": Product.TRIAL},
}
"""What the demo shop sells, by slug. A pack without a name is known by its amount."""


class Command(BaseCommand):
    """Makes what is missing of the demo shop."""

    help = "Make the demo shop with all it needs, and a platform operator. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the one option that saves `dev.py run` a process."""
        parser.add_argument(
            "--migrate", action="store_true", help="bring the tables up to date first"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing and note it in demo.json."""
        if options["migrate"]:
            call_command("migrate", interactive=False, verbosity=0)
        path = Path(settings.STATE_DIR) / "demo.json"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = read(path)
        with transaction.atomic():
            tenant = Tenant.objects.filter(slug=SLUG).first() or make_shop()
            with tenant_scope(tenant.pk):
                make_channel(tenant)
                make_offers(tenant)
                known |= working_key(tenant, known)
            known |= make_operator(known)
            # Before the commit: a note of what is not there is replaced by the next run, but a
            # key or a password that nobody noted is lost.
            write_private(path, known)
        self.stdout.write(f"demo shop ready, see {path}")


def read(path: Path) -> dict[str, str]:
    """Return what was noted before; nothing of a file that is no longer whole."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def make_shop() -> Tenant:
    """Make the shop itself."""
    shop = tenants.create_tenant(slug=SLUG, name=NAME, hosts=HOSTS)
    shop.contact_email = CONTACT_EMAIL
    shop.save(update_fields=["contact_email"])
    return shop


def make_channel(tenant: Tenant) -> None:
    """Give it a channel that needs no credential, unless it has been given any."""
    if not Channel.objects.exists():
        create_channel(tenant=tenant, name="demo", provider="demo")


def make_offers(tenant: Tenant) -> None:
    """Give it products and a way to pay that moves no money, unless it has been given any."""
    if not Product.objects.exists():
        for position, (slug, offer) in enumerate(PRODUCTS.items()):
            Product.objects.create(tenant=tenant, slug=slug, position=position, **offer)
    if not PaymentInstance.objects.exists():
        PaymentInstance.objects.create(tenant=tenant, provider="demo")


def working_key(tenant: Tenant, known: dict[str, str]) -> dict[str, str]:
    """Return the noted key if it still works, else a new one with credit."""
    key = keys.find(known.get("demo_key", ""))
    if key and key.tenant_id == tenant.pk and key.status == ApiKey.ACTIVE:
        return {"demo_key": known["demo_key"], "demo_kid": key.kid}
    key, plaintext = keys.issue(
        tenant_id=tenant.pk, credit_ubt=CREDIT_UBT, name="Demo key", actor="seed_demo"
    )
    return {"demo_key": plaintext, "demo_kid": key.kid}


def make_operator(known: dict[str, str]) -> dict[str, str]:
    """Return the operator's sign-in; a password that was changed is its owner's secret."""
    noted = known.get("admin_password", "")
    operator = User.objects.filter(email=ADMIN_EMAIL).first()
    if operator:
        password = noted if operator.check_password(noted) else "(changed)"
        return {"admin_email": ADMIN_EMAIL, "admin_password": password}
    password = secrets.token_urlsafe(15)
    User.objects.create_superuser(ADMIN_EMAIL, password)
    return {"admin_email": ADMIN_EMAIL, "admin_password": password}
