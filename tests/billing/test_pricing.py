"""Usage times price: exact sums, tiers by the whole input, compared with a second calculation."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalogue import STARTER_FILE
from billing.pricing import (
    BUCKETS,
    INPUT_BUCKETS,
    Counts,
    Price,
    Tier,
    charge,
    input_total,
    is_variant,
    rates,
    split_variant,
)

UBT = st.integers(0, 10**9)
COUNT = st.integers(0, 10**7)
ROW = st.tuples(*[UBT] * len(BUCKETS))


def price_of(*, tiers: tuple[Tier, ...] = (), **ubt: int) -> Price:
    return Price(id=1, model="m", ubt=tuple(ubt.get(bucket, 0) for bucket in BUCKETS), tiers=tiers)


def test_a_charge_is_count_times_price() -> None:
    gpt_4 = price_of(input=20_000_000, output=40_000_000)
    assert charge(gpt_4, Counts(input=1_000, output=50)) == 22_000_000_000
    assert charge(gpt_4, Counts()) == 0


def test_counts_and_prices_have_the_same_buckets_in_the_same_order() -> None:
    assert Counts.__struct_fields__ == BUCKETS
    assert set(INPUT_BUCKETS) < set(BUCKETS)
    ones = Counts(**dict.fromkeys(BUCKETS, 1))
    assert input_total(ones) == len(INPUT_BUCKETS)


def test_a_tier_counts_from_its_first_token_on() -> None:
    long = Tier(min_input=200_001, ubt=price_of(input=5).ubt)
    price = price_of(input=2, tiers=(long,))
    assert charge(price, Counts(input=200_000)) == 400_000
    assert charge(price, Counts(input=1, cached_input=200_000)) == 5
    assert rates(price, 200_001) == long.ubt


def test_the_highest_tier_that_is_reached_counts() -> None:
    tiers = (Tier(10, price_of(input=2).ubt), Tier(20, price_of(input=3).ubt))
    price = price_of(input=1, tiers=tiers)
    assert [rates(price, total)[0] for total in (9, 10, 19, 20, 10**9)] == [1, 2, 2, 3, 3]


@given(base=ROW, tier=ROW, min_input=st.integers(1, 10**7), counts=st.tuples(*[COUNT] * 13))
def test_a_second_calculation_agrees(
    base: tuple[int, ...], tier: tuple[int, ...], min_input: int, counts: tuple[int, ...]
) -> None:
    used = dict(zip(BUCKETS, counts, strict=True))
    whole_input = sum(Decimal(used[bucket]) for bucket in INPUT_BUCKETS)
    row = dict(zip(BUCKETS, tier if whole_input >= min_input else base, strict=True))
    expected = sum(Decimal(used[bucket]) * Decimal(row[bucket]) for bucket in BUCKETS)
    price = Price(id=1, model="m", ubt=base, tiers=(Tier(min_input, tier),))
    assert charge(price, Counts(*counts)) == expected


def test_the_starter_file_says_where_each_price_is_from() -> None:
    models = json.loads(STARTER_FILE.read_text(encoding="utf-8"))["models"]
    assert all(entry["source"] and entry["date"] for entry in models.values())


@pytest.mark.parametrize(
    "name", ["1792x1024/dall-e-3", "hd/1024x1792/dall-e-3", "1280x720/openai/sora-2", "4K/imager"]
)
def test_a_price_of_one_size_is_no_model(name: str) -> None:
    assert is_variant(name)


@pytest.mark.parametrize(
    "name", ["dall-e-3", "openai/gpt-4o", "mixtral-8x7b", "8x7b/mixtral", "4K", "hd/x"]
)
def test_other_names_are_models(name: str) -> None:
    assert not is_variant(name)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hd/1024x1792/dall-e-3", ("dall-e-3", "hd/1024x1792")),
        ("1280x720/openai/sora-2", ("openai/sora-2", "1280x720")),
        ("openai/gpt-4o", ("openai/gpt-4o", "")),
    ],
)
def test_a_price_row_names_its_model_and_what_of_it(name: str, parts: tuple[str, str]) -> None:
    assert split_variant(name) == parts
