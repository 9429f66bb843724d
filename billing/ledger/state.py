"""What a batch is decided on, and what the decisions write. Made by the engines, read by `decide`.

A `Purse` is anything with an amount that can be used up: a wallet, a key's cap, a budget window.
"""

import msgspec

from billing.ledger.ops import Batch, Grant, HoldOp, ProgressOp, SettleOp


class Purse(msgspec.Struct, gc=False):
    """An amount with room for `room_ubt` beside `pending_ubt` of holds, and what a batch adds."""

    room_ubt: int
    pending_ubt: int
    credited_ubt: int = 0
    charged_ubt: int = 0
    reserved_ubt: int = 0

    def can_charge(self, held_ubt: int) -> int:
        """Return the most that a request with this hold may be charged."""
        return self.room_ubt + min(held_ubt, self.pending_ubt)

    def reserve(self, amount_ubt: int) -> None:
        """Hold an amount that there is room for."""
        self.room_ubt -= amount_ubt
        self.pending_ubt += amount_ubt
        self.reserved_ubt += amount_ubt

    def resolve(self, held_ubt: int, charged_ubt: int) -> None:
        """Release a hold and charge. A cap set while a request ran knows nothing of its hold."""
        released = held_ubt if held_ubt <= self.pending_ubt else self.pending_ubt
        self.room_ubt += released - charged_ubt
        self.pending_ubt -= released
        self.reserved_ubt -= released
        self.charged_ubt += charged_ubt

    @property
    def is_changed(self) -> bool:
        """Tell whether there is something to write."""
        return bool(self.reserved_ubt or self.charged_ubt or self.credited_ubt)


class WalletState(msgspec.Struct, gc=False):
    """A locked wallet. `refusal` is GRANTED where a new hold may be made."""

    tenant_id: int
    refusal: Grant
    purse: Purse


class KeyState(msgspec.Struct, gc=False):
    """A key as it is now; `purse` is its cap, if it has one."""

    tenant_id: int
    wallet_id: int
    refusal: Grant
    purse: Purse | None


class WindowState(msgspec.Struct, gc=False):
    """A budget window. `limit_ubt` follows the key's budget, but never below what is in use."""

    limit_ubt: int
    purse: Purse
    is_changed: bool = False

    def follow(self, limit_ubt: int) -> None:
        """Take over a budget that was changed after the window was made."""
        limit_ubt = max(limit_ubt, self.limit_ubt - self.purse.room_ubt)
        self.purse.room_ubt += limit_ubt - self.limit_ubt
        self.limit_ubt = limit_ubt
        self.is_changed = True


class Held(msgspec.Struct, gc=False):
    """An open hold. Ids that a hold does without are 0."""

    tenant_id: int
    wallet_id: int
    key_id: int
    window_id: int
    amount_ubt: int
    wholesale_wallet_id: int
    wholesale_ubt: int
    retail_price_id: int


class Resolved(msgspec.Struct, gc=False):
    """A usage record that exists, and what a late settle has charged beyond it."""

    tenant_id: int
    wallet_id: int
    key_id: int
    window_id: int
    charged_ubt: int
    wholesale_wallet_id: int
    wholesale_ubt: int
    was_reaped: int
    was_corrected: int
    corrected_ubt: int


class State(msgspec.Struct, gc=False):
    """What the database says about everything that a batch touches.

    `held` are the holds of its settles, already deleted; `running` those of its progresses and
    holds; `resolved` the records of its settles without a hold; `closed` the resolved ids among its
    holds. `settled` is filled by the decisions: what an id was charged in this batch.
    """

    wallets: dict[int, WalletState] = {}
    keys: dict[int, KeyState] = {}
    windows: dict[int, WindowState] = {}
    window_ids: dict[tuple[int, str, int], int] = {}
    held: dict[bytes, Held] = {}
    running: dict[bytes, Held] = {}
    resolved: dict[bytes, Resolved] = {}
    closed: set[bytes] = set()
    settled: dict[bytes, int] = {}


class UsageWrite(msgspec.Struct, gc=False):
    """A usage record to insert."""

    op: SettleOp
    resolution: str
    retail_price_id: int
    window_id: int
    held_ubt: int
    charged_ubt: int
    absorbed_ubt: int
    wholesale_ubt: int


class HoldWrite(msgspec.Struct, gc=False):
    """A hold to insert."""

    op: HoldOp
    amount_ubt: int
    wholesale_ubt: int
    window_id: int


class ProgressWrite(msgspec.Struct, gc=False):
    """A checkpoint to record on an open hold, and how much the hold grew."""

    op: ProgressOp
    grown_ubt: int
    wholesale_grown_ubt: int


class Correction(msgspec.Struct, gc=False):
    """A `correction` transfer for a settle that came after the reaper; `direction` is 1 or -1."""

    tenant_id: int
    wallet_id: int
    source: str
    request_id: bytes
    direction: int
    amount_ubt: int


class Writes(msgspec.Struct, gc=False):
    """What a batch inserts and updates, beside the purses of its state."""

    usage: list[UsageWrite] = []
    holds: list[HoldWrite] = []
    progresses: dict[bytes, ProgressWrite] = {}
    corrections: list[Correction] = []


class Finding(msgspec.Struct, frozen=True, gc=False):
    """An item that the database refuses for good, for the operator."""

    tenant_id: int
    request_id: bytes
    reason: str


def touched(batch: Batch) -> tuple[set[int], set[int]]:
    """Return the ids of all wallets and of all keys that a batch names."""
    wallets: set[int] = set()
    keys: set[int] = set()
    for ops in (batch.settles, batch.progresses, batch.holds):
        for op in ops:
            wallets.add(op.wallet_id)
            keys.add(op.key_id)
            if op.wholesale_wallet_id is not None:
                wallets.add(op.wholesale_wallet_id)
    return wallets, keys
