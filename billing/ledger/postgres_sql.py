"""The statements of the ledger on PostgreSQL, to be prepared. Read by `engine_postgres` alone.

Rows come back as (kind, id, numbers): one int8[] is cheaper to read than eight columns. Reads come
after the statement that locks, because a statement sees what was committed before it began: what
another process wrote while we waited for its lock would be missed.
"""

from billing.ledger.ops import Grant
from billing.ledger.packing import FLOAT8, INT8_ARRAY, TEXT, TEXT_ARRAY, UUID, UUID_ARRAY
from billing.ledger.pipeline import Statement
from billing.ledger.rows import HOLD_NUMBERS, HOLD_WORDS, USAGE_NUMBERS, USAGE_WORDS, Column

TAKEN, RUNNING, CLOSED, KEY = 0, 1, 2, 3

_LOCK = f"""
SELECT ARRAY[id, tenant_id,
             CASE WHEN status <> 'active' OR debt_ubt > 0 THEN {Grant.WALLET_BLOCKED}
                  WHEN expires_at <= now() THEN {Grant.WALLET_EXPIRED} ELSE 0 END,
             credits_ubt - debits_ubt - pending_ubt, pending_ubt]
FROM wallet WHERE id = ANY($1) ORDER BY id FOR UPDATE"""

_HELD = """
ARRAY[tenant_id, wallet_id, key_id, coalesce(window_id, 0), amount_ubt,
      coalesce(wholesale_wallet_id, 0), wholesale_ubt, retail_price_id]"""

# $5 and $6 are the smallest and the largest of $4: they let the planner skip partitions.
_READ = f"""
WITH taken AS (
    DELETE FROM hold WHERE id = ANY($1)
    AND ($2::float8 IS NULL OR heartbeat_at <= clock_timestamp() - $2 * interval '1 second')
    RETURNING id, {_HELD} AS numbers)
SELECT {TAKEN}::int8, id, numbers FROM taken
UNION ALL SELECT {RUNNING}, id, {_HELD} FROM hold WHERE id = ANY($3)
UNION ALL SELECT {CLOSED}, id, NULL FROM usage_record
          WHERE id = ANY($4) AND id >= $5 AND id <= $6
UNION ALL SELECT {KEY}, NULL, ARRAY[
    id, tenant_id, wallet_id,
    CASE WHEN status <> 'active' OR revoked_at <= now() THEN {Grant.KEY_DISABLED}
         WHEN expires_at <= now() THEN {Grant.KEY_EXPIRED} ELSE 0 END,
    (limit_ubt IS NOT NULL)::int, coalesce(limit_ubt - spent_ubt - pending_ubt, 0), pending_ubt]
FROM api_key WHERE id = ANY($7)"""

_RESOLVED = """
SELECT u.id, ARRAY[u.tenant_id, u.wallet_id, u.key_id, coalesce(u.window_id, 0), u.charged_ubt,
                   coalesce(u.wholesale_wallet_id, 0), u.wholesale_ubt,
                   (u.resolution = 'reaped')::int, (t.id IS NOT NULL)::int,
                   coalesce(-t.direction * t.amount_ubt, 0)]
FROM usage_record u LEFT JOIN transfer t ON t.tenant_id = u.tenant_id
     AND t.source = 'late_settle' AND t.source_id = replace(u.id::text, '-', '')
     AND t.kind = 'correction'
WHERE u.id = ANY($1) AND u.id >= $2 AND u.id <= $3"""

_MAKE_WINDOWS = """
INSERT INTO budget_window
(tenant_id, key_id, period, starts_at, limit_ubt, spent_ubt, pending_ubt)
SELECT tenant_id, key_id, period, to_timestamp(starts_at), limit_ubt, 0, 0
FROM unnest($1::int8[], $2::int8[], $3::text[], $4::int8[], $5::int8[])
     AS t(tenant_id, key_id, period, starts_at, limit_ubt)
ON CONFLICT (key_id, period, starts_at) DO NOTHING"""

