"""Wallets and prices in the admin: amounts move by transfers with a reason, prices by new rows."""

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.catalogue import current_prices
from billing.models import ApiKey, Member, Transfer, User, Wallet
from billing.pricing import BUCKETS
from billing.scoping import tenant_scope
from tests.cast import CREDIT_UBT, Shop

Browser = Callable[..., Client]


def adjust(
    visitor: Client, shop: Shop, amount: str, *, once: str = "", reason: str = "gift"
) -> int:
    """Adjust the balance of the shop's wallet; 302 when it was booked."""
    address = reverse("admin:billing_wallet_adjust", args=[shop.key.wallet_id])
    form = {"amount_ubt": amount, "reason": reason, "once": once or str(uuid4())}
    return visitor.post(address, form).status_code


def wallet_of(shop: Shop) -> Wallet:
    with tenant_scope(shop.tenant.pk):
        return Wallet.objects.get(pk=shop.key.wallet_id)


def test_an_adjustment_is_a_transfer_with_actor_and_reason(north: Shop, browser: Browser) -> None:
    assert adjust(browser(north.host, north.owner), north, "1.25") == 302
    with tenant_scope(north.tenant.pk):
        transfer = Transfer.objects.latest("id")
    assert (transfer.amount_ubt, transfer.direction) == (1_250_000, 1)
    assert (transfer.actor, transfer.reason) == (north.owner.email, "gift")
    assert wallet_of(north).available_ubt == CREDIT_UBT + 1_250_000


def test_an_adjustment_can_take_away(north: Shop, browser: Browser) -> None:
    assert adjust(browser(north.host, north.owner), north, "-2") == 302
    assert wallet_of(north).available_ubt == CREDIT_UBT - 2_000_000


def test_no_more_can_be_taken_than_there_is(north: Shop, browser: Browser) -> None:
    assert adjust(browser(north.host, north.owner), north, "-6") == 200
    assert wallet_of(north).available_ubt == CREDIT_UBT


def test_a_second_click_books_nothing(north: Shop, browser: Browser) -> None:
    visitor, once = browser(north.host, north.owner), str(uuid4())
    assert [adjust(visitor, north, "1", once=once) for _ in range(2)] == [302, 302]
    assert wallet_of(north).available_ubt == CREDIT_UBT + 1_000_000


def test_an_adjustment_needs_a_reason(north: Shop, browser: Browser) -> None:
    assert adjust(browser(north.host, north.owner), north, "1", reason="") == 200
    assert wallet_of(north).available_ubt == CREDIT_UBT


@pytest.mark.parametrize("amount", ["0", "", "x", "0.0000001", "1" * 35])
def test_an_amount_must_be_one(north: Shop, browser: Browser, amount: str) -> None:
    assert adjust(browser(north.host, north.owner), north, amount) == 200


def test_another_shops_wallet_is_not_there(north: Shop, south: Shop, browser: Browser) -> None:
    assert adjust(browser(north.host, north.owner), south, "1") == 404
    assert wallet_of(south).available_ubt == CREDIT_UBT


