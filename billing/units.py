"""Base tokens and micro base tokens (ubt): exact conversions. Pure; called by everyone."""

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow

from billing.errors import AmountInexact

UBT_PER_BASE_TOKEN = 1_000_000
MAX_UBT = 2**62 - 1
"""No wallet's lifetime sum may exceed this, so no single amount can."""

_exact = Context(prec=40, traps=[Inexact, InvalidOperation, Overflow])


def to_ubt(value: str | int | Decimal) -> int:
    """Return base tokens as ubt, exactly.

    Raises AmountInexact for finer than 1 ubt, for what is no plain number, and beyond MAX_UBT.
    """
    try:
        ubt = _exact.to_integral_exact(_exact.create_decimal(value).scaleb(6, _exact))
        is_storable = -MAX_UBT <= ubt <= MAX_UBT
    except (ArithmeticError, ValueError):
        raise AmountInexact(f"{value!r} is not a whole number of micro base tokens") from None
    if not is_storable:
        raise AmountInexact(f"{value!r} base tokens is more than a wallet can hold")
    return int(ubt)


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
