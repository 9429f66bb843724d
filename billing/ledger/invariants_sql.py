"""What must always be true of the books, as queries that return what is not. Read by `reconcile`.

Each query gets the wallets of a page (and where it reads usage, the first id to look at) and
returns rows of (tenant, subject, observed, expected). `Query.text` has `{wallets}` for the list of
wallet ids, `{since}` for that first id, and `{hex}` for a request id as 32 digits.
"""

from typing import NamedTuple

from billing.pricing import BUCKETS, INPUT_BUCKETS


class Query(NamedTuple):
    """An invariant by its name and the query that finds what breaks it."""

    invariant: str
    text: str


def _compare(invariant: str, rows: str) -> Query:
    """Keep the rows of (tenant_id, subject, observed, expected) that differ."""
    return Query(
        invariant,
        f"SELECT tenant_id, subject, observed, expected FROM ({rows}) AS x "
        "WHERE observed <> expected",
    )


def _sum(column: str, table: str, condition: str) -> str:
    return f"coalesce((SELECT sum({column}) FROM {table} WHERE {condition}), 0)"


_WALLETS = "FROM wallet AS w WHERE w.id IN ({wallets})"
_CAPPED = "FROM api_key AS k WHERE k.wallet_id IN ({wallets}) AND k.limit_ubt IS NOT NULL"
_WINDOWS = (
    "FROM budget_window AS b JOIN api_key AS k ON k.id = b.key_id WHERE k.wallet_id IN ({wallets})"
)

# Late settles of reaped requests are transfers of the wallet; caps and windows feel them too.
_CORRECTIONS = """coalesce((
    SELECT sum(-t.direction * t.amount_ubt) FROM usage_record AS u
    JOIN transfer AS t ON t.tenant_id = u.tenant_id AND t.source = 'late_settle'
                          AND t.source_id = {hex} AND t.kind = 'correction'
    WHERE u.key_id = %s AND u.resolution = 'reaped'), 0)"""

_CREDITS = _sum("t.amount_ubt", "transfer t", "t.wallet_id = w.id AND t.direction = 1")
_DEBITS = _sum("t.amount_ubt", "transfer t", "t.wallet_id = w.id AND t.direction = -1")
_CHARGES = _sum("u.charged_ubt", "usage_record u", "u.wallet_id = w.id")
_WHOLESALE = _sum("u.wholesale_ubt", "usage_record u", "u.wholesale_wallet_id = w.id")
_OPENINGS = _sum("o.charged_ubt + o.wholesale_ubt", "usage_opening o", "o.wallet_id = w.id")
_DEBTS = _sum(
    "t.direction * t.amount_ubt",
    "transfer t",
    "t.wallet_id = w.id AND t.kind IN ('debt', 'debt_recovery')",
)

_I1 = (
    "SELECT w.tenant_id, w.id AS subject, w.credits_ubt AS observed, "
    f"{_CREDITS} AS expected {_WALLETS}"
)
_I2 = (
    "SELECT w.tenant_id, w.id AS subject, w.debits_ubt AS observed, "
    f"{_DEBITS} + {_CHARGES} + {_WHOLESALE} + {_OPENINGS} AS expected {_WALLETS}"
)
_I2_DEBT = (
    f"SELECT w.tenant_id, w.id AS subject, w.debt_ubt AS observed, {_DEBTS} AS expected {_WALLETS}"
)

_I3_WALLET = (
    "SELECT w.tenant_id, w.id AS subject, w.pending_ubt AS observed, "
    f"{_sum('h.amount_ubt', 'hold h', 'h.wallet_id = w.id')} + "
    f"{_sum('h.wholesale_ubt', 'hold h', 'h.wholesale_wallet_id = w.id')} AS expected {_WALLETS}"
)
_I3_KEY = (
    "SELECT k.tenant_id, k.id AS subject, k.pending_ubt AS observed, "
    f"{_sum('h.amount_ubt', 'hold h', 'h.key_id = k.id')} AS expected {_CAPPED}"
)
_I3_WINDOW = (
    "SELECT b.tenant_id, b.id AS subject, b.pending_ubt AS observed, "
    f"{_sum('h.amount_ubt', 'hold h', 'h.window_id = b.id')} AS expected {_WINDOWS}"
)

