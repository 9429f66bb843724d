"""What a shop owns, row by row, to see that nobody else has changed it."""

from typing import Any

from django.apps import apps
from django.db import connection

from billing.models import Member, Tenant, User
from billing.scoping import all_tenants


def everything_of(tenant: Tenant) -> dict[str, list[Any]]:
    """Return every row of a shop in every table that has one, its members, and the shop itself."""
    found: dict[str, list[Any]] = {
        "tenant": list(Tenant.objects.filter(pk=tenant.pk).values_list()),
    }
    with all_tenants():
        for model in apps.get_models():
            if any(field.name == "tenant" for field in model._meta.fields):
                mine = model._default_manager.filter(tenant=tenant).order_by("pk")
                found[model.__name__] = list(mine.values_list())
        members = User.objects.filter(pk__in=Member.objects.filter(tenant=tenant).values("user"))
        found["members"] = list(members.values_list("pk", "email", "is_superuser", "password"))
    return found


def rows_written() -> int:
    """Return how many rows this connection to SQLite has ever written, in whatever table.

    Asked before and after, it spares the reading of all books where nothing was written.
    """
    connection.ensure_connection()
    written: int = connection.connection.total_changes
    return written
