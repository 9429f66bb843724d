"""What the system tests send as clients, and where they look for what became of it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from billing.models import ApiKey, Hold, Transfer, UsageRecord, Wallet
from tests.system.running import RunningSystem

CHAT = "/v1/chat/completions"
_TIMEOUT_S = 30.0


def body(model: str, text: str, **fields: Any) -> dict[str, Any]:
    """Return a chat request with one message."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def headers(key: str, host: str) -> dict[str, str]:
    """Return the headers of a client of that host."""
    return {"authorization": f"Bearer {key}", "host": host}


def request_id(answer: httpx.Response) -> uuid.UUID:
    """Return the id that the relay gave a request, which is its usage record's."""
    return uuid.UUID(answer.headers["x-request-id"])


@contextmanager
def streaming(
    system: RunningSystem, key: str, *, host: str, asked: dict[str, Any]
) -> Iterator[httpx.Response]:
    """Open a stream; leaving the block before its end is what an impatient client does."""
    with httpx.stream(
        "POST",
        system.url + CHAT,
        json=asked | {"stream": True},
        headers=headers(key, host),
        timeout=_TIMEOUT_S,
    ) as answer:
        yield answer


def post(
    system: RunningSystem, key: str, *, host: str, asked: dict[str, Any], path: str = CHAT
) -> httpx.Response:
    """Send one request and wait for the whole answer."""
    return httpx.post(system.url + path, json=asked, headers=headers(key, host), timeout=_TIMEOUT_S)


def hold_of(system: RunningSystem, request: uuid.UUID) -> Hold | None:
    """Return the hold of a running request."""
    with system.books():
        return Hold.objects.filter(id=request).first()


def record_of(system: RunningSystem, request: uuid.UUID) -> UsageRecord | None:
    """Return what the ledger says of a request that is over."""
    with system.books():
        return UsageRecord.objects.filter(id=request).first()


def wallet_of(system: RunningSystem, key: str) -> Wallet:
    """Return the wallet that a key draws on."""
    with system.books():
        return Wallet.objects.get(api_keys__kid=kid_of(key))


def corrections_of(system: RunningSystem, key: str) -> list[Transfer]:
    """Return the corrections of a key's wallet, oldest first."""
    with system.books():
        return list(
            Transfer.objects.filter(wallet__api_keys__kid=kid_of(key), kind="correction").order_by(
                "id"
            )
        )


def kid_of(key: str) -> str:
    """Return the public id inside a key."""
    return key.partition("-")[2][3:11]


def key_row(system: RunningSystem, key: str) -> ApiKey:
    """Return the row of a key."""
    with system.books():
        return ApiKey.objects.get(kid=kid_of(key))
