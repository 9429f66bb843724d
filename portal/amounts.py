"""How numbers are said to people: base tokens, money, multipliers, seconds, masks. Pure.

Called by template tags, mails and views. Integers all the way; words follow the active language.
"""

from typing import NamedTuple

from django.utils.translation import get_language

from billing import currencies, units

_SYMBOLS = {
    "CNY": "¥",
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "JP¥",
    "KRW": "₩",
    "HKD": "HK$",
    "TWD": "NT$",
    "SGD": "S$",
    "AUD": "A$",
    "CAD": "CA$",
    "INR": "₹",
    "VND": "₫",
}
_MINUS = "\N{MINUS SIGN}"
_STEPS = {
    "zh": ((10**8, "亿"), (10**4, "万")),
    "en": ((10**9, "B"), (10**6, "M"), (10**3, "k")),
}


class Amount(NamedTuple):
    """An amount of base tokens, rounded down: digits, and what they count ("", "万", "M")."""

    number: str
    unit: str


def is_chinese() -> bool:
    """Tell whether the active language is Chinese."""
    return (get_language() or "").startswith("zh")


def base_tokens(amount_ubt: int) -> str:
    """Return whole base tokens with all their digits, rounded down: what is left, or bought."""
    return _grouped(units.floor_base_tokens(amount_ubt))


def used_base_tokens(amount_ubt: int) -> str:
    """Return whole base tokens with all their digits, rounded up: what was used."""
    return _grouped(units.ceil_base_tokens(amount_ubt))


def amount(amount_ubt: int) -> Amount:
    """Return an amount as it is offered, in 万 and 亿 or k and M, rounded down to two decimals."""
    whole = units.floor_base_tokens(amount_ubt)
    for size, unit in _STEPS["zh" if is_chinese() else "en"]:
        if abs(whole) >= size:
            hundredths = whole * 100 // size
            digits = f"{hundredths // 100}.{hundredths % 100:02d}".rstrip("0").rstrip(".")
            return Amount(digits, unit)
    return Amount(_grouped(whole), "")


def amount_text(amount_ubt: int) -> str:
    """Return an amount as one word of a sentence: "500 万", "5M"."""
    number, unit = amount(amount_ubt)
    return f"{number} {unit}" if unit and is_chinese() else f"{number}{unit}"


def money(minor: int, currency: str, *, short: bool = False) -> str:
    """Return money of minor units, symbol first; `short` leaves the decimals of a whole sum."""
    places = decimals(currency)
    whole, fraction = divmod(abs(minor), 10**places)
    digits = _grouped(whole)
    if places and (fraction or not short):
        digits += f".{fraction:0{places}d}"
    return f"{_MINUS if minor < 0 else ''}{symbol(currency)}{digits}"


def plain_money(minor: int, currency: str) -> str:
    """Return money as one types it, without symbol and grouping: "1234.50", "-8.00"."""
    places = decimals(currency)
    whole, fraction = divmod(abs(minor), 10**places)
    digits = f"{whole}.{fraction:0{places}d}" if places else str(whole)
    return f"-{digits}" if minor < 0 else digits


def decimals(currency: str) -> int:
    """Return how many digits a sum of this currency has behind the point."""
    return currencies.decimals(currency)


def symbol(currency: str) -> str:
    """Return what stands before a sum of this currency: "¥", "$", "CHF "."""
    return _SYMBOLS.get(currency, f"{currency}\N{NO-BREAK SPACE}")


def per_million_minor(price_minor: int, grant_ubt: int) -> int:
    """Return what a million base tokens cost in an offer, in minor units, rounded half up."""
    return (2 * price_minor * 10**12 + grant_ubt) // (2 * grant_ubt)


def multiplier(ubt: int) -> str:
    """Return the base tokens that one unit costs, exactly: 1666667 -> "1.666667"."""
    return units.exact_base_tokens(ubt)


def seconds(duration_ms: int) -> str:
    """Return a duration with two decimals and no unit: 412 -> "0.41"."""
    hundredths = (duration_ms + 5) // 10
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def seconds_text(duration_ms: int) -> str:
    """Return a duration with two decimals and its unit: "0.41 秒", "0.41 s"."""
    return f"{seconds(duration_ms)} {'秒' if is_chinese() else 's'}"


def mask_email(address: str) -> str:
    """Return an address that its owner knows again: "l***u@example.com"."""
    name, at, host = address.rpartition("@")
    if not at:
        return "***"
    return f"{name[:1]}***{name[-1:] if len(name) > 2 else ''}@{host}"


def percent(part: int, whole: int) -> str:
    """Return a share with two decimals at most, rounded down, so that 100 means all: "99.94"."""
    hundredths = part * 10_000 // whole if whole else 0
    return f"{hundredths // 100}.{hundredths % 100:02d}".rstrip("0").rstrip(".")


def _grouped(whole: int) -> str:
    return f"{whole:,}".replace("-", _MINUS)
