"""How often something may be tried: one counter for each name and key, in Valkey.

Called by views before they do what costs money, mail or patience. Where Valkey is away each process
counts for itself, so that a limit becomes softer, but no page fails. Keys are kept as hashes: a
look at Valkey tells no address.
"""

import time
from functools import lru_cache
from hashlib import blake2b
from threading import Lock

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

PREFIX = "tollgate:throttle:"

_PATIENCE_S = 0.25
_AWAY_S = 5.0
_MAX_COUNTERS = 10_000


def allow(name: str, key: str, *, limit: int, per_s: int) -> bool:
    """Count one try and say whether it is within `limit` tries in `per_s` seconds.

    The seconds begin with the first try; tries that were refused do not make them longer.
    """
    return _count(_slot(name, key), per_s=per_s) <= limit


def is_within(name: str, key: str, *, limit: int) -> bool:
    """Say whether `limit` was not used up yet, without counting a try."""
    return _look(_slot(name, key)) < limit


def _slot(name: str, key: str) -> str:
    digest = blake2b(key.encode(), key=settings.SECRET_KEY.encode()[:64], digest_size=16)
    return f"{PREFIX}{name}:{digest.hexdigest()}"


def _count(slot: str, *, per_s: int) -> int:
    if _away.is_over:
        try:
            pipeline = _client(settings.REDIS_URL).pipeline(transaction=False)
            pipeline.set(slot, 0, ex=per_s, nx=True)
            pipeline.incr(slot)
            pipeline.ttl(slot)
            _, count, left_s = pipeline.execute()
            if left_s < 0:  # it ended between the first two commands; else it never would
                _client(settings.REDIS_URL).expire(slot, per_s)
            return int(count)
        except redis.RedisError:
            _away.begin()
    return _local.count(slot, per_s=per_s)


def _look(slot: str) -> int:
    if _away.is_over:
        try:
            return int(_client(settings.REDIS_URL).get(slot) or 0)
        except redis.RedisError:
            _away.begin()
    return _local.look(slot)


@lru_cache(maxsize=2)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=_PATIENCE_S,
        socket_connect_timeout=_PATIENCE_S,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


class _Away:
    """Whether Valkey failed a moment ago and is left alone for a while."""

    def __init__(self) -> None:
        self._until_s = 0.0

    @property
    def is_over(self) -> bool:
        """Whether Valkey may be asked."""
        return time.monotonic() >= self._until_s

    def begin(self) -> None:
        """Leave Valkey alone for a while."""
        self._until_s = time.monotonic() + _AWAY_S


class _LocalCounters:
    """The counters of this process, for the time in which Valkey is away."""

    def __init__(self) -> None:
        self._counters: dict[str, tuple[float, int]] = {}
        self._lock = Lock()

    def count(self, slot: str, *, per_s: int) -> int:
        """Count one try; return how many there were."""
        now = time.monotonic()
        with self._lock:
            ends_at, count = self._counters.get(slot, (0.0, 0))
            if ends_at <= now:
                self._make_room(now)
                ends_at, count = now + per_s, 0
            self._counters[slot] = (ends_at, count + 1)
            return count + 1

    def look(self, slot: str) -> int:
        """Return how many tries there were."""
        with self._lock:
            ends_at, count = self._counters.get(slot, (0.0, 0))
            return count if ends_at > time.monotonic() else 0

    def _make_room(self, now: float) -> None:
        if len(self._counters) < _MAX_COUNTERS:
            return
        self._counters = {slot: known for slot, known in self._counters.items() if known[0] > now}
        if len(self._counters) >= _MAX_COUNTERS:
            self._counters.clear()


_away = _Away()
_local = _LocalCounters()
