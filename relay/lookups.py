"""What our own answers have in common: who asks, reports read in the key's scope, numbers.

Used by `local`, `local_models` and `local_newapi`.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qs

import msgspec

from billing.reports import Balance
from billing.scoping import tenant_scope
from billing.units import UBT_PER_BASE_TOKEN, ceil_base_tokens, floor_base_tokens
from relay import auth
from relay.call import Call
from relay.keyring import KeyEntry
from relay.services import Services

P = ParamSpec("P")
R = TypeVar("R")


async def asking_key(services: Services, call: Call) -> KeyEntry:
    """Return the key of a billing look-up, after what it has used so far has been booked."""
    key, _ = await auth.authenticate(call, services.snapshot, services.keyring)
    services.lookups.enter(key.id, now=time.monotonic())
    await services.ledger.flushed()
    return key


async def read(
    services: Services, key: KeyEntry, report: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Return a report of the key's tenant, read in the reader's thread."""

    def scoped() -> R:
        with tenant_scope(key.tenant_id):
            return report(*args, **kwargs)

    return await services.reader.run(scoped)


async def answer(call: Call, answer: Mapping[str, Any], *, status: int = 200) -> None:
    """Answer with JSON."""
    await call.answer_json(status, msgspec.json.encode(answer))


def query_of(call: Call) -> Mapping[str, list[str]]:
    """Return the query of a call."""
    return parse_qs(call.scope.get("query_string", b"").decode("latin-1"))


def totals(balance: Balance) -> dict[str, Any]:
    """Return granted, used and available under the names that look-ups have for them."""
    return {
        "total_granted": base_tokens(balance.granted_ubt),
        "total_used": ceil_base_tokens(balance.used_ubt),
        "total_available": floor_base_tokens(balance.left_ubt),
    }


def base_tokens(ubt: int) -> int | float:
    """Return base tokens as a JSON number: whole where it is whole."""
    whole, rest = divmod(ubt, UBT_PER_BASE_TOKEN)
    return whole if not rest else ubt / UBT_PER_BASE_TOKEN
