"""What base tokens cost at a shop's best price, said so that small sums still say something."""

from fractions import Fraction
from typing import Any

import pytest

from billing.models import Product
from billing.scoping import tenant_scope
from portal import rates
from portal.rates import Rate
from tests.cast import Shop


def sell(shop: Shop, slug: str, *, price_minor: int, base_tokens: int, **facts: Any) -> None:
    with tenant_scope(shop.tenant.pk):
        Product.objects.create(
            tenant=shop.tenant,
            slug=slug,
            name=slug,
            grant_ubt=base_tokens * 1_000_000,
            price_minor=price_minor,
            **facts,
        )


def best(shop: Shop) -> Rate | None:
    with tenant_scope(shop.tenant.pk):
        return rates.cheapest(currency="CNY")


@pytest.mark.parametrize(
    ("minor", "currency", "said"),
    [
        (Fraction(0), "CNY", "¥0.00"),
        (Fraction(1934), "CNY", "¥19.34"),
        (Fraction(12_345_678), "CNY", "¥123,456.78"),
        (Fraction(58), "CNY", "¥0.58"),
        (Fraction(46, 10), "CNY", "¥0.046"),
        (Fraction(997, 100_000), "CNY", "¥0.00010"),
        (Fraction(1, 10**12), "CNY", "¥0.00000000"),
        (Fraction(19), "JPY", "JP¥19"),
        (Fraction(94, 10), "JPY", "JP¥9.4"),
    ],
)
def test_small_sums_keep_two_digits(minor: Fraction, currency: str, said: str) -> None:
    assert rates.fine_money(minor, currency) == said


def test_the_best_offer_gives_most_for_its_money(north: Shop) -> None:
    sell(north, "small", price_minor=1_200, base_tokens=1_000_000)
    sell(north, "large", price_minor=102_000, base_tokens=100_000_000)
    assert best(north) == Rate("large", 102_000, 100_000_000_000_000, "CNY")


@pytest.mark.parametrize(
    "facts",
    [
        {"price_minor": 0, "kind": Product.TRIAL},
        {"price_minor": 1, "is_active": False},
        {"price_minor": 1, "allowed_models": ["sora-2"]},
    ],
    ids=["free", "not sold", "for some models"],
)
def test_an_offer_that_is_not_for_everything_sets_no_price(
    north: Shop, facts: dict[str, Any]
) -> None:
    sell(north, "odd", base_tokens=1_000_000, **{"price_minor": 1, **facts})
    assert best(north) is None


def test_a_million_tokens_cost_a_million_times_one(north: Shop) -> None:
    sell(north, "pack", price_minor=1_160, base_tokens=1_000_000)
    rate = best(north)
    assert rate
    assert rate.per_million(1_666_667) == "¥19.33"
    assert rate.cost(1_000_000) == "¥0.000012"
