"""What makes an order cheaper, in the admin: price steps, sale windows, coupons."""

from collections.abc import Callable
from typing import Any

from django.test import Client
from django.urls import reverse

from billing.models import Coupon, Member, PriceStep, Product, User
from billing.scoping import tenant_scope
from tests.billing.orders import making
from tests.cast import Shop

Browser = Callable[..., Client]

PRODUCT = {
    "kind": "key",
    "slug": "small",
    "grant_ubt": "5,000,000",
    "price_minor": "58",
    "max_quantity": "10",
    "position": "0",
    "steps-INITIAL_FORMS": "0",
}
COUPON = {"code": "spring-2026", "percent": "10", "is_active": "on"}


def add_product(visitor: Client, *steps: tuple[str, str], **changes: str) -> int:
    """Fill in the form of a product with price steps; 302 when it was stored."""
    form = {**PRODUCT, "steps-TOTAL_FORMS": str(len(steps)), **changes}
    for index, (quantity, price) in enumerate(steps):
        form |= {f"steps-{index}-min_quantity": quantity, f"steps-{index}-unit_minor": price}
    return visitor.post("/admin/billing/product/add/", form).status_code


def add_coupon(visitor: Client, **changes: Any) -> int:
    return visitor.post("/admin/billing/coupon/add/", {**COUPON, **changes}).status_code


def test_price_steps_are_typed_in_money(north: Shop, clerk: Client) -> None:
    assert add_product(clerk, ("3", "50"), ("5", "45.50")) == 302
    with tenant_scope(north.tenant.pk):
        steps = PriceStep.objects.values_list("min_quantity", "unit_minor", "tenant")
        assert list(steps) == [(3, 5_000, north.tenant.pk), (5, 4_550, north.tenant.pk)]


WRONG_STEPS = (
    [("1", "50")],
    [("3", "60")],
    [("3", "50"), ("5", "51")],
    [("3", "50"), ("3", "50")],
    [("11", "50")],
    [("3", "0")],
    [("", "50")],
)


def test_price_steps_can_not_contradict_themselves(north: Shop, clerk: Client) -> None:
    assert [add_product(clerk, *steps) for steps in WRONG_STEPS] == [200] * len(WRONG_STEPS)
    with tenant_scope(north.tenant.pk):
        assert not Product.objects.exists()


def test_windows_and_limits_can_not_contradict_themselves(clerk: Client) -> None:
    begins = {"starts_at_0": "2026-02-02", "starts_at_1": "9:00"}
    assert add_product(clerk, max_per_person="0") == 200
    assert add_product(clerk, max_per_person="2", max_per_day="3") == 200
    for day in ("2026-02-01", "2026-02-02"):
        assert add_product(clerk, **begins, ends_at_0=day, ends_at_1="8:00") == 200


def test_credit_is_sold_like_any_product(clerk: Client) -> None:
    assert add_product(clerk, kind="credit") == 302


def test_what_is_not_a_new_key_has_no_price_steps(clerk: Client) -> None:
    assert add_product(clerk, ("3", "50"), kind="credit") == 200


def test_a_coupon_is_kept_in_capitals_with_its_products(north: Shop, clerk: Client) -> None:
    with tenant_scope(north.tenant.pk):
        product = making.new_product(north.tenant)
        assert add_coupon(clerk, products=[product.pk], minimum_minor="20") == 302
        coupon = Coupon.objects.get()
        assert (coupon.code, coupon.minimum_minor) == ("SPRING-2026", 2_000)
        assert [row.product for row in coupon.products.all()] == [product]


WRONG_COUPONS: tuple[dict[str, str], ...] = (
    {"percent": "0"},
    {"percent": "101"},
    {"percent": ""},
    {"amount_minor": "5"},
    {"percent": "", "amount_minor": "0"},
    {"code": "a b"},
    {"code": "x"},
    {"max_uses": "0"},
    {"minimum_minor": "-1"},
)


def test_a_coupon_can_not_contradict_itself(north: Shop, clerk: Client) -> None:
    found = [add_coupon(clerk, **wrong) for wrong in WRONG_COUPONS]
    assert found == [200] * len(WRONG_COUPONS)
    with tenant_scope(north.tenant.pk):
        assert not Coupon.objects.exists()


def test_a_coupon_of_this_name_is_there_once(clerk: Client) -> None:
    assert [add_coupon(clerk), add_coupon(clerk)] == [302, 200]


def test_another_shops_product_can_not_be_chosen(north: Shop, south: Shop, clerk: Client) -> None:
    with tenant_scope(south.tenant.pk):
        product = making.new_product(south.tenant)
    assert add_coupon(clerk, products=[product.pk]) == 200


def test_a_used_coupon_takes_off_what_it_has_taken_off(north: Shop, staff: Client) -> None:
    with tenant_scope(north.tenant.pk):
        coupon = Coupon.objects.create(
            tenant=north.tenant, code="USED", amount_minor=500, used_count=3, max_uses=9
        )
        address = reverse("admin:billing_coupon_change", args=[coupon.pk])
        form = {"code": "OTHER", "percent": "90", "amount_minor": "", "max_uses": "4"}
        assert staff.post(address, form).status_code == 302
        coupon.refresh_from_db()
        page = staff.get(address).text
    assert (coupon.code, coupon.amount_minor, coupon.max_uses) == ("USED", 500, 4)
    assert not coupon.is_active
    assert "3 / 4" in page
    assert "¥5.00" in page


def test_support_looks_at_offers(north: Shop, staff: Client) -> None:
    with tenant_scope(north.tenant.pk):
        making.new_product(north.tenant)
        Coupon.objects.create(tenant=north.tenant, code="LOOK", percent=10)
        Member.objects.update(role="support")
        for row in (Product.objects.get(), Coupon.objects.get()):
            name = f"admin:billing_{row._meta.model_name}_change"
            page = staff.get(reverse(name, args=[row.pk]))
            assert page.status_code == 200
            assert 'name="_save"' not in page.text


def test_an_operator_makes_a_coupon_for_the_shop_that_is_chosen(
    north: Shop, south: Shop, operator: User, browser: Browser
) -> None:
    with tenant_scope(south.tenant.pk):
        product = making.new_product(south.tenant)
    visitor = browser(north.host, operator)
    assert add_coupon(visitor, tenant=south.tenant.pk, products=[product.pk]) == 302
    with tenant_scope(south.tenant.pk):
        assert Coupon.objects.get().products.get().product == product