_FIND_WINDOWS = """
SELECT ARRAY[t.n - 1, w.id]
FROM unnest($1::int8[], $2::text[], $3::int8[]) WITH ORDINALITY AS t(key_id, period, starts_at, n)
JOIN budget_window w ON w.key_id = t.key_id AND w.period = t.period
                        AND w.starts_at = to_timestamp(t.starts_at)"""

_WINDOWS = """
SELECT ARRAY[id, limit_ubt, limit_ubt - spent_ubt - pending_ubt, pending_ubt]
FROM budget_window WHERE id = ANY($1)"""


def _insert(
    table: str,
    numbers: tuple[Column, ...],
    words: tuple[str, ...],
    *,
    first: int,
    more: dict[str, str],
) -> str:
    """Return an INSERT of ids ($first), numbers ($first + 1, a row each) and columns of words."""
    names = ["id", *(column.name for column in numbers), *words, *more]
    values = ["t.id"]
    values += [column.expression.format(f"r.a[t.n][{n}]") for n, column in enumerate(numbers, 1)]
    values += [f"t.{word}" for word in words]
    values += more.values()
    columns = [f"${first}::uuid[]", *(f"${first + 2 + n}::text[]" for n in range(len(words)))]
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} "
        f"FROM unnest({', '.join(columns)}) WITH ORDINALITY AS t(id, {', '.join(words)}, n), "
        f"(SELECT ${first + 1}::int8[] AS a OFFSET 0) AS r"
    )


_USAGE_PARAMETERS = (UUID_ARRAY, INT8_ARRAY, *(TEXT_ARRAY for _ in USAGE_WORDS))
_HOLD_PARAMETERS = (UUID_ARRAY, INT8_ARRAY, *(TEXT_ARRAY for _ in HOLD_WORDS), TEXT)
_WALLET_PARAMETERS = (INT8_ARRAY, INT8_ARRAY, INT8_ARRAY, INT8_ARRAY)

_FIRST_OF_HOLD = 1 + len(_USAGE_PARAMETERS)
_FIRST_OF_WALLET = _FIRST_OF_HOLD + len(_HOLD_PARAMETERS)

_INSERT_USAGE = _insert(
    "usage_record", USAGE_NUMBERS, USAGE_WORDS, first=1, more={"created_at": "now()"}
)
_INSERT_HOLD = _insert(
    "hold",
    HOLD_NUMBERS,
    HOLD_WORDS,
    first=_FIRST_OF_HOLD,
    more={
        "owner": f"${_FIRST_OF_WALLET - 1}",
        "heartbeat_at": "statement_timestamp()",
        "created_at": "statement_timestamp()",
        "counted_output": "0",
        "delivered_ubt": "0",
    },
)


def _update_wallets(first: int) -> str:
    arrays = ", ".join(f"${first + n}::int8[]" for n in range(len(_WALLET_PARAMETERS)))
    return f"""
        UPDATE wallet AS w
        SET credits_ubt = credits_ubt + v.credited, debits_ubt = debits_ubt + v.charged,
            pending_ubt = pending_ubt + v.reserved
        FROM unnest({arrays}) AS v(id, credited, charged, reserved) WHERE w.id = v.id"""


_WRITE = f"""
WITH usage AS ({_INSERT_USAGE}), holds AS ({_INSERT_HOLD})
{_update_wallets(_FIRST_OF_WALLET)}"""

_UPDATE_PROGRESS = """
UPDATE hold AS h
SET counted_input = v.counted_input, counted_output = v.counted_output,
    delivered_ubt = v.delivered_ubt, amount_ubt = h.amount_ubt + v.grown_ubt,
    wholesale_ubt = h.wholesale_ubt + v.wholesale_grown_ubt,
    channel_id = coalesce(nullif(v.channel_id, 0), h.channel_id),
    model_served = coalesce(nullif(v.model_served, ''), h.model_served),
    heartbeat_at = statement_timestamp()
FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
            $8::text[])
     AS v(id, counted_input, counted_output, delivered_ubt, grown_ubt, wholesale_grown_ubt,
          channel_id, model_served)
WHERE h.id = v.id"""

