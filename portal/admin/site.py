"""Our admin site: platform operators on any host, members of a shop on that shop's hosts."""

from typing import Any

from django.http import HttpRequest
from unfold.sites import UnfoldAdminSite

from billing.models import Member


class TollgateAdminSite(UnfoldAdminSite):
    """Lets in who may see something here; what they see is decided by the open scope."""

    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user is a platform operator or a member of this host's shop."""
        user = request.user
        if not user.is_active:
            return False
        return user.is_superuser or Member.objects.filter(user_id=user.pk).exists()

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out what can't be read before someone has signed in."""
        return super().each_context(request)
