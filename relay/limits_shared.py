"""Limits as all relay processes count them together: in Valkey, one script a request.

All or nothing: a request that one bucket has no room for takes nothing of any. Valkey's clock is
everybody's. Who runs stands in a sorted set by the time at which his place is forgotten, so that
the places of a process that died come back by themselves. Calls of one turn of the loop share a
write and a read. Whatever Valkey does wrong only makes it `None` here: `limits` then counts in the
process. Free of Django.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from relay.ceilings import Ceiling, Count

log = structlog.get_logger(__name__)

PATIENCE_S = 0.05
AWAY_S = 3.0
CONNECT_S = 1.0
_BATCH = 100

# KEYS: for each ceiling its requests, its tokens, its slots. ARGV: tokens, slot, lease, and for
# each ceiling rpm, tpm and concurrency, -1 for none. A bucket is the time when it is full again.
_ENTER = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local tokens, slot, lease = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local blocked, longest, full = 0, 0.5, {}
for i = 1, #KEYS do
  local limit, kind, wait = tonumber(ARGV[3 + i]), (i - 1) % 3, 0
  full[i] = 0
  if limit >= 0 and kind == 2 then
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    if redis.call('ZCARD', KEYS[i]) >= limit then wait = 1000 end
  elseif limit >= 0 then
    local amount = kind == 0 and 1 or tokens
    full[i] = math.max(0, (tonumber(redis.call('GET', KEYS[i])) or 0) - now)
    wait = limit == 0 and 60000 or full[i] - 60000 * (1 - math.min(amount, limit) / limit)
  end
  if wait > longest then blocked, longest = i, wait end
end
if blocked == 0 then
  longest = 0
  for i = 1, #KEYS do
    local limit, kind = tonumber(ARGV[3 + i]), (i - 1) % 3
    if limit >= 0 and kind == 2 then
      redis.call('ZADD', KEYS[i], now + lease, slot)
      redis.call('PEXPIRE', KEYS[i], lease)
    elseif limit >= 0 then
      full[i] = full[i] + (kind == 0 and 1 or tokens) * 60000 / limit
      redis.call('SET', KEYS[i], string.format('%.3f', now + full[i]), 'PX', math.ceil(full[i]) + 1)
    end
  end
end
local answer = {blocked, math.ceil(longest)}
for i = 1, #KEYS do answer[2 + i] = math.floor(full[i]) end
return answer
"""

# KEYS: for each ceiling its tokens, its slots. ARGV: slot, and for each ceiling by how many
# milliseconds later (or earlier) its bucket of tokens is full again.
_LEAVE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
for i = 1, #KEYS, 2 do
  local shift = tonumber(ARGV[1 + (i + 1) / 2])
  if shift ~= 0 then
    local full = math.max(now, tonumber(redis.call('GET', KEYS[i])) or 0) + shift
    if full > now then
      redis.call('SET', KEYS[i], string.format('%.3f', full), 'PX', math.ceil(full - now) + 1)
    else
      redis.call('DEL', KEYS[i])
    end
  end
  redis.call('ZREM', KEYS[i + 1], ARGV[1])
end
return {}
"""

# KEYS: the slots of a ceiling. ARGV: lease, and who of them still runs.
_STAY = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {}
"""

ENTER, LEAVE, STAY = range(3)
_SCRIPTS = (_ENTER, _LEAVE, _STAY)


class _Call(NamedTuple):
    script: int
    keys: Sequence[bytes]
    arguments: Sequence[Any]
    answer: "asyncio.Future[list[int] | None]"


