"""Requests and tokens a minute, and running requests, of keys that have such limits.

They protect the service and are counted per process; money is safe without them. Token buckets: a
minute's worth at most, refilled steadily. Tokens are taken by an estimate and corrected when the
answer is known. Called by `exchange` before the hold.
"""

from relay.errors import RateLimited
from relay.headers import Header
from relay.keyring import KeyEntry

_MINUTE_S = 60.0
_MAX_KEYS = 50_000


class Bucket:
    """A level that refills by `per_minute`, up to a minute's worth. May go below zero."""

    __slots__ = ("at", "level", "per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self.level = float(per_minute)
        self.at = now

    def refill(self, now: float) -> None:
        """Bring the level up to date."""
        grown = self.level + (now - self.at) * self.per_minute / _MINUTE_S
        self.level = min(grown, float(self.per_minute))
        self.at = now

    def wait_s(self, amount: float) -> float:
        """Return how long until `amount` can be taken; more than a minute's worth waits for all."""
        if not self.per_minute:
            return _MINUTE_S
        missing = min(amount, float(self.per_minute)) - self.level
        return max(0.0, missing * _MINUTE_S / self.per_minute)


class KeyLimits:
    """The state of one key's limits."""

    __slots__ = ("concurrency", "requests", "running", "tokens")

    def __init__(self, key: KeyEntry, now: float) -> None:
        self.running = 0
        self.adopt(key, now)

    def adopt(self, key: KeyEntry, now: float) -> None:
        """Begin anew with the limits that the key has now; what runs goes on counting."""
        self.requests = Bucket(key.rpm, now) if key.rpm is not None else None
        self.tokens = Bucket(key.tpm, now) if key.tpm is not None else None
        self.concurrency = key.concurrency

    def fits(self, key: KeyEntry) -> bool:
        """Say whether this state was made for the limits that the key has now."""
        return (
            (self.requests.per_minute if self.requests else None) == key.rpm
            and (self.tokens.per_minute if self.tokens else None) == key.tpm
            and self.concurrency == key.concurrency
        )


class Slot:
    """A request that was let in: gives its place back once, with the tokens it really used."""

    __slots__ = ("_estimate", "_is_released", "_limits")

    def __init__(self, limits: KeyLimits, estimate: int) -> None:
        self._limits = limits
        self._estimate = estimate
        self._is_released = False

    def release(self, used_tokens: int) -> None:
        """End the request. Idempotent."""
        if self._is_released:
            return
        self._is_released = True
        self._limits.running -= 1
        if self._limits.tokens is not None:
            self._limits.tokens.level += self._estimate - used_tokens

    def headers(self) -> list[Header]:
        """Return the x-ratelimit headers for the answer."""
        return headers_of(self._limits)


class Limits:
    """The limits of all keys, as far as this process has seen them."""

    def __init__(self) -> None:
        self._keys: dict[int, KeyLimits] = {}

    def enter(self, key: KeyEntry, *, tokens: int, now: float) -> Slot:
        """Let a request in; raises RateLimited, with nothing taken."""
        limits = self._state(key, now)
        if limits.concurrency is not None and limits.running >= limits.concurrency:
            raise _refusal(limits, "running requests", limits.concurrency, retry_after_s=1.0)
        for bucket, amount, what in (
            (limits.requests, 1, "requests per minute"),
            (limits.tokens, tokens, "tokens per minute"),
        ):
            if bucket is not None:
                bucket.refill(now)
                wait_s = bucket.wait_s(amount)
                if wait_s > 0:
                    raise _refusal(limits, what, bucket.per_minute, retry_after_s=wait_s)
        limits.running += 1
        if limits.requests is not None:
            limits.requests.level -= 1
        if limits.tokens is not None:
            limits.tokens.level -= tokens
        return Slot(limits, tokens)

    def _state(self, key: KeyEntry, now: float) -> KeyLimits:
        limits = self._keys.get(key.id)
        if limits is None:
            if len(self._keys) >= _MAX_KEYS:
                self._keys = {k: v for k, v in self._keys.items() if v.running}
            limits = self._keys[key.id] = KeyLimits(key, now)
        elif not limits.fits(key):
            limits.adopt(key, now)
        return limits


class Lookups:
    """How often a key may ask for what costs nothing."""

    def __init__(self, *, per_minute: int = 300) -> None:
        self._per_minute = per_minute
        self._buckets: dict[int, Bucket] = {}

    def enter(self, key_id: int, *, now: float) -> None:
        """Let a look-up in; raises RateLimited."""
        if len(self._buckets) >= _MAX_KEYS:
            self._buckets.clear()
        bucket = self._buckets.setdefault(key_id, Bucket(self._per_minute, now))
        bucket.refill(now)
        wait_s = bucket.wait_s(1)
        if wait_s > 0:
            raise RateLimited(retry_after_s=wait_s)
        bucket.level -= 1


def headers_of(limits: KeyLimits) -> list[Header]:
    """Return limit, what remains, and the time until all of it is back, as OpenAI writes them."""
    headers: list[Header] = []
    for bucket, what in ((limits.requests, b"requests"), (limits.tokens, b"tokens")):
        if bucket is None:
            continue
        remaining = max(0, int(bucket.level))
        reset_s = bucket.wait_s(bucket.per_minute)
        headers += [
            (b"x-ratelimit-limit-" + what, b"%d" % bucket.per_minute),
            (b"x-ratelimit-remaining-" + what, b"%d" % remaining),
            (b"x-ratelimit-reset-" + what, _duration(reset_s)),
        ]
    return headers


def _duration(seconds: float) -> bytes:
    if seconds < 1:
        return b"%dms" % round(seconds * 1000)
    if seconds < _MINUTE_S:
        return b"%ds" % round(seconds)
    return b"%dm%ds" % divmod(round(seconds), 60)


def _refusal(limits: KeyLimits, what: str, limit: int, *, retry_after_s: float) -> RateLimited:
    return RateLimited(
        f"Rate limit reached for this API key: {what}, limit {limit}.",
        retry_after_s=retry_after_s,
        headers=headers_of(limits),
    )
