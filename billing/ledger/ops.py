"""The words of the ledger: operations, answers and facts. Pure data, shared by engines and relay.

Amounts are micro base tokens, ids of requests are 16 bytes, other ids are those of their rows.
"""

from enum import IntEnum

import msgspec

from billing.pricing import Counts


class Grant(IntEnum):
    """How a hold was answered. Everything but GRANTED leaves no trace.

    INSUFFICIENT, CAP and BUDGET tell what is used up; HELD_BY_OTHERS that it would fit if nothing
    else were running. CONFLICT: the id is held for another amount; CLOSED: it is resolved.
    FAILED: the database refuses this one item, whatever is tried.
    """

    GRANTED = 0
    INSUFFICIENT = 1
    HELD_BY_OTHERS = 2
    WALLET_BLOCKED = 3
    WALLET_EXPIRED = 4
    KEY_DISABLED = 5
    KEY_EXPIRED = 6
    CAP = 7
    BUDGET = 8
    WHOLESALE = 9
    CONFLICT = 10
    CLOSED = 11
    FAILED = 12


class Growth(IntEnum):
    """How a progress was answered."""

    RECORDED = 0
    EXHAUSTED = 1
    CLOSED = 2
    FAILED = 3


class Window(msgspec.Struct, frozen=True, gc=False):
    """The budget window a hold belongs to; made by its first hold. `starts_at` is epoch seconds."""

    period: str
    starts_at: int
    limit_ubt: int


class HoldOp(msgspec.Struct, gc=False):
    """Reserve `input_ubt` plus as much of `output_ubt` as the balance affords.

    The least acceptable output part is `least_output_ubt`. With `shares` (no limit given by the
    client) the output part is also at most a quarter of what is available (never below the least).
    `wholesale_ubt` is what input and output come to at wholesale; as much of it is held as of them.
    """

    id: bytes
    tenant_id: int
    wallet_id: int
    key_id: int
    input_ubt: int
    output_ubt: int
    least_output_ubt: int
    shares: bool
    retail_price_id: int
    model_asked: str
    model_served: str
    endpoint: str
    stream: bool
    counted_input: int = 0
    channel_id: int | None = None
    line_id: int | None = None
    wholesale_wallet_id: int | None = None
    wholesale_ubt: int = 0
    wholesale_price_id: int | None = None
    cost_price_id: int | None = None
    window: Window | None = None


class HoldAnswer(msgspec.Struct, frozen=True, gc=False):
    """`amount_ubt` is what is held, `available_ubt` what the wallet (or the tighter cap or window)
    could still hold beside it."""

    grant: Grant
    amount_ubt: int = 0
    available_ubt: int = 0


class ProgressOp(msgspec.Struct, gc=False):
    """Record what a running request has delivered, and grow its hold to `wanted_ubt` in all.

    `wanted_ubt` 0 asks for no growth. Growth gives as much as there is, up to what is wanted; the
    wholesale hold grows in proportion. A channel or model given here replaces the hold's.
    `delivered_ubt` is what the request's price makes of the two
    counts (as input and output), or 0 while nothing was delivered: a crash is charged with them.
    """

    id: bytes
    tenant_id: int
    wallet_id: int
    key_id: int
    counted_input: int
    counted_output: int
    delivered_ubt: int
    wanted_ubt: int = 0
    wholesale_wallet_id: int | None = None
    channel_id: int | None = None
    model_served: str = ""


class ProgressAnswer(msgspec.Struct, frozen=True, gc=False):
    """EXHAUSTED: growth was wanted and nothing could be added."""

    growth: Growth
    amount_ubt: int = 0


class UsageFacts(msgspec.Struct, gc=False):
    """What a usage record says about a request, but for its amounts (see UsageRecord)."""

    counts: Counts
    model_asked: str
    model_served: str
    endpoint: str
    retail_price_id: int | None
    resolution: str
    usage_source: str
    status: int
    error_type: str = ""
    stream: bool = False
    attempts: int = 0
    first_token_ms: int | None = None
    total_ms: int = 0
    channel_id: int | None = None
    line_id: int | None = None
    wholesale_price_id: int | None = None
    cost_price_id: int | None = None
    cost_ubt: int = 0
    upstream_request_id: str = ""
    address_hash: int = 0


class SettleOp(msgspec.Struct, gc=False):
    """Resolve a hold: charge `actual_ubt` (0 voids it) and write the usage record.

    The wallets must be those of the hold. The record keeps the retail price of the hold.
    """

    id: bytes
    tenant_id: int
    wallet_id: int
    key_id: int
    actual_ubt: int
    facts: UsageFacts
    wholesale_wallet_id: int | None = None
    wholesale_ubt: int = 0


class Batch(msgspec.Struct, gc=False):
    """What one transaction does, in this order: settles, progresses, holds; and heartbeats.

    With `silent_for_s` (the reaper's) its settles resolve only holds without a heartbeat so long.
    """

    settles: list[SettleOp] = []
    progresses: list[ProgressOp] = []
    holds: list[HoldOp] = []
    heartbeats: list[bytes] = []
    silent_for_s: float | None = None


class Answers(msgspec.Struct, gc=False):
    """Answers in the order of the batch's lists; a settle's is what its id is charged in all.

    `failures` says by id why an item failed on its own; such a settle answers 0.
    """

    settles: list[int]
    progresses: list[ProgressAnswer]
    holds: list[HoldAnswer]
    failures: dict[bytes, str] = {}
