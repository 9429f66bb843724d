"""Keys in the admin: shown once, found by what people paste, revoked for good."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from billing import keys
from billing.models import ApiKey, Transfer, User
from billing.scoping import tenant_scope
from tests.cast import CREDIT_UBT, Shop

Browser = Callable[..., Client]
ADD = "/admin/billing/apikey/add/"


def issue(visitor: Client, **form: Any) -> str:
    """Issue a key through the form; return the page that follows."""
    return visitor.post(ADD, {"name": "new", "credit_ubt": "12,000.5", **form}).text


def plaintext_in(page: str) -> str:
    found = re.search(r'id="issued-key">([^<]+)<', page)
    assert found
    return found[1]


def test_an_issued_key_is_shown_and_works(north: Shop, browser: Browser) -> None:
    plaintext = plaintext_in(issue(browser(north.host, north.owner)))
    key = keys.find(plaintext)
    assert key
    assert key.tenant_id == north.tenant.pk
    assert key.wallet.available_ubt == 12_000_500_000


def test_an_issued_key_is_shown_only_once(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host, north.owner)
    plaintext = plaintext_in(issue(visitor))
    key = keys.find(plaintext)
    assert key
    for address in (f"/admin/billing/apikey/{key.pk}/change/", "/admin/billing/apikey/", "/admin/"):
        assert plaintext[8:] not in visitor.get(address).text


def test_the_credit_of_a_new_key_names_who_gave_it(north: Shop, browser: Browser) -> None:
    issue(browser(north.host, north.owner))
    with tenant_scope(north.tenant.pk):
        transfer = Transfer.objects.latest("id")
    assert (transfer.kind, transfer.actor) == ("adjustment", north.owner.email)


def test_an_operator_says_whose_key_it_is(
    north: Shop, south: Shop, operator: User, browser: Browser
) -> None:
    page = issue(browser(north.host, operator), tenant=south.tenant.pk)
    key = keys.find(plaintext_in(page))
    assert key
    assert key.tenant_id == south.tenant.pk


def test_an_owner_can_not_issue_for_another_shop(
    north: Shop, south: Shop, browser: Browser
) -> None:
    page = issue(browser(north.host, north.owner), tenant=south.tenant.pk)
    key = keys.find(plaintext_in(page))
    assert key
    assert key.tenant_id == north.tenant.pk


@pytest.mark.parametrize("credit", ["-1", "0.0000001", "many", "1e400", "9" * 30])
def test_a_credit_that_is_no_amount_is_refused(north: Shop, browser: Browser, credit: str) -> None:
    page = issue(browser(north.host, north.owner), credit_ubt=credit)
    assert "issued-key" not in page


@pytest.mark.parametrize("spelling", ["{}", "  {}  ", "sk-{body}"])
def test_a_pasted_key_is_found(north: Shop, browser: Browser, spelling: str) -> None:
    pasted = spelling.format(north.plaintext, body=north.plaintext.removeprefix("ak-"))
    page = browser(north.host, north.owner).get("/admin/billing/apikey/", {"q": pasted}).text
    assert north.key.masked in page


def test_a_pasted_key_of_another_shop_is_not_found(
    north: Shop, south: Shop, browser: Browser
) -> None:
    visitor = browser(north.host, north.owner)
    page = visitor.get("/admin/billing/apikey/", {"q": south.plaintext}).text
    assert south.key.masked not in page


def test_a_pasted_key_is_not_logged(
    north: Shop, browser: Browser, capfd: pytest.CaptureFixture[str]
) -> None:
    browser(north.host, north.owner).get("/admin/nowhere/", {"q": north.plaintext})
    written = capfd.readouterr()
    assert north.plaintext[11:] not in written.out + written.err


def test_a_revoked_key_stays_revoked(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host, north.owner)
    address = reverse("admin:billing_apikey_revoke", args=[north.key.pk])
    assert visitor.get(address).status_code == 200
    assert key_of(north).revoked_at is None
    assert visitor.post(address).status_code == 302
    assert key_of(north).revoked_at is not None
    visitor.post(
        reverse("admin:billing_apikey_change", args=[north.key.pk]), policy(status="active")
    )
    assert key_of(north).status == ApiKey.DISABLED


def test_revoking_leaves_a_line_with_who_did_it(north: Shop, browser: Browser) -> None:
    browser(north.host, north.owner).post(
        reverse("admin:billing_apikey_revoke", args=[north.key.pk])
    )
    assert LogEntry.objects.get().user == north.owner


def test_saving_a_key_writes_no_amount(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host, north.owner)
    address = reverse("admin:billing_apikey_change", args=[north.key.pk])
    visitor.get(address)
    with tenant_scope(north.tenant.pk):
        ApiKey.objects.filter(pk=north.key.pk).update(spent_ubt=123)
    form = policy(name="renamed", spent_ubt="1", kid="AAAAAAAA", mac="x")
    assert visitor.post(address, form).status_code == 302
    key = key_of(north)
    assert (key.name, key.spent_ubt, key.kid) == ("renamed", 123, north.key.kid)


def test_no_page_shows_a_mac(north: Shop, operator: User, browser: Browser) -> None:
    visitor = browser(north.host, operator)
    mac = bytes(key_of(north).mac)
    for address in ("/admin/billing/apikey/", f"/admin/billing/apikey/{north.key.pk}/change/"):
        page = visitor.get(address).text
        assert mac.hex() not in page
        assert str(mac) not in page


def test_the_credit_stays_when_a_key_is_revoked(north: Shop, browser: Browser) -> None:
    browser(north.host, north.owner).post(
        reverse("admin:billing_apikey_revoke", args=[north.key.pk])
    )
    assert key_of(north).wallet.available_ubt == CREDIT_UBT


@pytest.mark.parametrize(("addresses", "status"), [("10.0.0.0/8\n::1", 302), ("home", 200)])
def test_addresses_of_a_key_must_be_some(
    north: Shop, browser: Browser, addresses: str, status: int
) -> None:
    address = reverse("admin:billing_apikey_change", args=[north.key.pk])
    form = policy(allowed_addresses=addresses)
    assert browser(north.host, north.owner).post(address, form).status_code == status


def key_of(shop: Shop) -> ApiKey:
    with tenant_scope(shop.tenant.pk):
        return ApiKey.objects.select_related("wallet").get(pk=shop.key.pk)


def policy(**changes: str) -> dict[str, str]:
    """Return what the form of a key sends."""
    return {
        "name": "north key",
        "status": "active",
        "expires_at_0": "",
        "expires_at_1": "",
        **changes,
    }
