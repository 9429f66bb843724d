"""Shops in the admin: made in one step, and nothing is stored that the relay would choke on."""

from collections.abc import Callable

import pytest
from django.test import Client

from billing.models import Domain, Tenant, User
from billing.scoping import all_tenants
from billing.tenants import resolve_host
from tests.cast import Shop

Browser = Callable[..., Client]


def test_a_shop_is_made_with_its_hostnames(north: Shop, operator: User, browser: Browser) -> None:
    form = {"slug": "east", "name": "East", "hosts": "East.example.\nwww.east.example"}
    answer = browser(north.host, operator).post("/admin/billing/tenant/add/", form)
    assert answer.status_code == 302
    found = resolve_host("www.east.example")
    assert found
    assert found[0].name == "East"


@pytest.mark.parametrize(
    "form",
    [
        {"slug": "north", "name": "x", "hosts": "x.example"},
        {"slug": "east", "name": "x", "hosts": "north.example"},
        {"slug": "east", "name": "x", "hosts": "no/host"},
        {"slug": "east", "name": "", "hosts": "x.example"},
        {"slug": "east", "name": "x", "hosts": ""},
    ],
)
def test_a_shop_that_can_not_be_made_is_refused_in_words(
    north: Shop, operator: User, browser: Browser, form: dict[str, str]
) -> None:
    answer = browser(north.host, operator).post("/admin/billing/tenant/add/", form)
    assert answer.status_code == 200
    assert Tenant.objects.count() == 2


@pytest.mark.parametrize(
    "wrong", [{"time_zone": "Moon/Base"}, {"language": "tlh"}, {"currency": "12"}]
)
def test_an_owner_can_not_store_what_nobody_understands(
    north: Shop, browser: Browser, wrong: dict[str, str]
) -> None:
    assert save(browser(north.host, north.owner), north, **wrong) == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"brand_light": "#ffcc00"},
        {"brand_dark": "#222222"},
        {"brand_light": "purple"},
        {"contact_url": "javascript:alert(1)"},
        {"contact_email": "nobody"},
    ],
)
def test_an_owner_can_not_store_what_nobody_can_read_or_open(
    north: Shop, browser: Browser, wrong: dict[str, str]
) -> None:
    assert save(browser(north.host, north.owner), north, **wrong) == 200


def test_an_owner_gives_the_shop_its_accents(north: Shop, browser: Browser) -> None:
    accents = {"brand_light": "#0B6B53", "brand_dark": "#4fc9a4"}
    assert save(browser(north.host, north.owner), north, **accents) == 302
    assert "#0b6b53" in browser(north.host).get("/brand.css").text


def test_an_owner_changes_how_the_shop_speaks(north: Shop, browser: Browser) -> None:
    assert save(browser(north.host, north.owner), north, language="en") == 302
    assert Tenant.objects.get(pk=north.tenant.pk).language == "en"


def test_an_owner_can_not_close_the_shop_or_rename_its_keys(north: Shop, browser: Browser) -> None:
    wanted = {"is_active": "", "key_prefix": "zz-", "is_platform": "on", "slug": "platform2"}
    assert save(browser(north.host, north.owner), north, **wanted) == 302
    tenant = Tenant.objects.get(pk=north.tenant.pk)
    assert (tenant.is_active, tenant.key_prefix, tenant.slug) == (True, "ak-", "north")


def test_an_owner_adds_a_hostname(north: Shop, browser: Browser) -> None:
    form = {"hostname": "API.North.example.", "label": "Backup"}
    visitor = browser(north.host, north.owner)
    assert visitor.post("/admin/billing/domain/add/", form).status_code == 302
    found = resolve_host("api.north.example")
    assert found
    assert found[0] == north.tenant


def test_another_shops_hostname_can_not_be_taken(
    north: Shop, south: Shop, browser: Browser
) -> None:
    visitor = browser(north.host, north.owner)
    answer = visitor.post("/admin/billing/domain/add/", {"hostname": south.host})
    assert answer.status_code == 200
    with all_tenants():
        assert Domain.objects.get(hostname=south.host).tenant == south.tenant


def save(visitor: Client, shop: Shop, **changes: str) -> int:
    """Submit the form of a shop with changes; 302 when it was saved."""
    form = {
        "name": shop.tenant.name,
        "language": "zh-hans",
        "time_zone": "Asia/Shanghai",
        "currency": "CNY",
    }
    for prefix in ("domains", "members"):
        form |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    address = f"/admin/billing/tenant/{shop.tenant.pk}/change/"
    return visitor.post(address, form | changes).status_code


def test_an_owner_says_what_stands_on_receipts(north: Shop, browser: Browser) -> None:
    wanted = {"seller": "North Ltd\n1 Road", "mails_keys": "on"}
    assert save(browser(north.host, north.owner), north, **wanted) == 302
    tenant = Tenant.objects.get(pk=north.tenant.pk)
    assert (tenant.seller.split(), tenant.mails_keys) == (["North", "Ltd", "1", "Road"], True)


def test_mailing_keys_comes_with_a_warning(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host, north.owner)
    visitor.cookies["django_language"] = "en"
    page = visitor.get(f"/admin/billing/tenant/{north.tenant.pk}/change/").text
    assert "has the key itself" in page
