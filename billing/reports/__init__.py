"""The read side: what is left, what was used, how fast it was. Called by relay, portal and its API.

Selectors only; they need an open scope. Each reads by an index and by ranges of request ids, so
that what it costs grows with what it looks at and not with what there is.

- `balances`: what a key was granted, has used, holds and has left, and in which state it is.
- `reach`: whose usage a key may see.
- `listing`, `charges`: single calls, a page at a time, and how each charge comes about.
- `periods`, `speeds`: sums and percentiles over hours and days.
"""

from billing.reports.balances import (
    Balance,
    Shown,
    key_balance,
    shown,
    standing,
    wallet_balance,
    wallet_standing,
)
from billing.reports.charges import Bill, BillLine, bills
from billing.reports.listing import CallFilters, Page, calls
from billing.reports.periods import (
    MAX_DAYS,
    DailyCharge,
    Slot,
    Totals,
    charged_by_key,
    daily_charges,
    days_left,
    pace_ubt,
    per_day,
    per_hour,
    slots,
    totals,
)
from billing.reports.reach import records_of, sees_wallet
from billing.reports.speeds import (
    ModelSpeed,
    Moment,
    Percentiles,
    Speeds,
    first_token_series,
    speed,
)

__all__ = [
    "MAX_DAYS",
    "Balance",
    "Bill",
    "BillLine",
    "CallFilters",
    "DailyCharge",
    "ModelSpeed",
    "Moment",
    "Page",
    "Percentiles",
    "Shown",
    "Slot",
    "Speeds",
    "Totals",
    "bills",
    "calls",
    "charged_by_key",
    "daily_charges",
    "days_left",
    "first_token_series",
    "key_balance",
    "pace_ubt",
    "per_day",
    "per_hour",
    "records_of",
    "sees_wallet",
    "shown",
    "slots",
    "speed",
    "standing",
    "totals",
    "wallet_balance",
    "wallet_standing",
]
