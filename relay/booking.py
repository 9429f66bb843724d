"""What the ledger is told of an exchange: its hold, its checkpoints, its settle.

Called by `exchange`, `streaming` and `realtime`.
"""

import time
from typing import TYPE_CHECKING

from billing.ledger.ops import HoldOp, ProgressOp, SettleOp, UsageFacts
from billing.pricing import charge
from relay.admission import window_of
from relay.routing import Choice

if TYPE_CHECKING:
    from relay.exchange import Exchange


def hold_op(exchange: "Exchange", first: Choice) -> HoldOp:
    """Return the hold of a request that is to be sent to this choice first, without amounts."""
    facts, key = exchange.facts, exchange.key
    return HoldOp(
        id=exchange.call.id,
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        key_id=key.id,
        input_ubt=0,
        output_ubt=0,
        least_output_ubt=0,
        shares=False,
        retail_price_id=exchange.price.id,
        model_asked=facts.model,
        model_served=first.offer.served,
        endpoint=facts.endpoint.name,
        stream=facts.stream,
        channel_id=first.offer.channel.id,
        line_id=exchange.host.line_id,
        window=window_of(key, exchange.shop.time_zone) if key.budget_period else None,
    )


def progress_op(
    exchange: "Exchange",
    *,
    counted_input: int,
    counted_output: int,
    delivered_ubt: int,
    wanted_ubt: int,
) -> ProgressOp:
    """Return a checkpoint; `wanted_ubt` is what the hold should come to, 0 for what it is."""
    op, choice = exchange.admitted.op, exchange.choice
    return ProgressOp(
        id=op.id,
        tenant_id=op.tenant_id,
        wallet_id=op.wallet_id,
        key_id=op.key_id,
        counted_input=counted_input,
        counted_output=counted_output,
        delivered_ubt=delivered_ubt,
        wanted_ubt=wanted_ubt,
        channel_id=choice.offer.channel.id if choice else None,
        model_served=choice.offer.served if choice else "",
    )


def settle_op(exchange: "Exchange") -> SettleOp:
    """Return the settle of an exchange that has ended now."""
    op, choice, received_at = exchange.admitted.op, exchange.choice, exchange.call.received_at
    content_at, counts = exchange.first_content_at, exchange.counts
    cost_price = choice.offer.channel.cost_prices.get(exchange.facts.model) if choice else None
    return SettleOp(
        id=op.id,
        tenant_id=op.tenant_id,
        wallet_id=op.wallet_id,
        key_id=op.key_id,
        actual_ubt=exchange.actual_ubt,
        facts=UsageFacts(
            counts=counts,
            model_asked=op.model_asked,
            model_served=choice.offer.served if choice else op.model_served,
            endpoint=op.endpoint,
            retail_price_id=op.retail_price_id,
            resolution=exchange.resolution,
            usage_source=exchange.usage_source,
            status=exchange.status,
            error_type=exchange.error_type,
            stream=op.stream,
            attempts=exchange.attempts,
            first_token_ms=_ms(content_at - received_at) if content_at else None,
            total_ms=_ms(time.monotonic() - received_at),
            channel_id=choice.offer.channel.id if choice else None,
            line_id=op.line_id,
            cost_price_id=cost_price.id if cost_price else None,
            cost_ubt=charge(cost_price, counts) if cost_price else 0,
            upstream_request_id=exchange.upstream_request_id,
            address_hash=exchange.address_hash,
        ),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
