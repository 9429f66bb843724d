"""CSV that opens in a spreadsheet as it was meant: its letters, and no formula of a stranger's.

Called by exports of calls and of sales. A text that a spreadsheet would take for a formula is
written as text; numbers of our own making are `Number`s and stay numbers, minus sign and all.
"""

import csv
import io
from collections.abc import Iterable, Sequence

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Number(str):
    """A number in decimal text, such as "-58.00", that was made here."""

    __slots__ = ()


Value = str | int | bool | None


def lines(rows: Iterable[Sequence[Value]]) -> str:
    """Return rows as lines of CSV."""
    file = io.StringIO()
    csv.writer(file).writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue()


def _cell(value: Value) -> Value:
    is_text = isinstance(value, str) and not isinstance(value, Number)
    return f"'{value}" if is_text and str(value).startswith(_FORMULA) else value
