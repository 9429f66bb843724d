"""The columns that a batch inserts, in one order for all databases. Used by the engines alone.

Integers travel as one row of numbers, words as text. In a row of numbers 0 stands for an id that
is not there, and -1 for a time that was not measured; the expressions below turn them into NULL.
"""

from hashlib import sha256
from typing import NamedTuple

from msgspec.structs import astuple

from billing.ledger.state import Correction, HoldWrite, UsageWrite
from billing.pricing import BUCKETS


class Column(NamedTuple):
    """A column and the SQL around its number, `{}`."""

    name: str
    expression: str = "{}"


def _id(name: str) -> Column:
    return Column(name, "nullif({}, 0)")


def _flag(name: str) -> Column:
    return Column(name, "({} = 1)")


USAGE_NUMBERS = (
    Column("tenant_id"),
    Column("wallet_id"),
    Column("key_id"),
    _id("window_id"),
    _id("channel_id"),
    _id("line_id"),
    _id("retail_price_id"),
    _id("wholesale_price_id"),
    _id("cost_price_id"),
    Column("held_ubt"),
    Column("charged_ubt"),
    Column("absorbed_ubt"),
    _id("wholesale_wallet_id"),
    Column("wholesale_ubt"),
    Column("cost_ubt"),
    Column("status"),
    _flag("stream"),
    Column("attempts"),
    Column("first_token_ms", "nullif({}, -1)"),
    Column("total_ms"),
    Column("address_hash"),
    *(Column(f"{bucket}_count") for bucket in BUCKETS),
)

USAGE_WORDS = (
    "model_asked",
    "model_served",
    "endpoint",
    "resolution",
    "usage_source",
    "error_type",
    "upstream_request_id",
)

HOLD_NUMBERS = (
    Column("tenant_id"),
    Column("wallet_id"),
    Column("key_id"),
    _id("window_id"),
    Column("amount_ubt"),
    _id("wholesale_wallet_id"),
    Column("wholesale_ubt"),
    Column("retail_price_id"),
    _id("wholesale_price_id"),
    _id("cost_price_id"),
    _id("channel_id"),
    _id("line_id"),
    _flag("stream"),
    Column("counted_input"),
)

HOLD_WORDS = ("model_asked", "model_served", "endpoint")


def usage_numbers(write: UsageWrite) -> tuple[int, ...]:
    """Return the numbers of a usage record in the order of USAGE_NUMBERS."""
    op, facts = write.op, write.op.facts
    return (
        op.tenant_id,
        op.wallet_id,
        op.key_id,
        write.window_id,
        facts.channel_id or 0,
        facts.line_id or 0,
        write.retail_price_id,
        facts.wholesale_price_id or 0,
        facts.cost_price_id or 0,
        write.held_ubt,
        write.charged_ubt,
        write.absorbed_ubt,
        op.wholesale_wallet_id or 0,
        write.wholesale_ubt,
        facts.cost_ubt,
        facts.status,
        facts.stream,
        facts.attempts,
        -1 if facts.first_token_ms is None else facts.first_token_ms,
        facts.total_ms,
        facts.address_hash,
        *astuple(facts.counts),
    )


def usage_words(write: UsageWrite) -> tuple[str, ...]:
    """Return the words of a usage record in the order of USAGE_WORDS, cut to their columns."""
    facts = write.op.facts
    return (
        facts.model_asked[:64],
        facts.model_served[:64],
        facts.endpoint,
        write.resolution,
        facts.usage_source,
        facts.error_type,
        facts.upstream_request_id[:64],
    )


def hold_numbers(write: HoldWrite) -> tuple[int, ...]:
    """Return the numbers of a hold in the order of HOLD_NUMBERS."""
    op = write.op
    return (
        op.tenant_id,
        op.wallet_id,
        op.key_id,
        write.window_id,
        write.amount_ubt,
        op.wholesale_wallet_id or 0,
        write.wholesale_ubt,
        op.retail_price_id,
        op.wholesale_price_id or 0,
        op.cost_price_id or 0,
        op.channel_id or 0,
        op.line_id or 0,
        op.stream,
        op.counted_input,
    )


def hold_words(write: HoldWrite) -> tuple[str, ...]:
    """Return the words of a hold in the order of HOLD_WORDS."""
    return write.op.model_asked, write.op.model_served, write.op.endpoint


def correction_hash(write: Correction) -> str:
    """Return the `input_hash` of a correction."""
    return input_hash(
        wallet_id=write.wallet_id,
        kind="correction",
        direction=write.direction,
        amount_ubt=write.amount_ubt,
    )


def input_hash(*, wallet_id: int, kind: str, direction: int, amount_ubt: int) -> str:
    """Return what tells a repeated transfer from one with the same source and other input."""
    return sha256(f"{wallet_id} {kind} {direction} {amount_ubt}".encode()).hexdigest()
