"""Everything of a relay process that outlives a request: made at start-up, let go at the end.

`asgi` owns the one instance; exchanges and local answers get it handed in.
"""

import asyncio
import signal
from collections import defaultdict
from datetime import UTC, datetime

from billing.ledger.engine import make_engine
from relay import loading, tokens
from relay.admission import Room
from relay.auth import Addresses
from relay.bodies import Bodies
from relay.call import Call
from relay.committer import Committer
from relay.errors import Stopping
from relay.health import Health
from relay.keyring import Keyring
from relay.ledger_batch import LedgerBatch
from relay.limits import Limits
from relay.limits_local import Lookups
from relay.objects import Objects
from relay.options import Options
from relay.reader import Reader
from relay.snapshot import Snapshot, SnapshotKeeper
from relay.upstream import HttpxUpstream, Upstream, WireUpstream
from relay.watch import Watch

ABANDONED_A_DAY = 20
_FLUSH_S = 5.0


class Services:
    """The relay's parts. Belongs to the loop that started it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.calls: set[Call] = set()
        self.is_stopping = False
        self.bodies = Bodies(options.max_bodies_bytes)
        self.room = Room()
        self.health = Health()
        self.limits = Limits(options.redis_url, patience_s=options.limits_patience_s)
        self.lookups = Lookups()
        self.abandoned = Abandoned()
        self.addresses = Addresses(trusted=options.trusted_proxies, salt=options.address_salt)
        self.reader = Reader()
        self.objects = Objects(self.reader)
        self.watch = Watch(
            receive_s=options.receive_s,
            stalled_reader_s=options.stalled_reader_s,
            keepalive_s=options.keepalive_s,
        )
        self.ledger = LedgerBatch(
            Committer(make_engine(options.database, owner=options.owner)),
            heartbeat_period_s=options.heartbeat_period_s,
            on_room=self.room.wake,
            on_death=_end_process if options.owns_process else _stay,
        )
        self.keyring = Keyring(self.reader, read_keys=loading.read_keys, size=options.cached_keys)
        self.snapshots = SnapshotKeeper(
            self.reader,
            load=loading.load_snapshot,
            read_versions=loading.read_versions,
            forget_keys=self.keyring.forget,
            period_s=options.snapshot_period_s,
        )
        self.database_check: asyncio.Task[list[str]] | None = None
        self.database_sound_at = float("-inf")
        self._wire: Upstream = WireUpstream()
        self._proxied: dict[str, Upstream] = {}

    @property
    def snapshot(self) -> Snapshot:
        """Prices, channels and hosts as they are now."""
        return self.snapshots.current

    async def start(self) -> None:
        """Open the ledger and read the first snapshot; raises what either raises."""
        await asyncio.to_thread(tokens.install_ranks, self.options.state_dir)
        await self.limits.start()
        await self.ledger.start()
        await self.snapshots.start()

    async def stop(self) -> None:
        """Let running calls end, settle what the others have delivered, and let go (R12)."""
        self.is_stopping = True
        await self._drained(self.options.drain_s)
        for call in list(self.calls):
            call.interrupt(Stopping())
        await self._drained(_FLUSH_S)
        await self.limits.stop()
        await self.objects.stop(within_s=_FLUSH_S)
        await self.snapshots.stop()
        await self.ledger.stop(within_s=_FLUSH_S)
        self.watch.stop()
        for upstream in (self._wire, *self._proxied.values()):
            await upstream.aclose()
        await self.reader.close()

    def upstream(self, proxy_url: str) -> Upstream:
        """Return the client for a channel: our own, or httpx through its proxy."""
        if not proxy_url:
            return self._wire
        if proxy_url not in self._proxied:
            self._proxied[proxy_url] = HttpxUpstream(proxy=proxy_url)
        return self._proxied[proxy_url]

    async def _drained(self, within_s: float) -> None:
        tasks = [call.task for call in self.calls if call.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)


def _end_process() -> None:
    """Stop in order: streams may end, and a supervisor starts a process that can take holds."""
    signal.raise_signal(signal.SIGTERM)


def _stay() -> None:
    """Go on without a ledger: answers that need none are still given."""


class Abandoned:
    """How many answers each key has abandoned today: who does so often pays for them (R8)."""

    def __init__(self) -> None:
        self._day = ""
        self._counts: dict[int, int] = defaultdict(int)

    def note(self, key_id: int) -> None:
        """A client of this key has left before its whole answer."""
        self._turn()
        self._counts[key_id] += 1

    def is_often(self, key_id: int) -> bool:
        """Say whether the key's answers are to be finished and charged for the rest of the day."""
        if not self._counts:
            return False
        self._turn()
        return self._counts.get(key_id, 0) >= ABANDONED_A_DAY

    def _turn(self) -> None:
        day = datetime.now(UTC).date().isoformat()
        if day != self._day:
            self._day = day
            self._counts.clear()
