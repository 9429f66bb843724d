"""The request as our middleware leaves it. Used by middleware, views and admin."""

from typing import cast

from django.http import HttpRequest

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
