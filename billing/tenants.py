"""Tenants and their hostnames: made, and found by a request's Host. Called by web, relay, commands.

The Host look-up is one of the two that happen before a tenant is known (the other is `keys.find`).
"""

import re

from django.db import IntegrityError, transaction

from billing.errors import FieldInvalid, NameTaken, NotFound
from billing.hostnames import hostname
from billing.models import Domain, Tenant
from billing.names import checked_name
from billing.scoping import all_tenants, tenant_scope

_is_slug = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?").fullmatch


def platform() -> Tenant:
    """Return the tenant that is the installation itself; the migrations made it."""
    return Tenant.objects.get(is_platform=True)


def by_slug(slug: str) -> Tenant:
    """Return a tenant by the name that commands use. Raises NotFound."""
    tenant = Tenant.objects.filter(slug=slug).first() if _is_slug(slug) else None
    if tenant is None:
        raise NotFound(f"There is no tenant {slug!r}.")
    return tenant


def create_tenant(*, slug: str, name: str, hosts: list[str]) -> Tenant:
    """Make a shop with its hostnames; the first is the primary one.

    Raises FieldInvalid for a slug, name or hostname of wrong form, NameTaken for one in use.
    """
    if not _is_slug(slug):
        raise FieldInvalid(
            f"The slug {slug!r} must be 1 to 40 lower-case letters, digits and inner hyphens."
        )
    name = checked_name(name, what="The name", at_most=120)
    hostnames = list(dict.fromkeys(hostname(host) for host in hosts))
    if not hostnames:
        raise FieldInvalid("A tenant needs at least one hostname.")
    _refuse_taken(slug, hostnames)
    try:
        with transaction.atomic():
            return _store(slug, name, hostnames)
    except IntegrityError:
        _refuse_taken(slug, hostnames)
        raise


def _store(slug: str, name: str, hostnames: list[str]) -> Tenant:
    tenant = Tenant.objects.create(slug=slug, name=name)
    with tenant_scope(tenant.pk):
        Domain.objects.bulk_create(
            Domain(
                tenant=tenant,
                hostname=host,
                is_primary=host == hostnames[0],
                created_at=tenant.created_at,
            )
            for host in hostnames
        )
    return tenant


def _refuse_taken(slug: str, hostnames: list[str]) -> None:
    if Tenant.objects.filter(slug=slug).exists():
        raise NameTaken(f"There is a tenant {slug!r} already.")
    with all_tenants():
        taken = Domain.objects.filter(hostname__in=hostnames).values_list("hostname", flat=True)
        names = ", ".join(sorted(taken))
    if names:
        raise NameTaken(f"Another tenant has the hostname {names}.")


def resolve_host(host: str) -> tuple[Tenant, Domain] | None:
    """Return whose a request's Host header is; None for a stranger's or an inactive tenant's.

    Port, case and a trailing dot are ignored. While there is one shop, with only the domains it was
    made with, every Host is its.
    """
    try:
        name = hostname(host)
    except FieldInvalid:
        return None
    with all_tenants():
        domain = Domain.objects.select_related("tenant").filter(hostname=name).first()
        domain = domain or only_shop()
    return (domain.tenant, domain) if domain and domain.tenant.is_active else None


def only_shop() -> Domain | None:
    """Return the line of the one shop that every Host is; None if there are more. All tenants."""
    shops = Tenant.objects.filter(is_platform=False)[:2]
    if len(shops) != 1:
        return None
    first = Domain.objects.filter(tenant=shops[0], created_at=shops[0].created_at)
    if Domain.objects.exclude(pk__in=first.values("pk")).exists():
        return None
    return first.select_related("tenant").order_by("-is_primary", "id").first()
