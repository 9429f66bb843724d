"""Limits as one process counts them: while Valkey is away, and for look-ups always.

Token buckets with a minute's worth at most, refilled steadily. A bucket is one number, the time at
which it will be full again. Called by `limits` and `local`; times are of `time.monotonic`.
"""

from collections.abc import Sequence

from relay.ceilings import AGAIN_S, MINUTE_S, Ceiling, Count
from relay.errors import RateLimited

_MAX_NAMES = 50_000
# What rounding makes of a bucket that has just what is asked of it.
_ROUNDING_S = 0.0005


class Bucket:
    """A level that refills by `per_minute`, up to a minute's worth. May go below zero."""

    __slots__ = ("full_at", "per_minute")

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.full_at = 0.0

    def full_in_s(self, now: float) -> float:
        """Return how long until the whole minute's worth is back."""
        return max(0.0, self.full_at - now)

    def wait_s(self, amount: float, now: float) -> float:
        """Return how long until `amount` can be taken; more than a minute's worth waits for all."""
        if not self.per_minute:
            return MINUTE_S
        spare_s = MINUTE_S * (1 - min(amount, self.per_minute) / self.per_minute)
        wait_s = self.full_in_s(now) - spare_s
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take an amount; a negative one is given back."""
        if self.per_minute:
            self.full_at = max(self.full_at, now) + amount * MINUTE_S / self.per_minute


class _State:
    """What one key or wallet has used, and how many of its requests run."""

    __slots__ = ("buckets", "running")

    def __init__(self) -> None:
        self.running = 0
        self.buckets: list[Bucket | None] = [None, None]

    def adopt(self, ceiling: Ceiling) -> None:
        """Begin anew with limits that have changed; what runs goes on counting."""
        for kind, limit in enumerate((ceiling.rpm, ceiling.tpm)):
            bucket = self.buckets[kind]
            if (bucket.per_minute if bucket is not None else None) != limit:
                self.buckets[kind] = Bucket(limit) if limit is not None else None


class LocalLimits:
    """The limits of all keys and wallets, as far as this process has seen them."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    def enter(self, ceilings: Sequence[Ceiling], *, tokens: int, now: float) -> Count:
        """Count a request in if every ceiling has room for it, else take nothing of any."""
        states = [self._state(ceiling) for ceiling in ceilings]
        blocked_at, longest_s = None, 0.0
        for number, (ceiling, state) in enumerate(zip(ceilings, states, strict=True)):
            for kind, wait_s in enumerate(_waits(ceiling, state, tokens, now)):
                if wait_s > longest_s:
                    blocked_at, longest_s = (number, kind), wait_s
        if blocked_at is None:
            for state in states:
                state.running += 1
                for bucket, amount in zip(state.buckets, (1, tokens), strict=True):
                    if bucket is not None:
                        bucket.take(amount, now)
        return Count(blocked_at, longest_s, [_full_in_s(state, now) for state in states])

    def note(self, ceilings: Sequence[Ceiling]) -> None:
        """Count a request as running that Valkey has let in."""
        for ceiling in ceilings:
            self._state(ceiling).running += 1

    def leave(self, ceilings: Sequence[Ceiling], *, more_tokens: int, now: float) -> None:
        """Count a request out; `more_tokens` than it took at first, or less if negative."""
        for ceiling in ceilings:
            state = self._states[ceiling.name]
            state.running -= 1
            bucket = state.buckets[1]
            if bucket is not None:
                bucket.take(more_tokens, now)

    def _state(self, ceiling: Ceiling) -> _State:
        state = self._states.get(ceiling.name)
        if state is None:
            if len(self._states) >= _MAX_NAMES:
                self._states = {k: v for k, v in self._states.items() if v.running}
            state = self._states[ceiling.name] = _State()
        state.adopt(ceiling)
        return state


def _waits(ceiling: Ceiling, state: _State, tokens: int, now: float) -> tuple[float, float, float]:
    """Return how long a request waits for each kind, 0.0 for those that have room."""
    requests, used = state.buckets
    is_full = ceiling.concurrency is not None and state.running >= ceiling.concurrency
    return (
        requests.wait_s(1, now) if requests is not None else 0.0,
        used.wait_s(tokens, now) if used is not None else 0.0,
        AGAIN_S if is_full else 0.0,
    )


def _full_in_s(state: _State, now: float) -> tuple[float, float]:
    requests, used = state.buckets
    return (
        requests.full_in_s(now) if requests is not None else 0.0,
        used.full_in_s(now) if used is not None else 0.0,
    )


class Lookups:
    """How often a key may ask for what costs nothing."""

    def __init__(self, *, per_minute: int = 300) -> None:
        self._per_minute = per_minute
        self._buckets: dict[int, Bucket] = {}

    def enter(self, key_id: int, *, now: float) -> None:
        """Let a look-up in; raises RateLimited."""
        if len(self._buckets) >= _MAX_NAMES:
            self._buckets.clear()
        bucket = self._buckets.setdefault(key_id, Bucket(self._per_minute))
        wait_s = bucket.wait_s(1, now)
        if wait_s > 0:
            raise RateLimited(retry_after_s=wait_s)
        bucket.take(1, now)
