"""Currencies: what one minor unit is."""

import pytest

from billing import currencies


@pytest.mark.parametrize(
    ("currency", "expected"),
    [("CNY", 2), ("USD", 2), ("JPY", 0), ("XAF", 0), ("UGX", 0), ("MGA", 2), ("KWD", 3)],
)
def test_a_currency_has_the_decimals_of_its_standard(currency: str, expected: int) -> None:
    assert currencies.decimals(currency) == expected
