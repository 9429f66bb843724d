"""What base tokens cost in a shop, at its best price. Called by pages that say prices in money.

These are figures to compare with, rounded; what is paid is the price of a product.
"""

from dataclasses import dataclass
from fractions import Fraction

from billing.models import Product
from portal import amounts

MILLION = 1_000_000
_TWO_DIGITS = 10
_MOST_DECIMALS = 8


@dataclass(frozen=True)
class Rate:
    """The offer that sells most base tokens for its money."""

    product: str
    price_minor: int
    grant_ubt: int
    currency: str

    def cost_minor(self, ubt: int) -> Fraction:
        """Return what an amount costs, in minor units, exactly."""
        return Fraction(ubt * self.price_minor, self.grant_ubt)

    def cost(self, ubt: int) -> str:
        """Return what an amount costs, as people say it."""
        return fine_money(self.cost_minor(ubt), self.currency)

    def per_million(self, ubt: int) -> str:
        """Return what a million units cost of which one costs `ubt`."""
        return self.cost(ubt * MILLION)


def cheapest(*, currency: str) -> Rate | None:
    """Return a shop's best offer for whatever model, in its scope; None while it has none."""
    sold = Product.objects.filter(is_active=True, price_minor__gt=0)
    for_all_models = [product for product in sold if not product.allowed_models]
    best = min(
        for_all_models, key=lambda one: Fraction(one.price_minor, one.grant_ubt), default=None
    )
    if best is None:
        return None
    return Rate(str(best), best.price_minor, best.grant_ubt, currency)


def fine_money(minor: Fraction, currency: str) -> str:
    """Return money with its usual decimals, and as many more as two digits of a small sum need."""
    usual = amounts.decimals(currency)
    whole_units = minor / 10**usual
    places = usual
    while whole_units and places < _MOST_DECIMALS and round(whole_units * 10**places) < _TWO_DIGITS:
        places += 1
    digits, fraction = divmod(round(whole_units * 10**places), 10**places)
    text = f"{digits:,}.{fraction:0{places}d}" if places else f"{digits:,}"
    return f"{amounts.symbol(currency)}{text}"
