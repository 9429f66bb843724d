"""Answers that we give ourselves: billing look-ups and health. They cost nothing.

Expired and exhausted keys may still ask. Numbers are JSON numbers in base tokens; `total_usage` is
in hundredths of one, which is what clients divide by. Lists of models are in `local_models`,
new-api's look-ups in `local_newapi`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from billing import reports
from billing.reports import DailyCharge
from billing.units import UBT_PER_BASE_TOKEN
from relay import auth, local_models, local_newapi
from relay.call import Call
from relay.errors import BadRequest, LedgerUnavailable
from relay.lookups import answer, asking_key, base_tokens, query_of, read, totals
from relay.services import Services

_USUAL_DAYS = 100
_SOUND_FOR_S = 1.0
_HUNDREDTH_UBT = UBT_PER_BASE_TOKEN // 100
_DAY = timedelta(days=1)
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)  # no usage is older


async def subscription(services: Services, call: Call, argument: str) -> None:
    """Answer what the key was granted, as OpenAI's dashboard did."""
    key = await asking_key(services, call)
    balance = await read(services, key, reports.key_balance, key.id)
    granted = base_tokens(balance.granted_ubt)
    await answer(
        call,
        {
            "object": "billing_subscription",
            "has_payment_method": True,
            "canceled": False,
            "access_until": balance.access_until,
            "soft_limit_usd": granted,
            "hard_limit_usd": granted,
            "system_hard_limit_usd": granted,
            "plan": {"title": "Prepaid", "id": "prepaid"},
        },
    )


async def usage(services: Services, call: Call, argument: str) -> None:
    """Answer the key's lifetime usage, and its days within the dates asked for."""
    key = await asking_key(services, call)
    start, end = _dates(call)
    balance = await read(services, key, reports.key_balance, key.id)
    charges = await read(services, key, reports.daily_charges, key.id, start=start, end=end)
    await answer(
        call,
        {
            "object": "list",
            "total_usage": _hundredths(balance.used_ubt),
            "daily_costs": _daily_costs(charges),
        },
    )


async def credit_grants(services: Services, call: Call, argument: str) -> None:
    """Answer granted, used and available, as OpenAI's oldest dashboard did."""
    key = await asking_key(services, call)
    balance = await read(services, key, reports.key_balance, key.id)
    sums = totals(balance)
    grant = {
        "object": "credit_grant",
        "id": f"grant-{key.kid}",
        "grant_amount": sums["total_granted"],
        "used_amount": sums["total_used"],
        "effective_at": 0,
        "expires_at": balance.access_until or None,
    }
    await answer(
        call,
        {
            "object": "credit_summary",
            **sums,
            "grants": {"object": "list", "data": [grant]},
        },
    )


def _dates(call: Call) -> tuple[datetime, datetime]:
    """Return the days asked for, the end excluded, cut to what a report looks at."""
    query = query_of(call)
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    end = max(_EARLIEST, min(_date(query, "end_date") or tomorrow, tomorrow))
    start = min(_date(query, "start_date") or end - _USUAL_DAYS * _DAY, end)
    return max(start, end - reports.MAX_DAYS * _DAY), end


def _date(query: Mapping[str, list[str]], name: str) -> datetime | None:
    text = query.get(name, [""])[0]
    if not text:
        return None
    try:
        return datetime.strptime(text[:10], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadRequest(f"'{name}' must be a date like 2026-01-31.", param=name) from None


def _daily_costs(charges: list[DailyCharge]) -> list[dict[str, Any]]:
    days: dict[int, list[dict[str, Any]]] = {}
    for entry in charges:
        cost = _hundredths(entry.charged_ubt)
        days.setdefault(entry.day, []).append({"name": entry.model, "cost": cost})
    return [{"timestamp": day, "line_items": items} for day, items in days.items()]


def _hundredths(ubt: int) -> int:
    """Return what was used in hundredths of a base token, rounded up."""
    return -(-ubt // _HUNDREDTH_UBT)


async def healthz(services: Services, call: Call, argument: str) -> None:
    """Say that the process answers."""
    await answer(call, {"status": "ok"})


async def readyz(services: Services, call: Call, argument: str) -> None:
    """Say whether requests can be served: ledger there, database there, migrations applied."""
    problems = ["ledger"] if services.ledger.is_away else []
    if services.is_stopping:
        problems.append("stopping")
    problems += await _database_problems(services)
    told = {"status": "not ready", "problems": problems} if problems else {"status": "ok"}
    await answer(call, told, status=503 if problems else 200)


async def _database_problems(services: Services) -> list[str]:
    """Return what is wrong with the database; everybody may ask, so all share one look at it."""
    check = services.database_check
    is_recent = time.monotonic() - services.database_sound_at < _SOUND_FOR_S
    if check is None or (check.done() and not is_recent):
        check = services.database_check = asyncio.create_task(_look_at_database(services))
    return await asyncio.shield(check)


async def _look_at_database(services: Services) -> list[str]:
    try:
        if not await services.reader.run(_is_migrated):
            return ["migrations"]
    except LedgerUnavailable:
        return ["database"]
    services.database_sound_at = time.monotonic()
    return []


def _is_migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


async def realtime(services: Services, call: Call, argument: str) -> None:
    """Refuse a request that should have opened a WebSocket."""
    await auth.authenticate(call, services.snapshot, services.keyring)
    raise BadRequest("This address speaks WebSocket only.")


ANSWERS: Mapping[str, Callable[[Services, Call, str], Awaitable[None]]] = {
    **local_models.ANSWERS,
    **local_newapi.ANSWERS,
    "subscription": subscription,
    "usage": usage,
    "credit_grants": credit_grants,
    "healthz": healthz,
    "readyz": readyz,
    "realtime": realtime,
}
