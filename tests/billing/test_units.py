"""Base tokens and micro base tokens: exact, or refused."""

from decimal import Decimal

import pytest

from billing.errors import AmountInexact
from billing.units import MAX_UBT, ceil_base_tokens, exact_base_tokens, floor_base_tokens, to_ubt


@pytest.mark.parametrize(
    ("text", "ubt"),
    [
        ("1.5", 1_500_000),
        ("90000", 90_000_000_000),
        (20, 20_000_000),
        ("0.000001", 1),
        ("-2", -2_000_000),
        (Decimal("1E+3"), 1_000_000_000),
        ("4611686018427.387903", MAX_UBT),
    ],
)
def test_base_tokens_become_ubt_exactly(text: str, ubt: int) -> None:
    assert to_ubt(text) == ubt


@pytest.mark.parametrize(
    "wrong",
    [
        "0.0000001",
        "",
        "many",
        "NaN",
        "Infinity",
        "1e999999999",
        "4611686018427.387904",
        "1.00000000000000000000000000000000000001",
    ],
)
def test_what_is_not_exact_is_refused(wrong: str) -> None:
    with pytest.raises(AmountInexact):
        to_ubt(wrong)


def test_what_is_left_is_rounded_down_and_what_was_used_up() -> None:
    assert (floor_base_tokens(1_999_999), ceil_base_tokens(1_000_001)) == (1, 2)
    assert (floor_base_tokens(2_000_000), ceil_base_tokens(2_000_000)) == (2, 2)


@pytest.mark.parametrize(
    ("ubt", "text"),
    [(0, "0"), (1, "0.000001"), (1_500_000, "1.5"), (-1_500_000, "-1.5"), (20_000_000, "20")],
)
def test_amounts_are_written_without_loss(ubt: int, text: str) -> None:
    assert exact_base_tokens(ubt) == text
    assert to_ubt(text) == ubt
