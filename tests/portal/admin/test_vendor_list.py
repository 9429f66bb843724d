"""The vendors' list in the admin: who sees the differences, and that only what is ticked counts."""

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from billing import catalogue, tenants, vendor_prices
from billing.models import Member, User
from billing.scoping import tenant_scope
from tests.cast import Shop

Browser = Callable[..., Client]
PAGE = "/admin/billing/priceversion/vendors/"


def publish(visitor: Client, *models: str, query: str = "", seen: str = "") -> None:
    """Tick models and publish them."""
    form = {"model": list(models), "list": seen or vendor_prices.fingerprint()}
    assert visitor.post(PAGE + query, form).status_code == 302


def sells(shop: Shop, model: str) -> bool:
    return model in catalogue.current_prices(shop.tenant.pk)


def reprice(shop: Shop) -> None:
    with tenant_scope(shop.tenant.pk):
        catalogue.load_retail(shop.tenant.pk, {"gpt-4": {"input": 21, "output": 40}})


def test_an_owner_sees_old_and_new_multipliers(north: Shop, browser: Browser) -> None:
    reprice(north)
    page = browser(north.host, north.owner).get(PAGE).text
    assert "<del>21</del> → <b>20</b>" in " ".join(page.split())
    assert 'value="imagen-3.0-generate-001"' in page


def test_looking_publishes_nothing(north: Shop, browser: Browser) -> None:
    reprice(north)
    before = catalogue.current_prices(north.tenant.pk)
    browser(north.host, north.owner).get(PAGE)
    assert catalogue.current_prices(north.tenant.pk) == before


def test_only_what_is_ticked_is_published(north: Shop, south: Shop, browser: Browser) -> None:
    publish(browser(north.host, north.owner), "imagen-3.0-generate-001", "no-such-model")
    assert sells(north, "imagen-3.0-generate-001")
    assert not sells(north, "tts-1-1106")
    assert not sells(south, "imagen-3.0-generate-001")


def test_what_was_published_is_in_the_history(north: Shop, browser: Browser) -> None:
    publish(browser(north.host, north.owner), "imagen-3.0-generate-001", "tts-1-1106")
    told = LogEntry.objects.filter(user=north.owner).values_list("object_repr", flat=True)
    assert {text.partition(" ")[0] for text in told} == {"imagen-3.0-generate-001", "tts-1-1106"}


def test_an_operator_sets_the_list_that_every_shop_sells_by(
    north: Shop, south: Shop, operator: User, browser: Browser
) -> None:
    publish(browser(north.host, operator), "imagen-3.0-generate-001")
    assert sells(north, "imagen-3.0-generate-001") and sells(south, "imagen-3.0-generate-001")
    with tenant_scope(tenants.platform().pk):
        assert catalogue.current_prices(tenants.platform().pk)["imagen-3.0-generate-001"]


def test_an_operator_can_choose_a_shop(
    north: Shop, south: Shop, operator: User, browser: Browser
) -> None:
    publish(
        browser(north.host, operator), "imagen-3.0-generate-001", query=f"?shop={south.tenant.pk}"
    )
    assert sells(south, "imagen-3.0-generate-001")
    assert not sells(north, "imagen-3.0-generate-001")


def test_an_owner_can_not_choose_a_shop(north: Shop, south: Shop, browser: Browser) -> None:
    publish(
        browser(north.host, north.owner),
        "imagen-3.0-generate-001",
        query=f"?shop={south.tenant.pk}",
    )
    assert sells(north, "imagen-3.0-generate-001")
    assert not sells(south, "imagen-3.0-generate-001")


@pytest.mark.parametrize("role", ["manager", "support", "viewer"])
def test_nobody_else_may(north: Shop, browser: Browser, role: str) -> None:
    with tenant_scope(north.tenant.pk):
        Member.objects.update(role=role)
    visitor = browser(north.host, north.owner)
    assert visitor.get(PAGE).status_code == 403
    assert visitor.post(PAGE, {"model": "imagen-3.0-generate-001"}).status_code == 403
    assert "vendors" not in visitor.get("/admin/billing/priceversion/").text
    assert not sells(north, "imagen-3.0-generate-001")


def test_a_list_that_was_not_looked_at_is_not_published(north: Shop, browser: Browser) -> None:
    publish(
        browser(north.host, north.owner),
        "imagen-3.0-generate-001",
        seen="that of the version before",
    )
    assert not sells(north, "imagen-3.0-generate-001")


def test_one_vendors_models_can_be_shown(north: Shop, browser: Browser) -> None:
    page = browser(north.host, north.owner).get(PAGE, {"vendor": "anthropic"}).text
    assert 'value="claude-opus-4-5"' in page
    assert 'value="imagen-3.0-generate-001"' not in page
