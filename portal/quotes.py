"""What the checkout says of prices: of each quantity, of price steps, with a coupon.

Called by `portal.views.checkout`. The sums are those that an order placed now would have.
"""

from dataclasses import dataclass

from billing import orders
from billing.models import Product
from billing.orders import Price, discounts
from billing.orders.wishes import MOST_AT_ONCE
from portal import amounts

_QUANTITIES = (*range(1, 11), 20, 50, MOST_AT_ONCE)


@dataclass(frozen=True)
class Choice:
    """A quantity and its sums in words; `discount` is "" where nothing comes off."""

    quantity: int
    subtotal: str
    discount: str
    total: str
    is_free: bool


@dataclass(frozen=True)
class Step:
    """A price step in words."""

    min_quantity: int
    each: str


@dataclass(frozen=True)
class Quote:
    """The prices of one checkout; `coupon` is the word that is taken into account."""

    choices: list[Choice]
    chosen: Choice
    steps: list[Step]
    coupon: str


def quote(product: Product, *, quantity: int, currency: str, coupon: str = "") -> Quote:
    """Return the prices to choose from, and those of what is chosen."""
    most = _most(product)
    offered = sorted({*(number for number in _QUANTITIES if number <= most), most, quantity})
    prices = orders.prices(product, quantities=offered, coupon=coupon)
    choices = {number: _choice(number, prices[number], currency) for number in offered}
    return Quote(
        choices=list(choices.values()),
        chosen=choices[quantity],
        steps=[
            Step(step.min_quantity, amounts.money(step.unit_minor, currency))
            for step in discounts.steps_of(product)
            if step.min_quantity <= most
        ],
        coupon=coupon.strip().upper(),
    )


def _most(product: Product) -> int:
    """Return how many can be ordered at once, if the buyer has ordered none before."""
    limits = (product.max_quantity, product.max_per_person, product.max_per_day, MOST_AT_ONCE)
    return max(1, min(limit for limit in limits if limit is not None))


def _choice(quantity: int, price: Price, currency: str) -> Choice:
    return Choice(
        quantity=quantity,
        subtotal=amounts.money(price.subtotal_minor, currency),
        discount=amounts.money(price.discount_minor, currency) if price.discount_minor else "",
        total=amounts.money(price.total_minor, currency),
        is_free=not price.total_minor,
    )
