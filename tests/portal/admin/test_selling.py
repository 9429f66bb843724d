"""Products, ways to pay, mails and texts in the admin: what a shop may enter, and what not."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.models import Announcement, LegalText, Mail, PaymentInstance, Product
from billing.payments import credentials
from billing.scoping import tenant_scope
from tests.cast import Shop
from tests.sales import mail_of

Browser = Callable[..., Client]

PRODUCT = {
    "kind": "key",
    "name": "Small pack",
    "slug": "small",
    "grant_ubt": "5,000,000",
    "price_minor": "58.50",
    "max_quantity": "10",
    "position": "0",
    "is_active": "on",
    "steps-TOTAL_FORMS": "0",
    "steps-INITIAL_FORMS": "0",
}
LEGAL = {
    "purpose": "agreement",
    "language": "en",
    "version": "2",
    "published_at_0": "2026-01-01",
    "published_at_1": "00:00",
    "body": "# Terms",
}


def add(visitor: Client, model: type[Any], form: dict[str, str], **changes: str) -> int:
    """Fill in the form of a new row; 302 when it was stored."""
    address = reverse(f"admin:billing_{model._meta.model_name}_add")
    return visitor.post(address, {**form, **changes}).status_code


def edit(visitor: Client, row: Any, form: dict[str, str]) -> int:
    address = reverse(f"admin:billing_{row._meta.model_name}_change", args=[row.pk])
    return visitor.post(address, form).status_code


def test_a_price_is_typed_in_money_and_kept_in_minor_units(north: Shop, clerk: Client) -> None:
    assert add(clerk, Product, PRODUCT) == 302
    with tenant_scope(north.tenant.pk):
        product = Product.objects.get()
    assert (product.price_minor, product.grant_ubt) == (5_850, 5_000_000_000_000)
    assert product.tenant_id == north.tenant.pk


def test_the_currency_of_the_shop_decides_on_decimals(north: Shop, clerk: Client) -> None:
    type(north.tenant).objects.update(currency="JPY")
    assert add(clerk, Product, PRODUCT) == 200
    assert add(clerk, Product, PRODUCT, price_minor="1,200") == 302
    with tenant_scope(north.tenant.pk):
        assert Product.objects.get().price_minor == 1_200


def test_an_untouched_price_stays_what_it_is(north: Shop, clerk: Client) -> None:
    add(clerk, Product, PRODUCT)
    with tenant_scope(north.tenant.pk):
        edit(clerk, Product.objects.get(), {**PRODUCT, "note": "new"})
        product = Product.objects.get()
    assert (product.note, product.price_minor) == ("new", 5_850)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("price_minor", ""),
        ("price_minor", "0"),
        ("price_minor", "-1"),
        ("price_minor", "1e3"),
        ("price_minor", "58.505"),
        ("price_minor", "9" * 15),
        ("grant_ubt", "0"),
        ("grant_ubt", "-5"),
        ("kind", "gift"),
        ("max_quantity", "0"),
        ("max_quantity", "101"),
        ("slug", "no slug"),
    ],
)
def test_a_product_can_not_be(north: Shop, clerk: Client, name: str, value: str) -> None:
    assert add(clerk, Product, PRODUCT, **{name: value}) == 200
    with tenant_scope(north.tenant.pk):
        assert not Product.objects.exists()


def test_a_trial_costs_nothing(north: Shop, clerk: Client) -> None:
    assert add(clerk, Product, PRODUCT, kind="trial") == 200
    assert add(clerk, Product, PRODUCT, kind="trial", price_minor="") == 302


def test_a_slug_is_used_once_in_a_shop(north: Shop, clerk: Client) -> None:
    assert [add(clerk, Product, PRODUCT) for _ in range(2)] == [302, 200]


def test_two_shops_may_use_the_same_slug(
    north: Shop, south: Shop, clerk: Client, browser: Browser
) -> None:
    add(clerk, Product, PRODUCT)
    assert add(browser(south.host, south.owner), Product, PRODUCT) == 302


def test_secrets_of_a_way_to_pay_are_sealed_and_never_shown(north: Shop, staff: Client) -> None:
    form = {"provider": "demo", "name": "Main", "position": "0", "is_enabled": "on"}
    secret = "whsec-0123456789"
    assert add(staff, PaymentInstance, {**form, "new_secrets": f"webhook = {secret}"}) == 302
    with tenant_scope(north.tenant.pk):
        instance = PaymentInstance.objects.get()
        assert credentials.read(instance) == {"webhook": secret}
        page = staff.get(reverse("admin:billing_paymentinstance_change", args=[instance.pk])).text
    assert secret.encode() not in bytes(instance.sealed_secrets or b"")
    assert secret not in page


def test_secrets_stay_unless_new_ones_are_given(north: Shop, staff: Client) -> None:
    form = {"provider": "demo", "name": "Main", "position": "0", "is_enabled": "on"}
    add(staff, PaymentInstance, {**form, "new_secrets": "key=one"})
    with tenant_scope(north.tenant.pk):
        instance = PaymentInstance.objects.get()
        assert edit(staff, instance, {"name": "Other", "position": "0"}) == 302
        instance.refresh_from_db()
        assert (instance.name, credentials.read(instance)) == ("Other", {"key": "one"})


@pytest.mark.parametrize(("provider", "expected"), [("stripe", True), ("demo", False)])
def test_an_account_says_where_its_provider_has_to_call_back(
    north: Shop, staff: Client, provider: str, expected: bool
) -> None:
    add(staff, PaymentInstance, {"provider": provider, "position": "0"})
    with tenant_scope(north.tenant.pk):
        instance = PaymentInstance.objects.get()
        page = staff.get(reverse("admin:billing_paymentinstance_change", args=[instance.pk])).text
    assert (f"http://{north.host}/pay/{instance.public_id}/notify/" in page) is expected


@pytest.mark.parametrize("text", ["no equals sign", "=value", "name=", "Na me=x"])
def test_what_are_no_secrets_is_refused(clerk: Client, text: str) -> None:
    form = {"provider": "demo", "position": "0", "new_secrets": text}
    assert add(clerk, PaymentInstance, form) == 200


def test_a_provider_that_we_do_not_know_is_refused(clerk: Client) -> None:
    assert add(clerk, PaymentInstance, {"provider": "free", "position": "0"}) == 200


@pytest.mark.parametrize("status", [Mail.FAILED, Mail.WAITING])
def test_a_mail_that_was_not_sent_gets_its_tries_back(
    north: Shop, clerk: Client, status: str
) -> None:
    mail = mail_of(north.tenant, "order", 1, status=status, try_count=6)
    address = reverse("admin:billing_mail_send_again", args=[mail.pk])
    form = {"once": "01890a5d-ac96-774b-bcce-b302099a8057"}
    assert clerk.post(address, form).status_code == 302
    with tenant_scope(north.tenant.pk):
        mail.refresh_from_db()
        assert (mail.status, mail.try_count, Mail.objects.count()) == (Mail.WAITING, 0, 1)


def test_a_mail_that_was_sent_is_written_anew(north: Shop, clerk: Client) -> None:
    mail = mail_of(north.tenant, "order", 1, status=Mail.SENT)
    form = {"action": "send_chosen_again", "_selected_action": str(mail.pk)}
    assert clerk.post("/admin/billing/mail/", form).status_code == 302
    with tenant_scope(north.tenant.pk):
        again = Mail.objects.exclude(pk=mail.pk).get()
    assert (again.status, again.subject_id, again.recipient) == (Mail.WAITING, 1, mail.recipient)


def test_another_shops_mail_is_not_sent(north: Shop, south: Shop, clerk: Client) -> None:
    mail = mail_of(south.tenant, "order", 1, status=Mail.FAILED)
    clerk.post(
        "/admin/billing/mail/", {"action": "send_chosen_again", "_selected_action": str(mail.pk)}
    )
    with tenant_scope(south.tenant.pk):
        mail.refresh_from_db()
    assert mail.status == Mail.FAILED


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "http://x.example"])
def test_an_announcement_leads_nowhere_unsafe(clerk: Client, url: str) -> None:
    assert add(clerk, Announcement, {"text": "Hello", "link_url": url}) == 200


@pytest.mark.parametrize("url", ["", "/models/", "https://status.example"])
def test_an_announcement_may_lead_to_a_page(clerk: Client, url: str) -> None:
    assert add(clerk, Announcement, {"text": "Hello", "link_url": url}) == 302


def test_an_announcement_ends_after_it_begins(clerk: Client) -> None:
    times = {"starts_at_0": "2026-02-02", "starts_at_1": "10:00"}
    ends = {"ends_at_0": "2026-02-02", "ends_at_1": "09:00"}
    assert add(clerk, Announcement, {"text": "Hello", **times, **ends}) == 200


def test_a_version_of_an_agreement_never_changes(north: Shop, clerk: Client) -> None:
    assert add(clerk, LegalText, LEGAL) == 302
    with tenant_scope(north.tenant.pk):
        text = LegalText.objects.get()
        assert edit(clerk, text, {**LEGAL, "body": "# Other terms"}) == 403
        text.refresh_from_db()
    assert text.body == "# Terms"


def test_a_version_is_used_once(north: Shop, clerk: Client) -> None:
    assert [add(clerk, LegalText, LEGAL) for _ in range(2)] == [302, 302]
    with tenant_scope(north.tenant.pk):
        assert LegalText.objects.count() == 1
