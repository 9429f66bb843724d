"""Answers that we give ourselves: models, billing look-ups, health. They cost nothing.

Expired and exhausted keys may still ask. Numbers are JSON numbers in base tokens; `total_usage` is
in hundredths of one, which is what clients divide by.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qs

import msgspec
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from billing import reports
from billing.reports import Balance, DailyCharge
from billing.scoping import tenant_scope
from billing.units import UBT_PER_BASE_TOKEN, ceil_base_tokens, floor_base_tokens
from relay import auth
from relay.call import Call
from relay.errors import BadRequest, LedgerUnavailable, ModelNotFound
from relay.keyring import KeyEntry
from relay.services import Services

P = ParamSpec("P")
R = TypeVar("R")

_USUAL_DAYS = 100
_SOUND_FOR_S = 1.0
_HUNDREDTH_UBT = UBT_PER_BASE_TOKEN // 100
_DAY = timedelta(days=1)
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)  # no usage is older


async def models(services: Services, call: Call, argument: str) -> None:
    """List what this key may use and what is usable now."""
    key, _ = await auth.authenticate(call, services.snapshot, services.keyring)
    data = [_model(name) for name in _usable(services, key)]
    await _answer(call, {"object": "list", "data": data})


async def model(services: Services, call: Call, argument: str) -> None:
    """Describe one model; one that this key may not use does not exist for it."""
    key, _ = await auth.authenticate(call, services.snapshot, services.keyring)
    if argument not in _usable(services, key):
        raise ModelNotFound(f"The model `{argument[:64]}` does not exist.", param="model")
    await _answer(call, _model(argument))


def _usable(services: Services, key: KeyEntry) -> list[str]:
    names = services.snapshot.shops[key.tenant_id].usable_models()
    return [name for name in names if not key.models or name in key.models]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1686935002, "owned_by": "system"}


async def subscription(services: Services, call: Call, argument: str) -> None:
    """Answer what the key was granted, as OpenAI's dashboard did."""
    key = await _asking_key(services, call)
    balance = await _read(services, key, reports.key_balance, key.id)
    granted = _base_tokens(balance.granted_ubt)
    await _answer(
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
    key = await _asking_key(services, call)
    start, end = _dates(call)
    balance = await _read(services, key, reports.key_balance, key.id)
    charges = await _read(services, key, reports.daily_charges, key.id, start=start, end=end)
    await _answer(
        call,
        {
            "object": "list",
            "total_usage": _hundredths(balance.used_ubt),
            "daily_costs": _daily_costs(charges),
        },
    )


async def credit_grants(services: Services, call: Call, argument: str) -> None:
    """Answer granted, used and available, as OpenAI's oldest dashboard did."""
    key = await _asking_key(services, call)
    balance = await _read(services, key, reports.key_balance, key.id)
    totals = _totals(balance)
    grant = {
        "object": "credit_grant",
        "id": f"grant-{key.kid}",
        "grant_amount": totals["total_granted"],
        "used_amount": totals["total_used"],
        "effective_at": 0,
        "expires_at": balance.access_until or None,
    }
    await _answer(
        call,
        {
            "object": "credit_summary",
            **totals,
            "grants": {"object": "list", "data": [grant]},
        },
    )


def _totals(balance: Balance) -> dict[str, Any]:
    return {
        "total_granted": _base_tokens(balance.granted_ubt),
        "total_used": ceil_base_tokens(balance.used_ubt),
        "total_available": floor_base_tokens(balance.left_ubt),
    }


async def _asking_key(services: Services, call: Call) -> KeyEntry:
    """Return the key of a billing look-up, after what it has used so far has been booked."""
    key, _ = await auth.authenticate(call, services.snapshot, services.keyring)
    services.lookups.enter(key.id, now=time.monotonic())
    await services.ledger.flushed()
    return key


async def _read(
    services: Services, key: KeyEntry, report: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Return a report of the key's tenant, read in the reader's thread."""

    def scoped() -> R:
        with tenant_scope(key.tenant_id):
            return report(*args, **kwargs)

    return await services.reader.run(scoped)


def _dates(call: Call) -> tuple[datetime, datetime]:
    """Return the days asked for, the end excluded, cut to what a report looks at."""
    query = parse_qs(call.scope.get("query_string", b"").decode("latin-1"))
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


def _base_tokens(ubt: int) -> int | float:
    """Return base tokens as a JSON number: whole where it is whole."""
    whole, rest = divmod(ubt, UBT_PER_BASE_TOKEN)
    return whole if not rest else ubt / UBT_PER_BASE_TOKEN


def _hundredths(ubt: int) -> int:
    """Return what was used in hundredths of a base token, rounded up."""
    return -(-ubt // _HUNDREDTH_UBT)


async def healthz(services: Services, call: Call, argument: str) -> None:
    """Say that the process answers."""
    await _answer(call, {"status": "ok"})


async def readyz(services: Services, call: Call, argument: str) -> None:
    """Say whether requests can be served: ledger there, database there, migrations applied."""
    problems = ["ledger"] if services.ledger.is_away else []
    if services.is_stopping:
        problems.append("stopping")
    problems += await _database_problems(services)
    answer = {"status": "not ready", "problems": problems} if problems else {"status": "ok"}
    await _answer(call, answer, status=503 if problems else 200)


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


async def _answer(call: Call, answer: Mapping[str, Any], *, status: int = 200) -> None:
    await call.answer_json(status, msgspec.json.encode(answer))


ANSWERS: Mapping[str, Callable[[Services, Call, str], Awaitable[None]]] = {
    "models": models,
    "model": model,
    "subscription": subscription,
    "usage": usage,
    "credit_grants": credit_grants,
    "healthz": healthz,
    "readyz": readyz,
}
