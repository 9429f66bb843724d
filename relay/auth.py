"""Who asks: the key a client presents, the tenant its Host names, the address it comes from.

Called by `exchange` and `local` before anything else is looked at.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from billing.addresses import Network, address_hash, client_address, is_in
from relay.call import Call
from relay.errors import AddressNotAllowed, InvalidKey, KeyDisabled, KeyExpired, NotAllowed
from relay.keyring import KeyEntry, Keyring
from relay.paths import KEY_LOG
from relay.snapshot import Host, Snapshot

if TYPE_CHECKING:
    from relay.services import Services

_MAX_ADDRESSES = 10_000


def presented_key(headers: Mapping[bytes, bytes], in_query: bytes | None = None) -> bytes:
    """Return the key as the client wrote it, in a header or else in the query.

    Raises InvalidKey when there is none.
    """
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, key = value.partition(b" ")
        if scheme != b"Bearer" and scheme.lower() != b"bearer":
            raise InvalidKey
        return key.strip()
    value = headers.get(b"x-api-key") or headers.get(b"x-goog-api-key")
    if value is None:
        value = in_query
    if value is None:
        raise InvalidKey
    return value


def take_key_from_query(call: Call) -> bytes | None:
    """Return the key in the query of a call whose protocol lets it stand there.

    It is gone from the query afterwards, so that a server which logs addresses logs no key.
    """
    query: bytes = call.scope.get("query_string", b"")
    if not query:
        return None
    if call.errors.name != "gemini" and not call.scope["path"].rstrip("/").endswith(KEY_LOG):
        return None
    parts = query.split(b"&")
    call.scope["query_string"] = b"&".join(part for part in parts if part[:4] != b"key=")
    return next((part[4:] for part in parts if part[:4] == b"key="), None)


async def authenticate(call: Call, snapshot: Snapshot, keyring: Keyring) -> tuple[KeyEntry, Host]:
    """Return the key and the line of a call.

    Raises UnknownHost, InvalidKey (also for a key of another tenant than the Host's), KeyDisabled,
    LedgerUnavailable.
    """
    host = snapshot.host(call.headers.get(b"host", b""))
    presented = presented_key(call.headers, take_key_from_query(call))
    key = keyring.known(presented)
    if key is None:
        key = await keyring.find(presented)
    if key.tenant_id != host.tenant_id:
        raise InvalidKey
    if not key.is_enabled or not snapshot.shops[key.tenant_id].is_active:
        raise KeyDisabled
    return key, host


class Caller(NamedTuple):
    """Who asks: the key, the line it came by, and the hash of its address."""

    key: KeyEntry
    host: Host
    address_hash: int


async def known_caller(services: "Services", call: Call) -> Caller:
    """Return who asks, from an address that the key allows. Raises what `authenticate` raises."""
    key, host = await authenticate(call, services.snapshot, services.keyring)
    address = services.addresses.of(call)
    if key.addresses:
        check_address(key, address)
    return Caller(key, host, services.addresses.hash_of(address))


def check_policy(key: KeyEntry, *, endpoint: str, model: str) -> None:
    """Raise KeyExpired, or NotAllowed if the key's lists exclude the endpoint or the model.

    A request that names no model is of none.
    """
    if key.expires_at is not None and key.expires_at <= time.time():
        raise KeyExpired
    if key.endpoints and endpoint not in key.endpoints:
        raise NotAllowed("This API key may not use this endpoint.")
    if key.models and model and model not in key.models:
        raise NotAllowed("This API key may not use this model.", param="model")


class Addresses:
    """Where calls come from: behind trusted proxies the address they report."""

    def __init__(self, *, trusted: Sequence[Network], salt: bytes) -> None:
        self._trusted = trusted
        self._salt = salt
        self._hashes: dict[str, int] = {}

    def of(self, call: Call) -> str:
        """Return the client's address; "" when the server does not know it."""
        client = call.scope.get("client")
        peer: str = client[0] if client else ""
        if not self._trusted:
            return peer
        forwarded = call.headers.get(b"x-forwarded-for", b"").decode("latin-1")
        return client_address(peer, forwarded=forwarded, trusted=self._trusted)

    def hash_of(self, address: str) -> int:
        """Return a keyed hash that fits a signed 64-bit column."""
        found = self._hashes.get(address)
        if found is None:
            found = address_hash(address, salt=self._salt)
            if len(self._hashes) >= _MAX_ADDRESSES:
                self._hashes.clear()
            self._hashes[address] = found
        return found


def check_address(key: KeyEntry, address: str) -> None:
    """Raise AddressNotAllowed unless the address is on the key's list, if it has one."""
    if key.addresses and not is_in(address, key.addresses):
        raise AddressNotAllowed
