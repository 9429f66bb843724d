"""Which keys exist: those read before, looked up by a digest of what the client presents.

A hit costs one hash and one dictionary look-up; the pepper is only needed when a key is first seen,
in the reader's thread. Misses of one turn of the loop share a query. A key that does not exist is
remembered for a moment only. `forget` (the snapshot keeper) drops everything when keys change.
"""

import asyncio
import ipaddress
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from relay.ceilings import Ceiling
from relay.errors import InvalidKey, RelayError
from relay.reader import Reader

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN_FOR_S = 1.0
MAX_UNKNOWN = 10_000
LONGEST_KEY_BYTES = 200


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A key's policy as it was read. Its money is the ledger's alone; empty lists allow all."""

    id: int
    kid: str
    tenant_id: int
    wallet_id: int
    is_enabled: bool
    expires_at: float | None
    models: frozenset[str]
    endpoints: frozenset[str]
    addresses: tuple[Network, ...]
    ceilings: tuple[Ceiling, ...] = ()
    budget_period: str
    budget_ubt: int | None

    @property
    def is_limited(self) -> bool:
        """Whether requests, tokens or concurrency of this key, or of its wallet, are limited."""
        return bool(self.ceilings)


Found = Mapping[str, KeyEntry]
"""Presented key -> entry, for those that exist and match."""


class Keyring:
    """The bounded memory of keys."""

    def __init__(
        self, reader: Reader, *, read_keys: Callable[[Sequence[str]], Found], size: int
    ) -> None:
        self._reader = reader
        self._read_keys = read_keys
        self._size = size
        self._hash = blake2b(key=os.urandom(32), digest_size=16)
        self._known: OrderedDict[bytes, KeyEntry] = OrderedDict()
        self._unknown: dict[bytes, float] = {}
        self._missing: dict[str, asyncio.Future[KeyEntry | None]] = {}
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._generation = 0

    async def find(self, presented: bytes) -> KeyEntry:
        """Return the entry of a presented key; raises InvalidKey, LedgerUnavailable."""
        entry = self.known(presented)
        return entry if entry is not None else await self._first_seen(presented)

    def known(self, presented: bytes) -> KeyEntry | None:
        """Return the entry of a key that was seen before."""
        entry = self._known.get(digest := self._digest(presented))
        if entry is not None:
            self._known.move_to_end(digest)
        return entry

    def forget(self) -> None:
        """Drop everything; whatever is being read right now is not kept either."""
        self._generation += 1
        self._known.clear()
        self._unknown.clear()

    def _digest(self, presented: bytes) -> bytes:
        state = self._hash.copy()  # cheaper than to begin with the key again
        state.update(presented)
        return state.digest()

    async def _first_seen(self, presented: bytes) -> KeyEntry:
        digest = self._digest(presented)
        if len(presented) > LONGEST_KEY_BYTES or not presented.isascii():
            raise InvalidKey
        if self._unknown.get(digest, 0.0) > self._loop.time():
            raise InvalidKey
        text = presented.decode("ascii")
        waiting = self._missing.get(text)
        if waiting is None:
            if not self._missing:
                self._loop.call_soon(self._read)
            waiting = self._missing[text] = self._loop.create_future()
        generation = self._generation
        entry = await asyncio.shield(waiting)
        if entry is None:
            if len(self._unknown) >= MAX_UNKNOWN:
                self._unknown.clear()
            self._unknown[digest] = self._loop.time() + UNKNOWN_FOR_S
            raise InvalidKey
        if generation == self._generation:
            self._known[digest] = entry
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        return entry

    def _read(self) -> None:
        missing, self._missing = self._missing, {}
        task = self._loop.create_task(self._answer(missing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, missing: dict[str, "asyncio.Future[KeyEntry | None]"]) -> None:
        try:
            found = await self._reader.run(self._read_keys, list(missing))
        # Every waiter must be told, whatever went wrong.
        except Exception as error:
            failure = error if isinstance(error, RelayError) else RelayError()
            for future in missing.values():
                if not future.done():
                    future.set_exception(failure)
                    future.exception()
            return
        for text, future in missing.items():
            if not future.done():
                future.set_result(found.get(text))
