"""Absolute addresses of a shop, for what is read away from its pages. Called by mails.

A page knows its address from the request; a mail has none, so it takes the shop's primary
hostname, the scheme and port that the settings say browsers use.
"""

from django.conf import settings

from billing.models import Domain, Tenant

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def origin(hostname: str) -> str:
    """Return scheme, host and port as browsers use them, without a slash at the end."""
    scheme = "https" if settings.HTTPS else "http"
    host = f"[{hostname}]" if ":" in hostname else hostname
    port = f":{settings.PUBLIC_PORT}" if settings.PUBLIC_PORT else ""
    return f"{scheme}://{host}{port}"


def lines_of(shop: Tenant) -> list[Domain]:
    """Return the hostnames of a shop, its primary one first. In the shop's scope."""
    return list(Domain.objects.filter(tenant=shop).order_by("-is_primary", "id"))


def public_lines_of(shop: Tenant) -> list[Domain]:
    """Return the lines that lead somewhere from afar; its first one if none does."""
    lines = lines_of(shop)
    return [line for line in lines if line.hostname not in LOOPBACK] or lines[:1]


def host_of(shop: Tenant) -> str:
    """Return the hostname that the shop is known by."""
    lines = lines_of(shop)
    return lines[0].hostname if lines else "localhost"


def origin_of(shop: Tenant) -> str:
    """Return the address of the shop's pages, without a slash at the end."""
    return origin(host_of(shop))
