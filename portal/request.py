"""The request as our middleware leaves it, and where it comes from. Used by views and admin.

`X-Forwarded-For` is believed as far as trusted proxies have written it, as in the relay.
"""

import ipaddress
from functools import lru_cache
from hashlib import blake2b
from typing import cast

from django.conf import settings
from django.http import HttpRequest

from billing.addresses import Network, address_hash, client_address, network_of
from billing.models import Domain, Tenant


class PortalRequest(HttpRequest):
    """A request with its id, and with the shop whose host was called."""

    request_id: str
    tenant: Tenant
    domain: Domain
    sees_all_tenants: bool


def tenant_of(request: HttpRequest) -> Tenant:
    """Return the shop whose host was called."""
    return cast("PortalRequest", request).tenant


def address_of(request: HttpRequest) -> str:
    """Return the address that the request comes from; "" when the server does not know it."""
    return client_address(
        request.META.get("REMOTE_ADDR", ""),
        forwarded=request.META.get("HTTP_X_FORWARDED_FOR", ""),
        trusted=_networks(tuple(settings.TRUSTED_PROXIES)),
    )


def visitor_of(request: HttpRequest) -> str:
    """Return what throttles count by: this shop, and the network that the request comes from."""
    return f"{tenant_of(request).pk} {network_of(address_of(request))}"


def network_hash(request: HttpRequest) -> int:
    """Return a keyed hash of the network that the request comes from, for a column of 64 bits."""
    return address_hash(network_of(address_of(request)), salt=_salt(settings.SECRET_KEY))


@lru_cache(maxsize=4)
def _networks(entries: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(entry) for entry in entries)


@lru_cache(maxsize=2)
def _salt(secret: str) -> bytes:
    return blake2b(secret.encode(), digest_size=32, person=b"portal-address").digest()
