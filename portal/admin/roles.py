"""What people may do in the admin: platform operators anything, members by role in their shop.

Called by the site and the base class alone; a `ModelAdmin` says which verbs exist for it.
"""

from typing import cast

from django.http import HttpRequest

from billing.models import Member
from portal.request import tenant_of

VIEW, ADD, CHANGE, DELETE = "view", "add", "change", "delete"
NOTHING: frozenset[str] = frozenset()
READ_ONLY = frozenset({VIEW})
EDIT = frozenset({VIEW, ADD, CHANGE})
EVERYTHING = frozenset({VIEW, ADD, CHANGE, DELETE})

OPERATOR = "operator"
"""The role of a platform operator; it is in no row."""

VERBS_BY_ROLE = {
    OPERATOR: EVERYTHING,
    "owner": EVERYTHING,
    "manager": EDIT,
    "support": READ_ONLY,
    "viewer": READ_ONLY,
}


def role_of(request: HttpRequest) -> str | None:
    """Return the user's role on this host, None for a stranger. Asked once per request."""
    if not hasattr(request, "admin_role"):
        request.admin_role = _find_role(request)  # type: ignore[attr-defined]
    return cast("str | None", request.admin_role)  # type: ignore[attr-defined]


def is_operator(request: HttpRequest) -> bool:
    """Tell whether the user is a platform operator."""
    return role_of(request) == OPERATOR


def verbs_of(request: HttpRequest) -> frozenset[str]:
    """Return what the user's role allows at most."""
    return VERBS_BY_ROLE.get(role_of(request) or "", NOTHING)


def _find_role(request: HttpRequest) -> str | None:
    user = request.user
    if not user.is_active:
        return None
    if user.is_superuser:
        return OPERATOR
    member = Member.objects.filter(tenant=tenant_of(request), user_id=user.pk).first()
    return member.role if member else None