_UPDATE_KEYS = """
UPDATE api_key AS k SET spent_ubt = spent_ubt + v.charged, pending_ubt = pending_ubt + v.reserved
FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS v(id, charged, reserved) WHERE k.id = v.id"""

_UPDATE_WINDOWS = """
UPDATE budget_window AS w
SET limit_ubt = v.limit_ubt, spent_ubt = spent_ubt + v.charged,
    pending_ubt = pending_ubt + v.reserved
FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[]) AS v(id, limit_ubt, charged, reserved)
WHERE w.id = v.id"""

_INSERT_CORRECTIONS = """
INSERT INTO transfer (tenant_id, wallet_id, kind, direction, amount_ubt, source, source_id,
                      input_hash, actor, reason, created_at)
SELECT tenant_id, wallet_id, 'correction', direction, amount_ubt, source, source_id,
       input_hash, '', '', now()
FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::text[], $6::text[], $7::text[])
     AS t(tenant_id, wallet_id, direction, amount_ubt, source, source_id, input_hash)"""

# A row that somebody else has locked is being settled; waiting for it could only deadlock.
_HEARTBEAT = """
UPDATE hold SET heartbeat_at = statement_timestamp()
WHERE id IN (SELECT id FROM hold WHERE id = ANY($1) FOR UPDATE SKIP LOCKED)"""

_NOTE = """
INSERT INTO reconcile_finding
(tenant_id, invariant, subject, observed, expected, repair, created_at)
SELECT id, 'commit', $2, $3, 'committed', '', now() FROM tenant
WHERE id = ANY($1) OR is_platform ORDER BY is_platform LIMIT 1"""

_IDS = (INT8_ARRAY,)

STATEMENTS = {
    "begin": Statement("BEGIN"),
    "commit": Statement("COMMIT"),
    "rollback": Statement("ROLLBACK"),
    "lock": Statement(_LOCK, _IDS),
    "read": Statement(_READ, (UUID_ARRAY, FLOAT8, UUID_ARRAY, UUID_ARRAY, UUID, UUID, INT8_ARRAY)),
    "resolved": Statement(_RESOLVED, (UUID_ARRAY, UUID, UUID)),
    "make_windows": Statement(
        _MAKE_WINDOWS, (INT8_ARRAY, INT8_ARRAY, TEXT_ARRAY, INT8_ARRAY, INT8_ARRAY)
    ),
    "find_windows": Statement(_FIND_WINDOWS, (INT8_ARRAY, TEXT_ARRAY, INT8_ARRAY)),
    "windows": Statement(_WINDOWS, _IDS),
    "write": Statement(_WRITE, (*_USAGE_PARAMETERS, *_HOLD_PARAMETERS, *_WALLET_PARAMETERS)),
    "wallets": Statement(_update_wallets(1), _WALLET_PARAMETERS),
    "progress": Statement(
        _UPDATE_PROGRESS, (UUID_ARRAY, *(INT8_ARRAY for _ in range(6)), TEXT_ARRAY)
    ),
    "keys": Statement(_UPDATE_KEYS, _IDS * 3),
    "update_windows": Statement(_UPDATE_WINDOWS, _IDS * 4),
    "corrections": Statement(_INSERT_CORRECTIONS, (*_IDS * 4, *(TEXT_ARRAY for _ in range(3)))),
    "heartbeat": Statement(_HEARTBEAT, (UUID_ARRAY,)),
    "note": Statement(_NOTE, (INT8_ARRAY, TEXT, TEXT)),
}
