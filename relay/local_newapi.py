"""Look-ups as new-api has them, for the tools that know no others. Called through `local`.

Amounts are base tokens. Rows of the log have every field of new-api's; what does not exist here
(a text, a channel's id, an address) is empty.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from billing import reports
from billing.models import ApiKey, UsageRecord
from billing.pricing import input_total
from billing.reports import CallFilters
from billing.reports.charges import counts_of
from relay.call import Call
from relay.keyring import KeyEntry
from relay.lookups import answer, asking_key, base_tokens, read, totals
from relay.services import Services

Json = dict[str, Any]

MAX_ROWS = 200
_USE, _FAILURE = 2, 5


async def token_usage(services: Services, call: Call, argument: str) -> None:
    """Answer what the key was granted, has used and may use."""
    key = await asking_key(services, call)
    balance = await read(services, key, reports.key_balance, key.id)
    data = {
        "object": "token_usage",
        "name": await read(services, key, _name_of, key.id),
        **totals(balance),
        "unlimited_quota": False,
        "model_limits": dict.fromkeys(sorted(key.models), True),
        "model_limits_enabled": bool(key.models),
        "expires_at": balance.access_until,
    }
    await answer(call, {"code": True, "message": "ok", "data": data})


async def token_log(services: Services, call: Call, argument: str) -> None:
    """Answer the newest calls that the key may see, newest first."""
    key = await asking_key(services, call)
    rows = await read(services, key, _rows, key)
    await answer(call, {"success": True, "message": "", "data": rows})


def _name_of(key_id: int) -> str:
    return ApiKey.objects.values_list("name", flat=True).get(pk=key_id)


def _rows(entry: KeyEntry) -> list[Json]:
    key = ApiKey.objects.select_related("wallet").get(pk=entry.id)
    page = reports.calls(key, CallFilters(), limit=MAX_ROWS)
    names = dict(
        ApiKey.objects.filter(pk__in={row.key_id for row in page.records}).values_list("pk", "name")
    )
    bills = reports.bills(page.records)
    return [
        _row(at, row, charged_ubt=bill.charged_ubt, token_name=names.get(row.key_id, ""))
        for at, (row, bill) in enumerate(zip(page.records, bills, strict=True), start=1)
    ]


def _row(at: int, row: UsageRecord, *, charged_ubt: int, token_name: str) -> Json:
    counts = counts_of(row)
    has_failed = bool(row.error_type) and not charged_ubt
    return {
        "id": at,
        "request_id": str(row.pk),
        "created_at": int(row.created_at.timestamp()),
        "type": _FAILURE if has_failed else _USE,
        "content": "",
        "username": "",
        "user_id": 0,
        "token_name": token_name,
        "token_id": 0,
        "model_name": row.model_asked,
        "quota": base_tokens(charged_ubt),
        "prompt_tokens": input_total(counts),
        "completion_tokens": counts.output + counts.reasoning + counts.audio_out,
        "use_time": row.total_ms // 1000,
        "is_stream": row.stream,
        "channel": 0,
        "channel_name": "",
        "group": "",
        "ip": "",
        "other": "",
    }


ANSWERS: Mapping[str, Callable[[Services, Call, str], Awaitable[None]]] = {
    "token_usage": token_usage,
    "token_log": token_log,
}
