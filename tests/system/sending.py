"""Sends the cases of a mixed run, fifty at a time, and keeps what each client received."""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.system.mixed import FIRST_ANSWER_MS, Case

AT_A_TIME = 50
_TIMEOUT_S = 60.0


@dataclass
class Received:
    """What a client got: `text` as far as it read, `status` 0 if it left or was cut before one."""

    case: Case
    status: int = 0
    id: uuid.UUID | None = None
    text: str = ""
    pieces: int = 0
    is_error: bool = False
    code: str = ""


async def send_all(url: str, cases: Sequence[Case], *, keys: Sequence[str], host: str) -> list[Any]:
    """Send all cases in order, AT_A_TIME of them at once; the keys take turns."""
    waiting = deque(enumerate(cases))
    received: list[Received] = []
    limits = httpx.Limits(max_connections=2 * AT_A_TIME, max_keepalive_connections=AT_A_TIME)
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, limits=limits) as client:

        async def work() -> None:
            while waiting:
                number, case = waiting.popleft()
                key = keys[number % len(keys)]
                headers = {"authorization": f"Bearer {key}", "host": host}
                received.append(await _send(client, case, headers))

        await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    return received


async def _send(client: httpx.AsyncClient, case: Case, headers: dict[str, str]) -> Received:
    got = Received(case)
    patience_s = FIRST_ANSWER_MS / 1000 if case.leaves_after == 0 else _TIMEOUT_S
    try:
        async with asyncio.timeout(patience_s):
            await _read(client, got, headers)
    except (TimeoutError, httpx.TransportError):
        got.is_error = True
    return got


async def _read(client: httpx.AsyncClient, got: Received, headers: dict[str, str]) -> None:
    case = got.case
    async with client.stream("POST", case.path, json=case.body, headers=headers) as answer:
        got.status = answer.status_code
        got.id = uuid.UUID(answer.headers["x-request-id"])
        if not case.stream or got.status != 200:
            _keep(got, json.loads(await answer.aread()))
            return
        unread = b""
        # By what the network brings: all that has arrived before a client leaves was received.
        async for chunk in answer.aiter_bytes():
            *lines, unread = (unread + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data: {"):
                    _keep(got, json.loads(line.removeprefix(b"data: ")))
            if case.leaves_after is not None and got.pieces >= case.leaves_after:
                return


def _keep(got: Received, said: dict[str, Any]) -> None:
    if "error" in said:
        got.is_error, got.code = True, str(said["error"].get("code"))
    for choice in said.get("choices", ()):
        text = _text(choice.get("delta") or choice.get("message") or choice)
        got.text += text
        got.pieces += bool(text)


def _text(part: dict[str, Any]) -> str:
    """Return what the model wrote in a delta, a message or a completion's choice."""
    calls = [call["function"] for call in part.get("tool_calls") or ()]
    written = [part.get(name) or "" for name in ("content", "refusal", "text")]
    written += [call.get("name", "") + call.get("arguments", "") for call in calls]
    return "".join(written)
