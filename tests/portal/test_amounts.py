"""How numbers are said: base tokens, money, multipliers, seconds, shares and masks."""

import pytest
from django.utils import translation

from portal import amounts

UBT = 10**6


@pytest.mark.parametrize(
    ("base_tokens", "chinese", "english"),
    [
        (0, "0", "0"),
        (999, "999", "999"),
        (1_000, "1,000", "1k"),
        (9_999, "9,999", "9.99k"),
        (50_000, "5 万", "50k"),
        (1_000_000, "100 万", "1M"),
        (5_250_000, "525 万", "5.25M"),
        (12_345_678, "1234.56 万", "12.34M"),
        (20_000_000, "2000 万", "20M"),
        (100_000_000, "1 亿", "100M"),
        (2_000_000_000, "20 亿", "2B"),
    ],
)
def test_amounts_to_buy_are_said_short(base_tokens: int, chinese: str, english: str) -> None:
    with translation.override("zh-hans"):
        assert amounts.amount_text(base_tokens * UBT) == chinese
    with translation.override("en"):
        assert amounts.amount_text(base_tokens * UBT) == english


def test_an_amount_never_says_more_than_there_is() -> None:
    with translation.override("en"):
        assert amounts.amount_text(1_999_999 * UBT) == "1.99M"


@pytest.mark.parametrize(
    ("amount_ubt", "left", "used"),
    [
        (0, "0", "0"),
        (1, "0", "1"),
        (1_500_000, "1", "2"),
        (6_204_118 * UBT, "6,204,118", "6,204,118"),
        (-5 * UBT, "\N{MINUS SIGN}5", "\N{MINUS SIGN}5"),
    ],
)
def test_balances_have_all_their_digits(amount_ubt: int, left: str, used: str) -> None:
    assert amounts.base_tokens(amount_ubt) == left
    assert amounts.used_base_tokens(amount_ubt) == used


@pytest.mark.parametrize(
    ("minor", "currency", "whole", "short"),
    [
        (5800, "CNY", "¥58.00", "¥58"),
        (5850, "CNY", "¥58.50", "¥58.50"),
        (102_000, "CNY", "¥1,020.00", "¥1,020"),
        (5, "USD", "$0.05", "$0.05"),
        (0, "EUR", "€0.00", "€0"),
        (-500, "CNY", "\N{MINUS SIGN}¥5.00", "\N{MINUS SIGN}¥5"),
        (1200, "JPY", "JP¥1,200", "JP¥1,200"),
        (15_000, "KRW", "₩15,000", "₩15,000"),
        (1_234, "KWD", "KWD\N{NO-BREAK SPACE}1.234", "KWD\N{NO-BREAK SPACE}1.234"),
        (900, "CHF", "CHF\N{NO-BREAK SPACE}9.00", "CHF\N{NO-BREAK SPACE}9"),
    ],
)
def test_money_has_the_decimals_of_its_currency(
    minor: int, currency: str, whole: str, short: str
) -> None:
    assert amounts.money(minor, currency) == whole
    assert amounts.money(minor, currency, short=True) == short


@pytest.mark.parametrize(
    ("price_minor", "base_tokens", "each_minor"),
    [(1200, 1_000_000, 1200), (5800, 5_000_000, 1160), (100, 3_000_000, 33), (200, 3_000_000, 67)],
)
def test_a_million_base_tokens_cost_their_share(
    price_minor: int, base_tokens: int, each_minor: int
) -> None:
    assert amounts.per_million_minor(price_minor, base_tokens * UBT) == each_minor


@pytest.mark.parametrize(
    ("ubt", "text"), [(0, "0"), (100_000, "0.1"), (1_666_667, "1.666667"), (20 * UBT, "20")]
)
def test_multipliers_are_exact(ubt: int, text: str) -> None:
    assert amounts.multiplier(ubt) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(0, "0.00"), (4, "0.00"), (5, "0.01"), (412, "0.41"), (60_000, "60.00")],
)
def test_seconds_have_two_decimals(duration_ms: int, text: str) -> None:
    assert amounts.seconds(duration_ms) == text


def test_a_duration_says_its_unit() -> None:
    with translation.override("zh-hans"):
        assert amounts.seconds_text(412) == "0.41 秒"
    with translation.override("en"):
        assert amounts.seconds_text(412) == "0.41 s"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "0"),
        (1, 1, "100"),
        (9_994, 10_000, "99.94"),
        (99_999, 100_000, "99.99"),
        (1, 2, "50"),
    ],
)
def test_only_all_of_it_is_a_hundred_percent(part: int, whole: int, text: str) -> None:
    assert amounts.percent(part, whole) == text


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("lin.xiaoyu@example.com", "l***u@example.com"),
        ("abc@example.com", "a***c@example.com"),
        ("ab@example.com", "a***@example.com"),
        ("a@example.com", "a***@example.com"),
        ('"a@b"@example.com', '"***"@example.com'),
        ("nobody", "***"),
        ("", "***"),
    ],
)
def test_a_masked_address_is_known_to_its_owner_alone(address: str, masked: str) -> None:
    assert amounts.mask_email(address) == masked


@pytest.mark.parametrize(
    ("minor", "currency", "typed"),
    [(123_450, "CNY", "1234.50"), (5, "CNY", "0.05"), (1_200, "JPY", "1200")],
)
def test_money_can_be_typed_at_a_bank(minor: int, currency: str, typed: str) -> None:
    assert amounts.plain_money(minor, currency) == typed
