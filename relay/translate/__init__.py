"""Translations between dialects, by the endpoint that a client asks at and one that a channel has.

A channel that speaks the client's own dialect always goes before one that needs a translation.
"""

from relay.protocols.base import Endpoint
from relay.providers.base import Provider
from relay.translate.base import Translation

TRANSLATIONS: dict[str, tuple[Translation, ...]] = {}
"""By the name of the client's endpoint, the ones to prefer first."""


def translation_for(endpoint: Endpoint, provider: Provider) -> Translation | None:
    """Return how a provider can serve an endpoint that is not its own, None if it can't."""
    candidates = TRANSLATIONS.get(endpoint.name, ())
    return next((one for one in candidates if provider.serves(one.endpoint)), None)
