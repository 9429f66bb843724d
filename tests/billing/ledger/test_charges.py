"""Charges against a second calculation: by the table, in Decimal base tokens, on random cases.

The table below is the only thing it knows of prices; it shares no code with `billing.pricing`.
"""

import random
from decimal import Decimal, localcontext

import pytest

from billing.ledger import direct
from billing.ledger.ops import Batch
from billing.ledger.reconcile import reconcile
from billing.models import PriceTier
from billing.pricing import BUCKETS, Counts, Price, Tier, charge
from tests.billing.ledger.making import Buyer, facts, hold_op, new_buyer, new_price, settle_op
from tests.databases import Database

UBT = Decimal(1_000_000)

# Base tokens per unit, by bucket, and from how much input on the second row counts.
TABLE: dict[str, tuple[dict[str, str], int, dict[str, str]]] = {
    "gpt-4": ({"input": "20", "output": "40"}, 0, {}),
    "gpt-3.5": ({"input": "1", "output": "1.333333"}, 0, {}),
    "cached": (
        {"input": "1.666667", "cached_input": "0.833333", "output": "6.666667", "reasoning": "7"},
        0,
        {},
    ),
    "long": (
        {"input": "2", "cached_input": "0.2", "cache_write_5m": "2.5", "output": "10"},
        200_000,
        {"input": "4", "cached_input": "0.4", "cache_write_5m": "5", "output": "15"},
    ),
    "voice": ({"input": "1", "audio_in": "26.666667", "audio_out": "53.333333"}, 0, {}),
    "call": ({"request": "1333.333333", "image": "26666.666667", "second": "66.666667"}, 0, {}),
    "odd": ({"character": "0.000001", "search": "6666.666667", "cache_write_1h": "3"}, 0, {}),
}
INPUT = ("input", "cached_input", "cache_write_5m", "cache_write_1h", "audio_in")


def by_the_table(model: str, counts: dict[str, int]) -> int:
    """Return the charge in ubt as a person with a calculator would find it."""
    prices, long_from, long_prices = TABLE[model]
    if long_from and sum(counts.get(bucket, 0) for bucket in INPUT) >= long_from:
        prices = long_prices
    with localcontext() as context:
        context.prec = 60
        total = Decimal(0)
        for bucket, count in counts.items():
            total += Decimal(count) * Decimal(prices.get(bucket, "0"))
        in_ubt = total * UBT
    assert in_ubt == in_ubt.to_integral_value()
    return int(in_ubt)


def ubt(prices: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(Decimal(prices.get(bucket, "0")) * UBT) for bucket in BUCKETS)


def price_of(model: str) -> Price:
    prices, long_from, long_prices = TABLE[model]
    tiers = (Tier(long_from, ubt(long_prices)),) if long_from else ()
    return Price(id=1, model=model, ubt=ubt(prices), tiers=tiers)


def random_counts(draw: random.Random) -> dict[str, int]:
    chosen = draw.sample(BUCKETS, draw.randint(1, 6))
    return {bucket: draw.choice([0, 1, draw.randint(1, 300_000)]) for bucket in chosen}


@pytest.mark.parametrize("model", TABLE)
def test_charges_are_what_the_table_says(model: str) -> None:
    draw, price = random.Random(model), price_of(model)
    for _ in range(2_000):
        counts = random_counts(draw)
        assert charge(price, Counts(**counts)) == by_the_table(model, counts), counts


@pytest.mark.parametrize("total", [199_999, 200_000, 200_001])
def test_a_long_context_costs_more_from_its_first_token_on(total: int) -> None:
    counts = {"input": total - 1_000, "cached_input": 1_000, "output": 7}
    assert charge(price_of("long"), Counts(**counts)) == by_the_table("long", counts)


@pytest.fixture
def rich(migrated_database: Database) -> Buyer:
    return new_buyer(10**17)


def test_a_thousand_settles_come_to_what_the_table_says(rich: Buyer) -> None:
    draw, expected, settles, holds = random.Random(7), 0, [], []
    price_ids = {model: publish(rich, model) for model in TABLE}
    for _ in range(1_000):
        model, counts = draw.choice(list(TABLE)), random_counts(draw)
        op = hold_op(rich, draw.randint(0, 10**6), retail_price_id=price_ids[model])
        actual = charge(price_of(model), Counts(**counts))
        holds.append(op)
        settles.append(settle_op(rich, op.id, actual, facts=facts(counts=Counts(**counts))))
        expected += by_the_table(model, counts)
    for start in range(0, 1_000, 250):
        direct.run(Batch(holds=holds[start : start + 250]))
        direct.run(Batch(settles=settles[start : start + 250]))
    assert sum(direct.run(Batch(settles=settles)).settles) == expected
    assert reconcile().findings == []


def publish(buyer: Buyer, model: str) -> int:
    """Store a row of the table; return its id."""
    prices, long_from, long_prices = TABLE[model]

    def columns(row: dict[str, str]) -> dict[str, int]:
        return {f"{bucket}_ubt": int(Decimal(price) * UBT) for bucket, price in row.items()}

    version = new_price(buyer.tenant_id, **columns(prices))
    if long_from:
        PriceTier.objects.create(
            tenant_id=buyer.tenant_id,
            version=version,
            min_input=long_from,
            **columns(long_prices),
        )
    return int(version.pk)