class SharedLimits:
    """One connection to Valkey, in pipelines; while there is none, calls come to nothing at once.

    `patience_s` bounds the wait for a pipeline. After a failure Valkey is left alone for `AWAY_S`,
    and then asked for again in the background.
    """

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S) -> None:
        self._url = url
        self._patience_s = patience_s
        self._connection: Any = None
        self._scripts: list[bytes] = []
        self._waiting: list[_Call] = []
        self._worker: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._away_until = 0.0
        self._is_away = False

    @property
    def is_open(self) -> bool:
        """Whether calls are sent to Valkey now."""
        return self._connection is not None

    async def open(self) -> None:
        """Connect, and give Valkey the scripts. Failing is no error: it is tried again later."""
        connection: Any = _connection(self._url)
        try:
            async with asyncio.timeout(CONNECT_S):
                await connection.connect()
                scripts = []
                for script in _SCRIPTS:
                    await connection.send_command("SCRIPT", "LOAD", script)
                    scripts.append(await connection.read_response())
        except (RedisError, OSError, TimeoutError) as error:
            await _dropped(connection)
            self._away(error, AWAY_S)
            return
        self._scripts = scripts
        self._connection = connection
        if self._is_away:
            self._is_away = False
            log.info("limits are counted together again")

    def open_soon(self) -> None:
        """Connect in the background, unless Valkey is left alone or that is under way."""
        is_opening = self._opening is not None and not self._opening.done()
        if not self.is_open and not is_opening and time.monotonic() >= self._away_until:
            self._opening = asyncio.ensure_future(self.open())

    async def close(self) -> None:
        """Send what waits, and let go."""
        if self._worker is not None:
            await asyncio.wait([self._worker], timeout=2 * self._patience_s)
        for task in (self._worker, self._opening):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None:
            await _dropped(connection)

    # The three calls. All come to None where Valkey could not be asked.

    def enter(
        self, ceilings: Sequence[Ceiling], *, slot: bytes, tokens: int, lease_s: float
    ) -> "asyncio.Future[list[int] | None]":
        """Count a request in; `counted` reads the answer."""
        arguments: list[Any] = [tokens, slot, round(lease_s * 1000)]
        for ceiling in ceilings:
            for limit in (ceiling.rpm, ceiling.tpm, ceiling.concurrency):
                arguments.append(-1 if limit is None else limit)
        keys = [place for ceiling in ceilings for place in ceiling.places]
        return self._send(ENTER, keys, arguments)

    def leave(self, ceilings: Sequence[Ceiling], *, slot: bytes, more_tokens: int) -> None:
        """Count a request out; `more_tokens` than it took at first, or less if negative."""
        shifts = [more_tokens * 60_000 / one.tpm if one.tpm else 0 for one in ceilings]
        if any(shifts) or any(one.concurrency is not None for one in ceilings):
            keys = [place for ceiling in ceilings for place in ceiling.places[1:]]
            self._send(LEAVE, keys, [slot, *(f"{shift:.3f}" for shift in shifts)])

    def stay(self, place: bytes, *, slots: Sequence[bytes], lease_s: float) -> None:
        """Say that requests of a ceiling still run."""
        self._send(STAY, [place], [round(lease_s * 1000), *slots])

    def _send(
        self, script: int, keys: Sequence[bytes], arguments: Sequence[Any]
    ) -> "asyncio.Future[list[int] | None]":
        answer: asyncio.Future[list[int] | None] = asyncio.get_running_loop().create_future()
        if self._connection is None:
            answer.set_result(None)
            return answer
        self._waiting.append(_Call(script, keys, arguments, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        return answer

    async def _work(self) -> None:
        """Send what has come up in this turn, then what has come up meanwhile, until all is."""
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._ask(batch)
            # Whatever has gone wrong, in Valkey or in its client: no request waits or fails for it.
            except Exception as error:
                # A connection that was closed while it lay idle says nothing about Valkey.
                is_cut = isinstance(error, RedisConnectionError)
                self._away(error, 0.0 if is_cut else AWAY_S)
                connection, self._connection = self._connection, None
                waiting, self._waiting = [*batch, *self._waiting], []
                for call in waiting:
                    if not call.answer.done():
                        call.answer.set_result(None)
                await _dropped(connection)

    async def _ask(self, batch: Sequence[_Call]) -> None:
        connection, scripts = self._connection, self._scripts
        packed = connection.pack_commands(
            ("EVALSHA", scripts[call.script], len(call.keys), *call.keys, *call.arguments)
            for call in batch
        )
        await connection.send_packed_command(packed, check_health=False)
        for call in batch:
            answer = await connection.read_response(timeout=math.inf)
            if not call.answer.done():
                call.answer.set_result(answer)

    def _away(self, error: Exception, pause_s: float) -> None:
        self._away_until = time.monotonic() + pause_s
        if not self._is_away:
            self._is_away = True
            log.warning("limits are counted by each process", reason=type(error).__name__)


def counted(answer: Sequence[int]) -> Count:
    """Return what Valkey has said to `enter`."""
    blocked, wait_ms, *full_ms = answer
    pairs = [(full_ms[i] / 1000, full_ms[i + 1] / 1000) for i in range(0, len(full_ms), 3)]
    return Count(divmod(blocked - 1, 3) if blocked else None, wait_ms / 1000, pairs)


def _connection(url: str) -> Any:
    """Return a connection that waits for nothing longer than it is told."""
    options: dict[str, Any] = dict(parse_url(url))
    kind = options.pop("connection_class", Connection)
    return kind(
        **{
            **options,
            "socket_connect_timeout": CONNECT_S,
            "socket_timeout": None,  # every call has its own
            "retry": Retry(NoBackoff(), 0),
            "health_check_interval": 0,
            "protocol": 2,
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }
    )


async def _dropped(connection: Any) -> None:
    try:
        await connection.disconnect(nowait=True)
    except (RedisError, OSError):
        return
