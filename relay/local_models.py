"""Lists of models, in the shape of whoever asks: OpenAI's, Anthropic's or Gemini's clients.

They share an address and are told apart by what they send. A model is listed if this key may use
it, a channel serves it now and, in the shapes of the other two, their own endpoints serve it.
Called through `local`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from billing.pricing import Price, is_variant
from relay import auth
from relay.call import Call
from relay.errors import ModelNotFound
from relay.keyring import KeyEntry
from relay.lookups import answer, query_of
from relay.protocols.anthropic import ANTHROPIC_ERRORS, MESSAGES
from relay.protocols.base import Endpoint
from relay.protocols.gemini import EMBED, ENDPOINTS, GEMINI_ERRORS
from relay.protocols.gemini_request import verb_of
from relay.services import Services
from relay.snapshot import Shop

Json = dict[str, Any]

_CREATED_AT = 1686935002
_CREATED = "2023-06-16T17:03:22Z"


async def models(services: Services, call: Call, argument: str) -> None:
    """List what this key may use and what is usable now."""
    shelf = await _shelf_of(services, call)
    listed: Json
    if call.errors is GEMINI_ERRORS:
        listed = {"models": [shelf.as_gemini(name) for name in shelf.names()]}
    elif call.errors is ANTHROPIC_ERRORS:
        data = [_as_anthropic(name) for name in shelf.names()]
        ids = [one["id"] for one in data] or [None]
        listed = {"data": data, "has_more": False, "first_id": ids[0], "last_id": ids[-1]}
    else:
        listed = {"object": "list", "data": [_as_openai(name) for name in shelf.names()]}
    await answer(call, listed)


async def model(services: Services, call: Call, argument: str) -> None:
    """Describe one model; one that this key may not use does not exist for it."""
    shelf = await _shelf_of(services, call)
    name = argument.removeprefix("models/") if call.errors is GEMINI_ERRORS else argument
    if not shelf.has(name):
        raise ModelNotFound(f"The model `{name[:64]}` does not exist.", param="model")
    if call.errors is GEMINI_ERRORS:
        await answer(call, shelf.as_gemini(name))
    elif call.errors is ANTHROPIC_ERRORS:
        await answer(call, _as_anthropic(name))
    else:
        await answer(call, _as_openai(name))


class _Shelf:
    """What a key can have from its shop, by endpoints of the client's own, or by any."""

    def __init__(self, shop: Shop, key: KeyEntry, endpoints: Iterable[Endpoint]) -> None:
        self._shop = shop
        self._key = key
        self._endpoints = tuple(endpoints)

    def names(self) -> list[str]:
        """Return the models by name."""
        return [name for name in self._shop.usable_models() if self._is_for_key(name)]

    def has(self, name: str) -> bool:
        """Say whether a model is among them."""
        return name in self._shop.usable_models() and self._is_for_key(name)

    def _is_for_key(self, name: str) -> bool:
        if is_variant(name) or (self._key.models and name not in self._key.models):
            return False
        return not self._endpoints or bool(self._serving(name))

    def _serving(self, name: str) -> list[Endpoint]:
        """Return the endpoints at which this key can ask a model."""
        allowed = self._key.endpoints
        return [
            endpoint
            for endpoint in self._endpoints
            if not allowed or endpoint.name in allowed
            if any(offer.channel.is_enabled for offer in self._shop.offers(endpoint, name))
        ]

    def as_gemini(self, name: str) -> Json:
        """Return a model as Google describes it."""
        embeds = "embed" in name
        verbs = [verb_of(one) for one in self._serving(name) if (one.name == EMBED.name) == embeds]
        return {
            "name": f"models/{name}",
            "version": "001",
            "displayName": name,
            "description": "",
            **_limits(self._shop.prices[name]),
            "supportedGenerationMethods": verbs,
        }


async def _shelf_of(services: Services, call: Call) -> _Shelf:
    """Return what the key of a call can have; the call gets the errors of its client's dialect."""
    endpoints: Iterable[Endpoint] = ()
    if _is_geminis(call):
        call.errors, endpoints = GEMINI_ERRORS, ENDPOINTS.values()
    elif b"anthropic-version" in call.headers:
        call.errors, endpoints = ANTHROPIC_ERRORS, (MESSAGES,)
    key, _ = await auth.authenticate(call, services.snapshot, services.keyring)
    return _Shelf(services.snapshot.shops[key.tenant_id], key, endpoints)


def _is_geminis(call: Call) -> bool:
    if call.errors is GEMINI_ERRORS or b"x-goog-api-key" in call.headers:
        return True
    return b"authorization" not in call.headers and "key" in query_of(call)


def _as_openai(name: str) -> Json:
    return {"id": name, "object": "model", "created": _CREATED_AT, "owned_by": "system"}


def _as_anthropic(name: str) -> Json:
    return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED}


def _limits(price: Price) -> Json:
    limits = {"inputTokenLimit": price.context_limit, "outputTokenLimit": price.output_limit}
    return {name: limit for name, limit in limits.items() if limit}


ANSWERS: Mapping[str, Callable[[Services, Call, str], Awaitable[None]]] = {
    "models": models,
    "model": model,
}