_I11_KEY = (
    "SELECT k.tenant_id, k.id AS subject, k.spent_ubt AS observed, "
    f"{_sum('u.charged_ubt', 'usage_record u', 'u.key_id = k.id')} + "
    f"{_sum('o.charged_ubt', 'usage_opening o', 'o.key_id = k.id')} + "
    f"{_CORRECTIONS % 'k.id'} AS expected {_CAPPED}"
)
_I11_WINDOW = (
    "SELECT b.tenant_id, b.id AS subject, b.spent_ubt AS observed, "
    f"{_sum('u.charged_ubt', 'usage_record u', 'u.key_id = b.key_id AND u.window_id = b.id')} + "
    f"{_CORRECTIONS % 'b.key_id AND u.window_id = b.id'} AS expected {_WINDOWS}"
)

_USAGE = "u.wallet_id IN ({wallets}) AND u.id >= {since}"
_INPUT = " + ".join(f"u.{bucket}_count" for bucket in INPUT_BUCKETS)
_COST = " + ".join(
    f"u.{bucket}_count * CASE WHEN t.id IS NULL THEN p.{bucket}_ubt ELSE t.{bucket}_ubt END"
    for bucket in BUCKETS
)

# What was given away (an abort that is not charged) may say what it would have been.
_I6 = f"""
SELECT u.tenant_id, {{hex}} AS subject, u.charged_ubt + u.absorbed_ubt AS observed,
       {_COST} AS expected
FROM usage_record AS u JOIN price_version AS p ON p.id = u.retail_price_id
LEFT JOIN price_tier AS t ON t.id = (
    SELECT i.id FROM price_tier AS i WHERE i.version_id = p.id AND i.min_input <= {_INPUT}
    ORDER BY i.min_input DESC LIMIT 1)
WHERE {_USAGE}
AND NOT (u.charged_ubt + u.absorbed_ubt = 0 AND u.resolution <> 'settled')"""

_I9_KEY = """
SELECT k.tenant_id, k.id AS subject, k.tenant_id AS observed, w.tenant_id AS expected
FROM api_key AS k JOIN wallet AS w ON w.id = k.wallet_id WHERE w.id IN ({wallets})"""
_I9_USAGE_WALLET = f"""
SELECT u.tenant_id, {{hex}} AS subject, u.tenant_id AS observed, w.tenant_id AS expected
FROM usage_record AS u JOIN wallet AS w ON w.id = u.wallet_id WHERE {_USAGE}"""
_I9_USAGE_KEY = f"""
SELECT u.tenant_id, {{hex}} AS subject, u.tenant_id AS observed, k.tenant_id AS expected
FROM usage_record AS u JOIN api_key AS k ON k.id = u.key_id WHERE {_USAGE}"""
_I9_WHOLESALE = f"""
SELECT u.tenant_id, {{hex}} AS subject, u.tenant_id AS observed, w.tenant_id AS expected
FROM usage_record AS u JOIN wallet AS w ON w.id = u.wholesale_wallet_id WHERE {_USAGE}"""

# Vectors are delivered without a bucket of their own.
_DELIVERED = " + ".join(f"u.{bucket}_count" for bucket in BUCKETS if bucket not in INPUT_BUCKETS)
_I10 = f"""
SELECT u.tenant_id, {{hex}} AS subject, u.charged_ubt AS observed, 0 AS expected
FROM usage_record AS u WHERE {_USAGE} AND u.usage_source <> 'upstream'
AND u.endpoint <> 'embeddings' AND {_DELIVERED} = 0"""

QUERIES = (
    _compare("I1", _I1),
    _compare("I2", _I2),
    _compare("I2 debt", _I2_DEBT),
    _compare("I3 wallet", _I3_WALLET),
    _compare("I3 key", _I3_KEY),
    _compare("I3 window", _I3_WINDOW),
    _compare("I6", _I6),
    _compare("I9 key", _I9_KEY),
    _compare("I9 wallet", _I9_USAGE_WALLET),
    _compare("I9 usage", _I9_USAGE_KEY),
    _compare("I9 wholesale", _I9_WHOLESALE),
    _compare("I10", _I10),
    _compare("I11 key", _I11_KEY),
    _compare("I11 window", _I11_WINDOW),
)

TOUCHED = """
SELECT wallet_id FROM usage_record WHERE id >= {since}
UNION SELECT wholesale_wallet_id FROM usage_record
      WHERE id >= {since} AND wholesale_wallet_id IS NOT NULL
UNION SELECT wallet_id FROM hold
UNION SELECT wholesale_wallet_id FROM hold WHERE wholesale_wallet_id IS NOT NULL
UNION SELECT wallet_id FROM transfer
      WHERE id > (SELECT coalesce(max(id), 0) - 1000 FROM transfer)
ORDER BY 1"""
"""The wallets that requests and transfers have lately moved."""
