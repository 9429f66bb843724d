"""Ways to pay in the admin: what each needs, why it is not offered, and whether it works."""

from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from billing.models import PaymentEvent, PaymentInstance
from billing.payments import credentials
from billing.scoping import tenant_scope
from portal.admin.ways import SECRETS, why_not
from tests.cast import Shop

Browser = Callable[..., Client]
EPAY = {"url": "https://pay.example/", "pid": "1001", "key": "k"}


@pytest.fixture(autouse=True)
def _scope(north: Shop) -> Iterator[None]:
    with tenant_scope(north.tenant.pk), translation.override("en"):
        yield


def way(shop: Shop, provider: str, secrets: dict[str, str] | None = None, **columns: Any) -> Any:
    """Enter an account of a shop."""
    instance = PaymentInstance.objects.create(tenant=shop.tenant, provider=provider, **columns)
    if secrets:
        credentials.store(instance, secrets)
    return instance


def shown(visitor: Client, instance: PaymentInstance) -> str:
    address = reverse("admin:billing_paymentinstance_change", args=[instance.pk])
    return visitor.get(address).text


REASONS: tuple[tuple[str, Any, dict[str, Any], str], ...] = (
    ("epay", EPAY, {}, ""),
    ("epay", EPAY, {"is_enabled": False}, "It is switched off."),
    ("epay", {"pid": "1001"}, {}, "Secrets are missing: url."),
    ("epay", {**EPAY, "pid": "!"}, {}, "Its secrets have not the form"),
    ("epay", None, {}, "Secrets are missing: url, pid."),
    ("stripe", {"api_key": "sk_test_1"}, {}, "Secrets are missing: webhook_secret."),
    ("epay", None, {"sealed_secrets": b"broken"}, "Its secrets can't be opened."),
    ("manual", None, {}, "It has no instructions"),
    ("manual", None, {"instructions": "To account 1"}, ""),
    ("gone", None, {}, "This server doesn't offer it."),
)


def test_a_way_to_pay_says_why_it_is_not_offered(north: Shop) -> None:
    for provider, secrets, columns, reason in REASONS:
        said = str(why_not(way(north, provider, secrets, **columns)))
        assert said.startswith(reason)
        assert bool(said) == bool(reason)


def test_a_currency_that_a_provider_does_not_take_is_named(north: Shop) -> None:
    type(north.tenant).objects.update(currency="USD")
    instance = way(north, "epay", EPAY)
    instance.tenant.refresh_from_db()
    assert why_not(instance) == "It takes CNY only."


def test_a_test_shows_and_keeps_what_is_wrong(north: Shop, staff: Client) -> None:
    instance = way(north, "epay", {**EPAY, "url": "http://127.0.0.1:1/"})
    address = reverse("admin:billing_paymentinstance_send_test", args=[instance.pk])
    assert "Nobody pays anything" in staff.get(address).text
    instance.refresh_from_db()
    assert instance.tested_at is None
    page = staff.post(address).text
    instance.refresh_from_db()
    assert "It doesn&#x27;t work" in page or "It doesn't work" in page
    assert instance.tested_at
    assert instance.test_error
    assert EPAY["key"] not in instance.test_error.split()


def test_only_what_can_be_tested_offers_a_test(north: Shop, staff: Client) -> None:
    assert "/test/" in shown(staff, way(north, "stripe"))
    assert "/test/" not in shown(staff, way(north, "manual", instructions="x"))


@pytest.mark.parametrize("provider", ["stripe", "epay"])
def test_the_secrets_that_a_provider_needs_are_named(
    north: Shop, staff: Client, provider: str
) -> None:
    page = shown(staff, way(north, provider))
    named = {name for name, _what in SECRETS[provider] if f"<code>{name}</code>" in page}
    assert named == {name for name, _what in SECRETS[provider]}


def test_callbacks_are_counted_and_dated(north: Shop, staff: Client) -> None:
    instance = way(north, "stripe", refused_count=7, refused_at=timezone.now())
    PaymentEvent.objects.create(tenant=north.tenant, instance=instance, event_id="e", kind="k")
    zone = ZoneInfo(north.tenant.time_zone)
    day = f"{timezone.localtime(timezone=zone):%Y-%m-%d}"
    assert shown(staff, instance).count(day) >= 2
    assert "7<br>" in shown(staff, instance)


def test_a_transfer_needs_instructions_and_no_secrets(north: Shop, staff: Client) -> None:
    form = {"provider": "manual", "position": "0", "is_enabled": "on"}
    address = "/admin/billing/paymentinstance/add/"
    assert staff.post(address, {**form, "instructions": " "}).status_code == 200
    assert staff.post(address, {**form, "instructions": "To account 1"}).status_code == 302
    page = shown(staff, PaymentInstance.objects.get())
    assert "To account 1" in page
    assert "new_secrets" not in page


def test_instructions_of_other_ways_are_dropped(north: Shop, staff: Client) -> None:
    form = {"provider": "epay", "position": "0", "instructions": "Do this"}
    assert staff.post("/admin/billing/paymentinstance/add/", form).status_code == 302
    assert PaymentInstance.objects.get().instructions == ""
