"""Any upstream behind a generic route: requests pass as they are, only the credential is ours.

The credential travels as a Bearer token, unless the channel's extra headers say where it belongs:
`mj-api-secret: {credential}`. Only generic routes use such channels; they serve no endpoint.
"""

from collections.abc import Sequence

import msgspec

from relay.protocols.base import Endpoint
from relay.protocols.videos import decoded
from relay.providers.base import Failure, without_account_details
from relay.providers.openai import OpenAIProvider
from relay.wire.messages import Header
from relay.wire.origin import parse_base_url

ROUTES_ONLY = "generic"
"""The provider of channels that serve no model, but what is asked below generic routes."""

PLACE = b"{credential}"
_NEVER_PASSED = frozenset({b"cookie", b"host", b"content-length", b"connection"})


class GenericProvider(OpenAIProvider):
    """An upstream of which we know nothing but its address."""

    name = ROUTES_ONLY

    def serves(self, endpoint: Endpoint) -> bool:
        """Say no to every dialect: no models are offered here, but addresses."""
        return endpoint.name == ROUTES_ONLY

    def path(self, base_url: str, endpoint: Endpoint, served: str, *, stream: bool) -> str:
        """Return the path below which a route's requests are sent; see Provider."""
        return address_below(base_url, endpoint.path)

    def classify(
        self, status: int, headers: Sequence[Header], body: bytes, *, credential: str = ""
    ) -> Failure:
        """Return what an error answer means; see Provider. A client's mistake keeps its words."""
        failure = super().classify(status, headers, body, credential=credential)
        if failure.kind != "client":
            return failure
        said = decoded(body)
        safe = without_account_details(said, credential=credential)
        return msgspec.structs.replace(
            failure, body=msgspec.json.encode(safe) if isinstance(said, dict) else None
        )

    def headers(self, credential: str, extra: Sequence[Header] = ()) -> list[Header]:
        """Return our headers with the credential where the channel wants it; see Provider."""
        secret = credential.encode("latin-1")
        placed = [
            (name.lower(), value.replace(PLACE, secret))
            for name, value in extra
            if PLACE in value and name.lower() not in _NEVER_PASSED
        ]
        plain = [(name, value) for name, value in extra if PLACE not in value]
        return super().headers("" if placed else credential, plain) + placed


def address_below(base_url: str, path: str) -> str:
    """Return the path on a base URL's origin for a path below it."""
    _, prefix = parse_base_url(base_url)
    return prefix.decode("ascii").rstrip("/") + path
