"""What an exchange has to do with what upstreams keep: note what it made, go where it belongs.

Called by `exchange`.
"""

from typing import TYPE_CHECKING

import msgspec

from relay.errors import PreviousResponseNotFound
from relay.object_rows import RESPONSE, TASK, VIDEO, Kept
from relay.protocols.generic import GenericFacts
from relay.protocols.videos import VideoFacts
from relay.routing import Choice
from relay.snapshot import Offer

if TYPE_CHECKING:
    from relay.exchange import Exchange


async def remember(exchange: "Exchange", object_id: str) -> None:
    """Remember what the upstream keeps of a request; a job before its client learns its id.

    A response is noted in the exchange, too. Raises LedgerUnavailable for a job that can't be
    stored.
    """
    choice, facts = exchange.choice, exchange.facts
    if choice is None:
        return
    objects = exchange.services.objects
    if isinstance(facts, VideoFacts):
        kept = _kept(exchange, choice, VIDEO, object_id, is_job=True)
        more = {"second_count": facts.seconds, "size": facts.size}
        await objects.remember_job(msgspec.structs.replace(kept, **more))
    elif isinstance(facts, GenericFacts):
        rule = facts.route.rule
        is_job = rule is not None and bool(rule.state_field)
        kept = _kept(exchange, choice, TASK, object_id, is_job=is_job, route_id=facts.route.id)
        await objects.remember_job(kept)
    elif facts.endpoint.name == "responses":
        exchange.kept = _kept(exchange, choice, RESPONSE, object_id)
        objects.remember(exchange.kept)


def forget_unpaid(exchange: "Exchange", kept: Kept) -> None:
    """Forget a response whose client left or was cut off, and so has paid for a part of it only.

    The upstream may finish it all the same, and it must not be had whole by a look-up.
    """
    if exchange.error_type and exchange.usage_source != "upstream":
        exchange.services.objects.abandon(kept)


def _kept(
    exchange: "Exchange",
    choice: Choice,
    kind: str,
    object_id: str,
    *,
    is_job: bool = False,
    route_id: int | None = None,
) -> Kept:
    key = exchange.key
    return Kept(
        id=exchange.call.id,
        tenant_id=key.tenant_id,
        wallet_id=key.wallet_id,
        key_id=key.id,
        channel_id=choice.offer.channel.id,
        credential_id=choice.credential.id,
        kind=kind,
        upstream_id=object_id,
        route_id=route_id,
        model=exchange.facts.model,
        is_job=is_job,
    )


async def bound_offers(exchange: "Exchange", response_id: str) -> tuple[Offer, ...]:
    """Return the one offer that knows an earlier response: its channel, with its credential.

    Raises PreviousResponseNotFound for one that this wallet does not have, or that nobody can be
    asked for any more.
    """
    key = exchange.key
    kept = await exchange.services.objects.find(
        RESPONSE, response_id, tenant_id=key.tenant_id, wallet_id=key.wallet_id
    )
    if kept is not None:
        for offer in exchange.offers:
            if offer.channel.id == kept.channel_id and offer.translation is None:
                bound = only_credential(offer, kept.credential_id)
                if bound is not None:
                    return (bound,)
    raise PreviousResponseNotFound(response_id)


def only_credential(offer: Offer, credential_id: int) -> Offer | None:
    """Return an offer with no other credential than this one, None if it has it no more."""
    for credential in offer.channel.credentials:
        if credential.id == credential_id:
            channel = msgspec.structs.replace(offer.channel, credentials=(credential,))
            return offer._replace(channel=channel)
    return None
