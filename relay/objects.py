"""What upstreams keep for wallets, as the relay remembers and finds it.

A response is remembered beside the client's path: what has come while one batch is being written
goes with the next. A job must be remembered before its client learns its id, or nobody could ever
give it back. Called by `exchange` and `objects_api`; the rows are told in `object_rows`.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from relay import object_rows
from relay.errors import LedgerUnavailable
from relay.object_rows import Kept
from relay.protocols import videos
from relay.reader import PATIENCE_S, Reader

log = structlog.get_logger(__name__)

MOST_RECENT = 10_000
MOST_WAITING = 10_000
_RETRY_S = 1.0
_LOOK_AGAIN_S = 0.02
_BATCH = 500

Name = tuple[int, str, str, int | None]


class Objects:
    """Belongs to the loop of its process. `recent` spares the database most look-ups."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._recent: OrderedDict[Name, Kept] = OrderedDict()
        self._waiting: list[Kept] = []
        self._writer: asyncio.Task[None] | None = None
        self._hiding: set[asyncio.Task[None]] = set()

    def remember(self, kept: Kept) -> None:
        """Have an object stored soon; this process finds it at once."""
        if not videos.is_plain(kept.upstream_id):
            return
        self._note(kept)
        if len(self._waiting) >= MOST_WAITING:
            log.error("objects are not remembered: the database is away")
            return
        self._waiting.append(kept)
        if self._writer is None:
            self._writer = asyncio.ensure_future(self._write())

    async def remember_job(self, kept: Kept) -> None:
        """Store a job; returns when it is durable. Raises LedgerUnavailable.

        If its client leaves meanwhile, or it takes too long, it may be stored all the same: it is
        hidden then, for nobody is charged for what nobody was told of.
        """
        if not videos.is_plain(kept.upstream_id):
            return
        try:
            await self._reader.run(object_rows.store, [kept])
        except (asyncio.CancelledError, LedgerUnavailable):
            self._hide_later(self._hide(kept))
            raise
        self._note(kept)

    async def _hide(self, kept: Kept) -> None:
        """Hide a job; the reader takes its turns in order, so this comes after its storing."""
        with suppress(LedgerUnavailable):
            await self._reader.run(object_rows.remove, kept)

    async def find(
        self,
        kind: str,
        upstream_id: str,
        *,
        tenant_id: int,
        wallet_id: int,
        route_id: int | None = None,
    ) -> Kept | None:
        """Return what a wallet knows by this id; None for nothing. Raises LedgerUnavailable."""
        if not videos.is_plain(upstream_id):
            return None
        found = self._recent.get((wallet_id, kind, upstream_id, route_id))
        if found is not None and found.tenant_id == tenant_id:
            return found
        return await self._reader.run(
            object_rows.read,
            tenant_id=tenant_id,
            wallet_id=wallet_id,
            kind=kind,
            upstream_id=upstream_id,
            route_id=route_id,
        )

    def note_done(self, kept: Kept) -> None:
        """Have this process know that a job has ended well: nobody need look after it."""
        if _name(kept) in self._recent:
            done = {"is_job": False, "state": videos.DONE}
            self._recent[_name(kept)] = msgspec.structs.replace(kept, **done)

    async def forget(self, kept: Kept) -> None:
        """Forget an object that its owner has deleted. Raises LedgerUnavailable."""
        give_up_at = time.monotonic() + PATIENCE_S
        while any(one.id == kept.id for one in self._waiting):
            if time.monotonic() > give_up_at:
                raise LedgerUnavailable
            await asyncio.sleep(_LOOK_AGAIN_S)
        self._recent.pop(_name(kept), None)
        await self._reader.run(object_rows.remove, kept)

    def abandon(self, kept: Kept) -> None:
        """Have an object forgotten soon."""
        self._recent.pop(_name(kept), None)
        self._hide_later(self._forget_quietly(kept))

    async def _forget_quietly(self, kept: Kept) -> None:
        with suppress(LedgerUnavailable):
            await self.forget(kept)

    def _hide_later(self, hiding: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(hiding)
        self._hiding.add(task)
        task.add_done_callback(self._hiding.discard)

    async def stop(self, *, within_s: float) -> None:
        """Store what waits, as far as there is time."""
        if (writer := self._writer) is not None:
            await asyncio.wait([writer], timeout=within_s)
            writer.cancel()
        if self._hiding:
            await asyncio.wait(self._hiding, timeout=within_s)

    def _note(self, kept: Kept) -> None:
        self._recent[_name(kept)] = kept
        if len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)

    async def _write(self) -> None:
        """Store what waits, batch by batch, for as long as there is something."""
        try:
            while self._waiting:
                batch = self._waiting[:_BATCH]
                try:
                    await self._reader.run(object_rows.store, batch)
                except LedgerUnavailable:
                    await asyncio.sleep(_RETRY_S)
                    continue
                del self._waiting[: len(batch)]
        finally:
            self._writer = None


def _name(kept: Kept) -> Name:
    return kept.wallet_id, kept.kind, kept.upstream_id, kept.route_id
