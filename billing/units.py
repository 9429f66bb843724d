"""Base tokens and micro base tokens (ubt): exact conversions. Pure; called by everyone."""

from decimal import Decimal, InvalidOperation

from billing.errors import AmountInexact

UBT_PER_BASE_TOKEN = 1_000_000
MAX_UBT = 2**62 - 1
"""No wallet's lifetime sum may exceed this, so no single amount can."""


def to_ubt(value: str | int | Decimal) -> int:
    """Return base tokens as ubt, exactly.

    Raises AmountInexact for finer than 1 ubt, for what is no plain number, and beyond MAX_UBT.
    """
    try:
        amount = Decimal(value)
        scaled = amount.scaleb(6)
        whole = int(scaled)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise AmountInexact(f"{value!r} is not a number of base tokens") from error
    if scaled != whole or abs(whole) > MAX_UBT:
        raise AmountInexact(f"{value!r} base tokens is not a whole number of micro base tokens")
    return whole


def floor_base_tokens(amount_ubt: int) -> int:
    """Return whole base tokens, rounded down: what is left."""
    return amount_ubt // UBT_PER_BASE_TOKEN


def ceil_base_tokens(amount_ubt: int) -> int:
    """Return whole base tokens, rounded up: what was used."""
    return -(-amount_ubt // UBT_PER_BASE_TOKEN)


def exact_base_tokens(amount_ubt: int) -> str:
    """Return base tokens as decimal text without loss: 1500000 -> "1.5"."""
    sign = "-" if amount_ubt < 0 else ""
    whole, fraction = divmod(abs(amount_ubt), UBT_PER_BASE_TOKEN)
    return f"{sign}{whole}" + (f".{fraction:06d}".rstrip("0") if fraction else "")
