"""The demo shop: complete after one run, and a second run changes nothing that works."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from billing import keys, payments
from billing.models import ApiKey, Domain, PaymentInstance, Product, Tenant, Transfer, User
from billing.scoping import all_tenants, tenant_scope
from relay.models import Channel


@pytest.fixture
def note(db: None, tmp_path: Path, settings: Any) -> Path:
    """Where the sign-in and the key are noted."""
    settings.STATE_DIR = tmp_path / "state"
    return tmp_path / "state" / "demo.json"


def seed(note: Path) -> dict[str, str]:
    """Run the command; return what it noted."""
    call_command("seed_demo", verbosity=0)
    noted: dict[str, str] = json.loads(note.read_text())
    return noted


def test_the_noted_key_works_and_has_credit(note: Path) -> None:
    key = keys.find(seed(note)["demo_key"])
    assert key
    assert key.wallet.available_ubt == 10_000_000_000_000


def test_the_noted_password_signs_in(note: Path) -> None:
    noted = seed(note)
    user = User.objects.get(email=noted["admin_email"])
    assert user.is_superuser
    assert user.check_password(noted["admin_password"])


def test_the_shop_answers_on_loopback(note: Path) -> None:
    seed(note)
    with all_tenants():
        hosts = set(Domain.objects.values_list("hostname", flat=True))
        assert Channel.objects.get().provider == "demo"
    assert hosts == {"127.0.0.1", "localhost"}


def test_the_note_is_for_its_owner_alone(note: Path) -> None:
    seed(note)
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert stat.S_IMODE(note.parent.stat().st_mode) == 0o700


def test_a_second_run_changes_nothing(note: Path) -> None:
    first = seed(note)
    assert seed(note) == first
    with all_tenants():
        models = (ApiKey, Transfer, Channel, Domain, Product, PaymentInstance)
        counts = [model.objects.count() for model in models]
    assert counts == [1, 1, 1, 2, 5, 1]


def test_the_shop_sells_what_a_buyer_can_pay(note: Path) -> None:
    seed(note)
    shop = Tenant.objects.get(slug="demo")
    with tenant_scope(shop.pk):
        [instance] = payments.offered(shop)
        prices = {product.slug: product.price_minor for product in Product.objects.all()}
        assert Product.objects.get(is_featured=True).slug == "5m"
    assert instance.provider == "demo"
    assert prices == {"1m": 1_200, "5m": 5_800, "20m": 21_800, "100m": 102_000, "trial": 0}


def test_offers_that_were_changed_stay_so(note: Path) -> None:
    seed(note)
    with all_tenants():
        Product.objects.exclude(slug="1m").delete()
        PaymentInstance.objects.update(is_enabled=False)
    seed(note)
    with all_tenants():
        assert Product.objects.count() == 1
        assert not PaymentInstance.objects.get().is_enabled


def test_a_lost_note_gives_a_new_key_and_keeps_the_password(note: Path) -> None:
    first = seed(note)
    note.unlink()
    second = seed(note)
    assert second["demo_key"] != first["demo_key"]
    assert second["admin_password"] == "(changed)"
    assert User.objects.get().check_password(first["admin_password"])


def test_a_password_that_was_changed_is_not_reset(note: Path) -> None:
    seed(note)
    user = User.objects.get()
    user.set_password("mine")
    user.save(update_fields=["password"])
    assert seed(note)["admin_password"] == "(changed)"
    assert User.objects.get().check_password("mine")


@pytest.mark.parametrize("rubbish", ["", "[]", "{", '{"demo_key": "ak-nonsense"}'])
def test_a_broken_note_is_made_anew(note: Path, rubbish: str) -> None:
    seed(note)
    note.write_text(rubbish)
    assert keys.find(seed(note)["demo_key"])


def test_a_revoked_demo_key_is_replaced(note: Path) -> None:
    first = seed(note)
    with all_tenants():
        keys.revoke(kid=first["demo_kid"])
    second = seed(note)
    assert second["demo_kid"] != first["demo_kid"]


def test_what_the_owner_changed_stays(note: Path) -> None:
    seed(note)
    Tenant.objects.filter(slug="demo").update(name="Mine")
    with all_tenants():
        Channel.objects.update(is_enabled=False)
    seed(note)
    assert Tenant.objects.get(slug="demo").name == "Mine"
    with all_tenants():
        assert not Channel.objects.get().is_enabled
