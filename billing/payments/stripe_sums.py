"""Sums in Stripe's units, which are not the usual ones of every currency. Pure; for `stripe`."""

from billing import currencies
from billing.errors import PaymentAway

_OTHER_DECIMALS = {"ISK": 2, "MGA": 0, "UGX": 2}
"""Where Stripe counts in other units than the standard."""


def to_stripe(minor: int, currency: str) -> int:
    """Return a sum of minor units as Stripe counts it. Raises PaymentAway for fractions."""
    more, fewer = _steps(currency)
    if minor % fewer:
        raise PaymentAway(f"Stripe takes no fractions of {currency}.")
    return minor * more // fewer


def from_stripe(amount: int, currency: str) -> int:
    """Return what Stripe counts in minor units. Raises PaymentAway for fractions."""
    more, fewer = _steps(currency)
    if amount % more:
        raise PaymentAway(f"Stripe speaks of fractions of {currency}.")
    return amount * fewer // more


def _steps(currency: str) -> tuple[int, int]:
    """Return what our units are to be multiplied with and divided by to be Stripe's."""
    usual = currencies.decimals(currency)
    theirs = _OTHER_DECIMALS.get(currency, usual)
    return 10 ** max(theirs - usual, 0), 10 ** max(usual - theirs, 0)