def test_support_can_not_adjust(north: Shop, operator: User, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        Member.objects.update(role="support")
    assert adjust(browser(north.host, north.owner), north, "1") == 403


def test_amounts_in_the_form_of_a_wallet_are_ignored(north: Shop, browser: Browser) -> None:
    form = {"name": "x", "status": "active", "credits_ubt": "1", "debits_ubt": "0", "left": "9"}
    address = reverse("admin:billing_wallet_change", args=[north.key.wallet_id])
    assert browser(north.host, north.owner).post(address, form).status_code == 302
    assert wallet_of(north).available_ubt == CREDIT_UBT


def test_limits_of_a_wallet_are_set_and_taken_back_by_its_shop(
    north: Shop, browser: Browser
) -> None:
    address = reverse("admin:billing_wallet_change", args=[north.key.wallet_id])
    visitor = browser(north.host, north.owner)
    for rpm, stored in (("60", 60), ("", None)):
        form = {"name": "x", "rpm": rpm, "tpm": rpm, "concurrency": rpm}
        assert visitor.post(address, form).status_code == 302
        wallet = wallet_of(north)
        assert (wallet.rpm, wallet.tpm, wallet.concurrency) == (stored, stored, stored)


def test_amounts_are_shown_in_base_tokens(north: Shop, operator: User, browser: Browser) -> None:
    adjust(browser(north.host, operator), north, "1,234,567.000001")
    page = browser(north.host, operator).get("/admin/billing/wallet/").text
    assert "1,234,572.000001" in page


def test_a_new_price_counts_from_now(north: Shop, browser: Browser) -> None:
    form = {"model": "gpt-4", "input": "1.5", "output": "3"}
    answer = browser(north.host, north.owner).post("/admin/billing/priceversion/add/", form)
    assert answer.status_code == 302
    price = current_prices(north.tenant.pk)["gpt-4"]
    assert price.ubt[0] == 1_500_000


def test_a_price_may_be_for_one_size_of_a_picture(north: Shop, browser: Browser) -> None:
    form = {"model": "hd/1024x1024/dall-e-3", "image": "90000"}
    answer = browser(north.host, north.owner).post("/admin/billing/priceversion/add/", form)
    assert answer.status_code == 302
    price = current_prices(north.tenant.pk)["hd/1024x1024/dall-e-3"]
    assert price.ubt[BUCKETS.index("image")] == 90_000 * 1_000_000


def test_a_price_is_published_for_ones_own_shop_only(
    north: Shop, south: Shop, browser: Browser
) -> None:
    before = current_prices(south.tenant.pk)["gpt-4"]
    form = {"model": "gpt-4", "input": "1", "tenant": str(south.tenant.pk)}
    browser(north.host, north.owner).post("/admin/billing/priceversion/add/", form)
    assert current_prices(south.tenant.pk)["gpt-4"] == before


@pytest.mark.parametrize("price", ["-1", "", "0.0000001", "NaN", "1e99"])
def test_a_price_must_be_one(north: Shop, browser: Browser, price: str) -> None:
    form = {"model": "gpt-4", "input": price}
    answer = browser(north.host, north.owner).post("/admin/billing/priceversion/add/", form)
    assert answer.status_code == 200


def test_prices_are_shown_as_multipliers(north: Shop, operator: User, browser: Browser) -> None:
    page = browser(north.host, operator).get("/admin/billing/priceversion/", {"q": "gpt-4-0613"})
    cells = [cell.strip() for cell in re.findall(r"<td[^>]*>([^<]+)</td>", page.text)]
    assert {"20", "40"} <= set(cells)


def press(visitor: Client, shop: Shop, button: str, **form: str) -> int:
    """Press a button of the shop's wallet; 302 when it did something."""
    address = reverse(f"admin:billing_wallet_{button}", args=[shop.key.wallet_id])
    return visitor.post(address, form).status_code


def test_a_frozen_wallet_can_be_unfrozen(north: Shop, browser: Browser) -> None:
    visitor = browser(north.host, north.owner)
    assert press(visitor, north, "freeze") == 302
    assert wallet_of(north).status == Wallet.FROZEN
    assert press(visitor, north, "unfreeze") == 302
    assert wallet_of(north).status == Wallet.ACTIVE


def test_an_extension_moves_the_end_of_the_wallet_and_its_key(
    north: Shop, browser: Browser
) -> None:
    soon = timezone.now() + timedelta(days=1)
    with tenant_scope(north.tenant.pk):
        Wallet.objects.update(expires_at=soon)
        ApiKey.objects.update(expires_at=soon)
        assert (
            press(browser(north.host, north.owner), north, "extend", days="30", reason="x") == 302
        )
        ends = [wallet_of(north).expires_at, ApiKey.objects.get().expires_at]
    assert all(end and timedelta(days=29) < end - soon < timedelta(days=30) for end in ends)


@pytest.mark.parametrize("days", ["0", "-1", "4000", "x", ""])
def test_an_extension_is_some_days(north: Shop, browser: Browser, days: str) -> None:
    visitor = browser(north.host, north.owner)
    assert press(visitor, north, "extend", days=days, reason="x") == 200


def test_support_can_not_freeze(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        Member.objects.update(role="support")
    assert press(browser(north.host, north.owner), north, "freeze") == 403
