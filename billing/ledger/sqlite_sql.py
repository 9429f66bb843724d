"""The statements of the ledger on SQLite. Read by `engine_sqlite` alone."""

from billing.ledger.ops import Grant
from billing.ledger.rows import HOLD_NUMBERS, HOLD_WORDS, USAGE_NUMBERS, USAGE_WORDS, Column

_AMONG = "IN (SELECT value FROM json_each(?))"
CLOCK = "strftime('%Y-%m-%d %H:%M:%f', 'now')"

WALLETS = f"""
SELECT id, tenant_id, credits_ubt - debits_ubt - pending_ubt, pending_ubt,
       CASE WHEN status <> 'active' OR debt_ubt > 0 THEN {Grant.WALLET_BLOCKED}
            WHEN expires_at <= {CLOCK} THEN {Grant.WALLET_EXPIRED} ELSE 0 END
FROM wallet WHERE id {_AMONG}"""

KEYS = f"""
SELECT id, tenant_id, wallet_id,
       CASE WHEN status <> 'active' OR revoked_at <= {CLOCK} THEN {Grant.KEY_DISABLED}
            WHEN expires_at <= {CLOCK} THEN {Grant.KEY_EXPIRED} ELSE 0 END,
       limit_ubt - spent_ubt - pending_ubt, pending_ubt
FROM api_key WHERE id {_AMONG}"""

_HELD = """
id, tenant_id, wallet_id, key_id, ifnull(window_id, 0), amount_ubt,
ifnull(wholesale_wallet_id, 0), wholesale_ubt, retail_price_id"""

TAKE_HOLDS = f"DELETE FROM hold WHERE id {_AMONG} RETURNING {_HELD}"
TAKE_SILENT_HOLDS = f"""
DELETE FROM hold WHERE id {_AMONG}
AND heartbeat_at <= strftime('%Y-%m-%d %H:%M:%f', 'now', ?) RETURNING {_HELD}"""
RUNNING = f"SELECT {_HELD} FROM hold WHERE id {_AMONG}"
CLOSED = f"SELECT id FROM usage_record WHERE id {_AMONG}"

RESOLVED = f"""
SELECT u.id, u.tenant_id, u.wallet_id, u.key_id, ifnull(u.window_id, 0), u.charged_ubt,
       ifnull(u.wholesale_wallet_id, 0), u.wholesale_ubt, u.resolution = 'reaped',
       t.id IS NOT NULL, ifnull(-t.direction * t.amount_ubt, 0)
FROM usage_record u LEFT JOIN transfer t ON t.tenant_id = u.tenant_id
     AND t.source = 'late_settle' AND t.source_id = u.id AND t.kind = 'correction'
WHERE u.id {_AMONG}"""

MAKE_WINDOW = """
INSERT OR IGNORE INTO budget_window
(tenant_id, key_id, period, starts_at, limit_ubt, spent_ubt, pending_ubt)
VALUES (?, ?, ?, datetime(?, 'unixepoch'), ?, 0, 0)"""
FIND_WINDOW = """
SELECT id FROM budget_window
WHERE key_id = ? AND period = ? AND starts_at = datetime(?, 'unixepoch')"""
WINDOWS = f"""
SELECT id, limit_ubt, limit_ubt - spent_ubt - pending_ubt, pending_ubt
FROM budget_window WHERE id {_AMONG}"""


def _insert(table: str, numbers: tuple[Column, ...], words: tuple[str, ...], **more: str) -> str:
    names = ["id", *(column.name for column in numbers), *words, *more]
    values = ["?", *(column.expression.format("?") for column in numbers), *("?" for _ in words)]
    values += more.values()
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})"


INSERT_USAGE = _insert("usage_record", USAGE_NUMBERS, USAGE_WORDS, created_at="?")
INSERT_HOLD = _insert(
    "hold",
    HOLD_NUMBERS,
    HOLD_WORDS,
    owner="?",
    heartbeat_at="?",
    created_at="?",
    counted_output="0",
    delivered_ubt="0",
)
INSERT_CORRECTION = """
INSERT INTO transfer (tenant_id, wallet_id, kind, direction, amount_ubt, source, source_id,
                      input_hash, actor, reason, created_at)
VALUES (?, ?, 'correction', ?, ?, ?, ?, ?, '', '', ?)"""
UPDATE_WALLET = """
UPDATE wallet SET credits_ubt = credits_ubt + ?, debits_ubt = debits_ubt + ?,
                  pending_ubt = pending_ubt + ? WHERE id = ?"""
UPDATE_KEY = """
UPDATE api_key SET spent_ubt = spent_ubt + ?, pending_ubt = pending_ubt + ? WHERE id = ?"""
UPDATE_WINDOW = """
UPDATE budget_window SET limit_ubt = ?, spent_ubt = spent_ubt + ?, pending_ubt = pending_ubt + ?
WHERE id = ?"""
UPDATE_PROGRESS = """
UPDATE hold SET counted_input = ?, counted_output = ?, delivered_ubt = ?,
       amount_ubt = amount_ubt + ?, wholesale_ubt = wholesale_ubt + ?,
       channel_id = ifnull(?, channel_id), model_served = ifnull(nullif(?, ''), model_served),
       heartbeat_at = ? WHERE id = ?"""
HEARTBEAT = f"UPDATE hold SET heartbeat_at = ? WHERE id {_AMONG}"

NOTE = f"""
INSERT INTO reconcile_finding
(tenant_id, invariant, subject, observed, expected, repair, created_at)
SELECT id, 'commit', ?, ?, 'committed', '', {CLOCK} FROM tenant
WHERE id = ? OR is_platform ORDER BY is_platform LIMIT 1"""
