"""Any upstream behind a generic route: requests pass as they are, only the credential is ours.

The credential travels as a Bearer token, unless the channel's extra headers say where it belongs:
`mj-api-secret: {credential}`. Only generic routes use such channels; they serve no endpoint.
"""

from collections.abc import Sequence

from relay.protocols.base import Endpoint
from relay.providers.openai import OpenAIProvider
from relay.wire.messages import Header
from relay.wire.origin import parse_base_url

PLACE = b"{credential}"
_NEVER_PASSED = frozenset({b"cookie", b"host", b"content-length", b"connection"})


class GenericProvider(OpenAIProvider):
    """An upstream of which we know nothing but its address."""

    name = "generic"

    def serves(self, endpoint: Endpoint) -> bool:
        """Say no: models are not offered here, addresses are."""
        return endpoint.name == "generic"

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
