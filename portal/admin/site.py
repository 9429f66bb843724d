"""Our admin site: platform operators on any host, members of a shop on that shop's hosts."""

from typing import Any

from django.http import HttpRequest
from django.views.decorators.http import require_http_methods
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from billing.models import Member
from portal.admin.roles import role_of


class SignInForm(AuthenticationForm):
    """Signs in who has a role on this host; to anyone else it says what it says to a stranger."""

    def confirm_login_allowed(self, user: Any) -> None:
        """Refuse a user without a role with the words for a wrong password."""
        if not user.is_active:
            raise self.get_invalid_login_error()
        if user.is_superuser or Member.objects.filter(user_id=user.pk).exists():
            return
        raise self.get_invalid_login_error()


class TollgateAdminSite(UnfoldAdminSite):
    """Lets in who has a role on this host; what they see is decided by the open scope."""

    login_form = SignInForm

    def get_urls(self) -> list[Any]:
        """Leave out the short cut to any object of any table; no row here has a page."""
        return [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Answer the methods of a browser; Django would answer any other as if it were a GET."""
        answer = super().admin_view(view, cacheable)
        return require_http_methods(["GET", "HEAD", "POST"])(answer)

    def has_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user has a role on this host."""
        return role_of(request) is not None
