"""What the front page of a shop shows: offers and what they buy, and how its relay does.

Called by its view, in the shop's open scope. Figures are measured or left out, never assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.models import Product, Tenant
from billing.pricing import Counts, Price, charge
from portal import amounts
from portal.price_list import DAY, Row
from relay import status

TURN = Counts(input=800, output=400)
"""What a turn of a conversation is taken to be."""

ENOUGH_CALLS = 50
ENOUGH_CALLS_OF_A_MODEL = 10
MODELS_SHOWN = 6
_ESTIMATED_BY = ("gpt-4o-mini", "gpt-4o", "claude-sonnet-4-5", "gpt-4")
_USUAL = "gpt-4o"
_DEAR = "gpt-4"
_EXAMPLE_UBT = 90_000 * 10**6
_COLUMNS = {1: "one", 2: "two", 3: "three", 5: "three", 6: "three", 9: "three"}
_MILLION_UBT = 10**12


@dataclass(frozen=True)
class Measure:
    """A model that offers are told in: what a turn with it costs."""

    model: str
    turn_ubt: int
    is_usual: bool


@dataclass(frozen=True)
class Offer:
    """A product on the board. `turns` are those of the usual measure, None without one.

    `each` is the price of a million base tokens, "" for less than that. `models` are named where
    the product is not for all. `is_soon` is what can't be bought yet.
    """

    product: Product
    turns: str | None
    each: str
    models: str
    is_first_choice: bool
    is_soon: bool


@dataclass(frozen=True)
class Figures:
    """What was measured in the last 24 hours; None where too few calls were."""

    model_count: int
    usable_count: int
    first_token_ms: int | None
    success_percent: str | None


@dataclass(frozen=True)
class DearModel:
    """The model that surprises people, and how far an amount of base tokens goes with it."""

    name: str
    input: str
    output: str
    example_ubt: int
    example_tokens: int


def measures(rows: Sequence[Row]) -> list[Measure]:
    """Return the well-known models that work here, one of them the usual."""
    prices = {row.name: row.price for row in rows if row.state.is_usable}
    known = [name for name in _ESTIMATED_BY if name in prices and _turn_ubt(prices[name])]
    usual = _USUAL if _USUAL in known else next(iter(known), "")
    return [Measure(name, _turn_ubt(prices[name]), name == usual) for name in known]


def offers(
    products: Sequence[Product], *, currency: str, told_in: Sequence[Measure], now: datetime
) -> list[Offer]:
    """Return what is on the board; the first featured product is the first choice."""
    usual = next((measure for measure in told_in if measure.is_usual), None)
    featured = next((product.pk for product in products if product.is_featured), None)
    return [
        Offer(
            product=product,
            turns=_turns(product, usual) if usual and not product.allowed_models else None,
            each=_each(product, currency),
            models=("、" if amounts.is_chinese() else ", ").join(product.allowed_models),
            is_first_choice=product.pk == featured,
            is_soon=is_soon(product, now),
        )
        for product in products
    ]


def is_soon(product: Product, now: datetime) -> bool:
    """Tell whether the sale of a product has still to begin."""
    return product.starts_at is not None and now < product.starts_at


def columns(count: int) -> str:
    """Return the class of a board with so many offers; four columns need none."""
    return _COLUMNS.get(count, "")


def figures(shop: Tenant, rows: Sequence[Row]) -> Figures:
    """Return how the shop's relay does."""
    traffic = status.traffic(shop.pk, since=DAY)
    calls = sum(speed.calls for speed in traffic.models.values())
    failed = sum(speed.failed for speed in traffic.models.values())
    is_enough = calls >= ENOUGH_CALLS
    return Figures(
        model_count=len({row.asked for row in rows}),
        usable_count=len({row.asked for row in rows if row.state.is_usable}),
        first_token_ms=traffic.first_token_ms if is_enough else None,
        success_percent=amounts.percent(calls - failed, calls) if is_enough else None,
    )


def dear_model(rows: Sequence[Row]) -> DearModel | None:
    """Return what gpt-4 costs, None if the shop has none."""
    row = next((row for row in rows if row.name == _DEAR and row.input_ubt + row.output_ubt), None)
    if row is None:
        return None
    tokens = 2 * _EXAMPLE_UBT // (row.input_ubt + row.output_ubt)
    return DearModel(
        name=row.name,
        input=amounts.multiplier(row.input_ubt),
        output=amounts.multiplier(row.output_ubt),
        example_ubt=_EXAMPLE_UBT,
        example_tokens=tokens - tokens % 100,
    )


def _turn_ubt(price: Price) -> int:
    return charge(price, TURN)


def _turns(product: Product, measure: Measure) -> str:
    """Return about how many turns a product buys, in three digits that count."""
    count = (2 * product.grant_ubt + measure.turn_ubt) // (2 * measure.turn_ubt)
    step = 10 ** max(0, len(str(count)) - 3)
    return f"{(count + step // 2) // step * step:,}"


def _each(product: Product, currency: str) -> str:
    if product.grant_ubt < _MILLION_UBT:
        return ""
    minor = amounts.per_million_minor(product.price_minor, product.grant_ubt)
    return amounts.money(minor, currency)
