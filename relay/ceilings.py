"""What a key, and the wallet that it spends from, may do in a minute and at once.

A ceiling has up to three figures: requests and tokens per minute, and requests at once. Whoever
counts (`limits_local` in this process, `limits_shared` in Valkey) answers with a `Count`; this
module tells it to clients: as headers, and as the error that a refusal is. Free of Django.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from relay.errors import RateLimited
from relay.headers import Header

MINUTE_S = 60.0
AGAIN_S = 1.0
"""When to come back for a place among those that run; nobody knows when one gets free."""

# What division may leave below a whole number.
_ROUNDING = 1e-3
_KINDS = ("requests per minute", "tokens per minute", "requests at once")


class Ceiling(msgspec.Struct, frozen=True, gc=False):
    """The limits of one key or wallet; None does not limit. Made by `ceiling_of`.

    `places` are its names in Valkey: a bucket of requests, one of tokens, the slots. A limit is
    part of the name of its bucket, so that a changed one begins anew.
    """

    owner: str
    rpm: int | None
    tpm: int | None
    concurrency: int | None
    name: str
    places: tuple[bytes, bytes, bytes]

    def limit(self, kind: int) -> int:
        """Return the figure of a kind, by its number."""
        return (self.rpm, self.tpm, self.concurrency)[kind] or 0


class Count(NamedTuple):
    """What counting a request has come to, for some ceilings.

    `blocked_at` is None if it was let in, else (ceiling, kind) of what it has to wait for longest.
    `full_in_s` has for each ceiling how long until its requests, and its tokens, are all back.
    """

    blocked_at: tuple[int, int] | None
    wait_s: float
    full_in_s: Sequence[tuple[float, float]]


def ceiling_of(
    owner: str, row_id: int, *, rpm: int | None, tpm: int | None, concurrency: int | None
) -> tuple[Ceiling, ...]:
    """Return the ceiling of a key or a wallet, nothing if it has no limit at all."""
    if rpm is None and tpm is None and concurrency is None:
        return ()
    name = f"{owner}:{row_id}"
    start = f"tollgate:limits:{name}"
    places = (f"{start}:rpm:{rpm}", f"{start}:tpm:{tpm}", f"{start}:running")
    encoded = (places[0].encode(), places[1].encode(), places[2].encode())
    return (Ceiling(owner, rpm, tpm, concurrency, name, encoded),)


def headers_of(ceilings: Sequence[Ceiling], count: Count) -> list[Header]:
    """Return limit, what remains, and the time until all of it is back, as OpenAI writes them.

    Of several ceilings the one that leaves less is told.
    """
    headers: list[Header] = []
    for kind, what in enumerate((b"requests", b"tokens")):
        tightest = min(_left(ceilings, count, kind), default=None)
        if tightest is not None:
            remaining, limit, full_in_s = tightest
            headers += [
                (b"x-ratelimit-limit-" + what, b"%d" % limit),
                (b"x-ratelimit-remaining-" + what, b"%d" % remaining),
                (b"x-ratelimit-reset-" + what, _duration(full_in_s)),
            ]
    return headers


def _left(ceilings: Sequence[Ceiling], count: Count, kind: int) -> list[tuple[int, int, float]]:
    """Return for each ceiling that has this kind: what remains, its limit, when all is back."""
    found = []
    for ceiling, full_in_s in zip(ceilings, count.full_in_s, strict=True):
        limit = ceiling.rpm if kind == 0 else ceiling.tpm
        if limit is not None:
            left = limit - full_in_s[kind] * limit / MINUTE_S
            whole = int(left + _ROUNDING)
            found.append((max(0, whole), limit, full_in_s[kind]))
    return found


def refusal(ceilings: Sequence[Ceiling], count: Count) -> RateLimited:
    """Return the error for a request that was not let in."""
    number, kind = count.blocked_at or (0, 0)
    ceiling = ceilings[number]
    whose = "this API key" if ceiling.owner == "key" else "the balance of this API key"
    return RateLimited(
        f"Rate limit reached for {whose}: {_KINDS[kind]}, limit {ceiling.limit(kind)}.",
        retry_after_s=count.wait_s,
        headers=headers_of(ceilings, count),
    )


def _duration(seconds: float) -> bytes:
    whole = round(seconds)
    if seconds < 1:
        return b"%dms" % round(seconds * 1000)
    return b"%dm%ds" % divmod(whole, 60) if whole >= MINUTE_S else b"%ds" % whole
