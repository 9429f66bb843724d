"""Admin of users, for platform operators alone: an address is known to every shop or to none."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminEmailInputWidget

from billing.models import User
from portal.admin.base import ScopedAdmin
from portal.admin.roles import EDIT


class NewUserForm(UserCreationForm):
    """A user by address and password."""

    class Meta:
        model = User
        fields = ("email",)
        field_classes: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["email"].widget = UnfoldAdminEmailInputWidget()

    def clean_email(self) -> str:
        """Compare addresses in lower case."""
        return str(self.cleaned_data["email"]).lower()


class KnownUserForm(UserChangeForm):
    """A user as they are."""

    class Meta:
        model = User
        fields = ("email", "password", "is_active", "is_superuser")
        field_classes: ClassVar[dict[str, Any]] = {}


@admin.register(User)
class UserAdmin(ScopedAdmin, DjangoUserAdmin):  # type: ignore[misc,type-arg]
    """Everyone who can sign in. Users are never deleted: they are made inactive."""

    verbs = EDIT
    form = KnownUserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "is_superuser", "is_active", "date_joined", "last_login")
    list_filter = ("is_superuser", "is_active")
    search_fields = ("email",)
    ordering = ("email",)
    filter_horizontal = ()
    readonly_fields = ("date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (_("May"), {"fields": ("is_active", "is_superuser")}),
        (_("Times"), {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "password1", "password2")}),)


# Registered by the import above. Roles are members' here; groups would be a second answer.
admin.site.unregister(Group)
