"""Which channel and credential serves an attempt: pure choice over a snapshot and its health.

Highest priority with a healthy channel first; among equals by weight and recent time to the first
byte, but a conversation stays where it was, for upstreams cache its beginning. Cooling credentials
are left alone while there is any other, but never make a model unavailable: with nothing else left,
the one that is due first is tried. Called by `exchange` and `forwarding`.
"""

import math
from collections.abc import Collection, Sequence
from hashlib import blake2b
from typing import NamedTuple

from relay.health import Health
from relay.snapshot import CredentialEntry, Offer

# Differences in speed below this hardly matter beside the weight an operator gave.
_SPEED_FLOOR_S = 0.25
# Of the name that a client gives its conversation; it could fill a body.
_MOST_NAME_CHARS = 512


class Choice(NamedTuple):
    """What an attempt uses."""

    offer: Offer
    credential: CredentialEntry


def choose(
    offers: Sequence[Offer],
    health: Health,
    *,
    tried: Collection[int],
    now: float,
    draw: float,
    conversation: str = "",
) -> Choice | None:
    """Return the next choice among offers sorted by rank, None when all have been tried.

    `tried` holds credential ids. Among equals `conversation` decides, the same in every process,
    and without one `draw`, a number from 0 to below 1.
    """
    if len(offers) == 1 and not tried:
        lone = offers[0].channel
        if len(lone.credentials) == 1 and lone.is_enabled and lone.concurrency is None:
            return Choice(offers[0], lone.credentials[0])
    usable = [
        Choice(offer, credential)
        for offer in offers
        if offer.channel.is_enabled and not is_full(offer, health)
        for credential in offer.channel.credentials
        if credential.id not in tried
    ]
    if len(usable) <= 1:
        return usable[0] if usable else None
    healthy = [choice for choice in usable if health.cooling_until(choice.credential.id) <= now]
    if not healthy:
        return min(usable, key=lambda choice: health.cooling_until(choice.credential.id))
    first = healthy[0].offer.rank
    equals = [choice for choice in healthy if choice.offer.rank == first]
    if conversation and len(equals) > 1:
        name = conversation[:_MOST_NAME_CHARS].encode(errors="surrogatepass")
        return max(equals, key=lambda choice: _attachment(choice, name))
    return _weighted(equals, health, draw)


def is_full(offer: Offer, health: Health) -> bool:
    """Say whether a channel runs as many attempts as it may."""
    channel = offer.channel
    return (
        channel.concurrency is not None and health.running.get(channel.id, 0) >= channel.concurrency
    )


def _weighted(choices: Sequence[Choice], health: Health, draw: float) -> Choice:
    if len(choices) == 1:
        return choices[0]
    weights = [_weight(choice, health) for choice in choices]
    mark = draw * sum(weights)
    for choice, weight in zip(choices, weights, strict=True):
        mark -= weight
        if mark < 0:
            return choice
    return choices[-1]


def _weight(choice: Choice, health: Health) -> float:
    """Return a credential's weight divided by its slowness."""
    return _share(choice) / (_SPEED_FLOOR_S + health.first_byte_s(choice.credential.id))


def _share(choice: Choice) -> float:
    """Return a credential's share of the weight of its channel."""
    channel = choice.offer.channel
    return channel.weight / len(channel.credentials)


def _attachment(choice: Choice, conversation: bytes) -> float:
    """Return how much a credential is a conversation's (rendezvous hashing, by weight).

    One that comes or goes moves its own conversations and no others.
    """
    named = b"%d %s" % (choice.credential.id, conversation)
    number = int.from_bytes(blake2b(named, digest_size=7).digest(), "big")
    return -_share(choice) / math.log((number + 1) / (2**56 + 1))
