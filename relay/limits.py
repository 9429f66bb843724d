"""Requests and tokens a minute, and running requests, of keys and wallets that have such limits.

They protect the service; money is safe without them. Counted by all processes together in Valkey
(`limits_shared`); while that is away, by each process for itself (`limits_local`), and no error.
Tokens are taken by an estimate and corrected when the answer is known. Called by `exchange` before
the hold, and not at all for a key without limits.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Sequence

from relay.ceilings import Ceiling, Count, headers_of, refusal
from relay.headers import Header
from relay.limits_local import LocalLimits
from relay.limits_shared import PATIENCE_S, SharedLimits, counted

LEASE_S = 60.0
"""How long a place among the running is kept for a process that says nothing of it any more."""


class Slot:
    """A request that was let in: gives its place back once, with the tokens it really used."""

    __slots__ = ("_limits", "ceilings", "count", "estimate", "id", "is_released", "is_shared")

    def __init__(
        self, limits: "Limits", ceilings: Sequence[Ceiling], *, id_: bytes, estimate: int
    ) -> None:
        self._limits = limits
        self.ceilings = ceilings
        self.estimate = estimate
        self.id = id_
        self.count: Count
        self.is_shared = False
        self.is_released = False

    def release(self, used_tokens: int) -> None:
        """End the request. Idempotent."""
        if not self.is_released:
            self.is_released = True
            self._limits.leave(self, more_tokens=used_tokens - self.estimate)

    def headers(self) -> list[Header]:
        """Return the x-ratelimit headers for the answer."""
        return headers_of(self.ceilings, self.count)


class Limits:
    """The limits of all keys and wallets. Without `url` each process counts for itself."""

    def __init__(
        self, url: str = "", *, patience_s: float = PATIENCE_S, lease_s: float = LEASE_S
    ) -> None:
        self._shared = SharedLimits(url, patience_s=patience_s) if url else None
        self._local = LocalLimits()
        self._lease_s = lease_s
        self._process = os.urandom(8).hex().encode()
        self._number = 0
        self._running: dict[bytes, Slot] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Connect to Valkey if it is there."""
        if self._shared is not None:
            await self._shared.open()

    async def stop(self) -> None:
        """Send what the last requests have left, and let go."""
        if self._timer is not None:
            self._timer.cancel()
        if self._shared is not None:
            await self._shared.close()

    async def enter(self, ceilings: Sequence[Ceiling], *, tokens: int) -> Slot:
        """Let a request in; raises RateLimited, with nothing taken."""
        self._number += 1
        slot = Slot(self, ceilings, id_=b"%s:%d" % (self._process, self._number), estimate=tokens)
        count = await self._counted_by_all(slot)
        if count is None:
            count = self._local.enter(ceilings, tokens=tokens, now=time.monotonic())
        elif count.blocked_at is None:
            slot.is_shared = True
            self._local.note(ceilings)
        if count.blocked_at is not None:
            raise refusal(ceilings, count)
        slot.count = count
        if any(ceiling.concurrency is not None for ceiling in ceilings):
            self._running[slot.id] = slot
            self._watch()
        return slot

    def leave(self, slot: Slot, *, more_tokens: int) -> None:
        """Count a request out; for `Slot.release`."""
        is_running = self._running.pop(slot.id, None) is not None
        is_shared = slot.is_shared
        own = 0 if is_shared else more_tokens
        self._local.leave(slot.ceilings, more_tokens=own, now=time.monotonic())
        if self._shared is not None and (is_shared or is_running):
            more = more_tokens if is_shared else 0
            self._shared.leave(slot.ceilings, slot=slot.id, more_tokens=more)

    async def _counted_by_all(self, slot: Slot) -> Count | None:
        """Return what Valkey has counted, None if it can't be asked."""
        shared = self._shared
        if shared is None:
            return None
        if not shared.is_open:
            shared.open_soon()
            return None
        asked = shared.enter(
            slot.ceilings, slot=slot.id, tokens=slot.estimate, lease_s=self._lease_s
        )
        try:
            answer = await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(lambda _: self._give_back(slot, asked))
            raise
        return counted(answer) if answer is not None else None

    def _give_back(self, slot: Slot, asked: "asyncio.Future[list[int] | None]") -> None:
        """Give back what a request was granted whose client had gone by then."""
        answer = None if asked.cancelled() else asked.result()
        if self._shared is not None and answer and not answer[0]:
            self._shared.leave(slot.ceilings, slot=slot.id, more_tokens=-slot.estimate)

    # Places of requests that take longer.

    def _watch(self) -> None:
        if self._timer is None and self._shared is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._lease_s / 3, self._stay)

    def _stay(self) -> None:
        """Say of all that run here that they still do, to a Valkey that may have forgotten them."""
        self._timer = None
        if not self._running or self._shared is None:
            return
        self._shared.open_soon()
        by_place: dict[bytes, list[bytes]] = defaultdict(list)
        for slot in self._running.values():
            for ceiling in slot.ceilings:
                if ceiling.concurrency is not None:
                    by_place[ceiling.places[2]].append(slot.id)
        for place, slots in by_place.items():
            self._shared.stay(place, slots=slots, lease_s=self._lease_s)
        self._watch()
