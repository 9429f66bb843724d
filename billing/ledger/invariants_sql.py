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


class _Total(NamedTuple):
    """The sum of an expression over the rows of a table, by the column that says whose they are."""

    table: str
    column: str
    whose: str
    condition: str = "TRUE"


class _Owners(NamedTuple):
    """What is compared: rows `r` of a table, and how to select their ids alone."""

    table: str
    ids: str


_WALLETS = _Owners("wallet", "{wallets}")
_KEYS = _Owners(
    "api_key",
    "SELECT id FROM api_key WHERE wallet_id IN ({wallets}) AND limit_ubt IS NOT NULL",
)
_WINDOWS = _Owners(
    "budget_window",
    "SELECT id FROM budget_window WHERE key_id IN "
    "(SELECT id FROM api_key WHERE wallet_id IN ({wallets}))",
)


def _sums(invariant: str, owners: _Owners, column: str, *totals: _Total) -> Query:
    """Compare a column with the sum of totals, each of them read once for a page of owners."""
    joins = [
        f"LEFT JOIN (SELECT {total.whose} AS id, sum({total.column}) AS total FROM {total.table} "
        f"WHERE {total.whose} IN ({owners.ids}) AND {total.condition} GROUP BY {total.whose}"
        f") AS t{n} ON t{n}.id = r.id"
        for n, total in enumerate(totals)
    ]
    expected = " + ".join(f"coalesce(t{n}.total, 0)" for n in range(len(totals)))
    return _compare(
        invariant,
        f"SELECT r.tenant_id, r.id AS subject, r.{column} AS observed, {expected} AS expected "
        f"FROM {owners.table} AS r {' '.join(joins)} WHERE r.id IN ({owners.ids})",
    )


# There is an index by key and none by window.
_OF_THESE_KEYS = "key_id IN (SELECT id FROM api_key WHERE wallet_id IN ({wallets}))"

_CORRECTED = """usage_record AS u JOIN transfer AS t
ON t.tenant_id = u.tenant_id AND t.source = '{source}' AND t.source_id = {{hex}}
   AND t.kind = 'correction'"""
# Late settles of reaped requests and what failed jobs were given back are transfers of the wallet;
# caps and windows feel them too.
_CORRECTIONS = (
    (_CORRECTED.format(source="late_settle"), "u.resolution = 'reaped'"),
    (_CORRECTED.format(source="job_failed"), "u.endpoint IN ('videos', 'generic')"),
)


def _corrections(whose: str, condition: str = "TRUE") -> list[_Total]:
    return [
        _Total(table, "-t.direction * t.amount_ubt", whose, f"{kind} AND {condition}")
        for table, kind in _CORRECTIONS
    ]


_BALANCES = (
    _sums(
        "I1",
        _WALLETS,
        "credits_ubt",
        _Total("transfer", "amount_ubt", "wallet_id", "direction = 1"),
    ),
    _sums(
        "I2",
        _WALLETS,
        "debits_ubt",
        _Total("transfer", "amount_ubt", "wallet_id", "direction = -1"),
        _Total("usage_record", "charged_ubt", "wallet_id"),
        _Total("usage_record", "wholesale_ubt", "wholesale_wallet_id"),
        _Total("usage_opening", "charged_ubt + wholesale_ubt", "wallet_id"),
    ),
    _sums(
        "I2 debt",
        _WALLETS,
        "debt_ubt",
        _Total(
            "transfer",
            "direction * amount_ubt",
            "wallet_id",
            "kind IN ('debt', 'debt_recovery')",
        ),
    ),
    _sums(
        "I3 wallet",
        _WALLETS,
        "pending_ubt",
        _Total("hold", "amount_ubt", "wallet_id"),
        _Total("hold", "wholesale_ubt", "wholesale_wallet_id"),
    ),
    _sums("I3 key", _KEYS, "pending_ubt", _Total("hold", "amount_ubt", "key_id")),
    _sums("I3 window", _WINDOWS, "pending_ubt", _Total("hold", "amount_ubt", "window_id")),
    _sums(
        "I11 key",
        _KEYS,
        "spent_ubt",
        _Total("usage_record", "charged_ubt", "key_id"),
        _Total("usage_opening", "charged_ubt", "key_id"),
        *_corrections("u.key_id"),
    ),
    _sums(
        "I11 window",
        _WINDOWS,
        "spent_ubt",
        _Total("usage_record", "charged_ubt", "window_id", _OF_THESE_KEYS),
        *_corrections("u.window_id", f"u.{_OF_THESE_KEYS}"),
    ),
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

_I5_AMOUNT = """
SELECT d.tenant_id, d.id AS subject, t.direction * t.amount_ubt AS observed, l.grant_ubt AS expected
FROM delivery AS d JOIN transfer AS t ON t.id = d.transfer_id
JOIN order_line AS l ON l.id = d.line_id WHERE d.wallet_id IN ({wallets})"""
_I5_WALLET = """
SELECT d.tenant_id, d.id AS subject, t.wallet_id AS observed, d.wallet_id AS expected
FROM delivery AS d JOIN transfer AS t ON t.id = d.transfer_id WHERE d.wallet_id IN ({wallets})"""
_I5_COUNT = """
SELECT l.tenant_id, l.id AS subject, count(d.id) AS observed, l.quantity AS expected
FROM order_line AS l JOIN delivery AS d ON d.line_id = l.id
WHERE l.id IN (SELECT line_id FROM delivery WHERE wallet_id IN ({wallets}))
GROUP BY l.tenant_id, l.id, l.quantity"""
_I5_ORDER = """
SELECT d.tenant_id, d.id AS subject, o.delivery_status AS observed, 'delivered' AS expected
FROM delivery AS d JOIN order_line AS l ON l.id = d.line_id
JOIN shop_order AS o ON o.id = l.order_id
WHERE d.wallet_id IN ({wallets})"""

QUERIES = (
    *_BALANCES,
    _compare("I5 amount", _I5_AMOUNT),
    _compare("I5 wallet", _I5_WALLET),
    _compare("I5 count", _I5_COUNT),
    _compare("I5 order", _I5_ORDER),
    _compare("I6", _I6),
    _compare("I9 key", _I9_KEY),
    _compare("I9 wallet", _I9_USAGE_WALLET),
    _compare("I9 usage", _I9_USAGE_KEY),
    _compare("I9 wholesale", _I9_WHOLESALE),
    _compare("I10", _I10),
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
